"""How many hidden pictures a reviewer may reveal in a row, and how long the pause is after that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mace_gov.core.clock import parse_time
from mace_gov.documents.review import Act, ReviewEntry


@dataclass(frozen=True)
class Breaks:
    """So many revealed pictures in a row, then a break. A row ends with a pause as long as a break."""

    most: int = 10
    """Revealed pictures in a row."""
    pause: timedelta = timedelta(minutes=10)
    """The break."""

    def left(self, entries: Iterable[ReviewEntry], now: datetime) -> int:
        """How many more pictures may be revealed before a break."""
        return max(0, self.most - self._row(entries, now))

    def until(self, entries: Iterable[ReviewEntry], now: datetime) -> datetime | None:
        """When the break ends; None where there is none now."""
        found = list(entries)
        return None if self._row(found, now) < self.most else self._moments(found)[-1] + self.pause

    def _row(self, entries: Iterable[ReviewEntry], now: datetime) -> int:
        row, later = 0, now
        for moment in reversed(self._moments(entries)):
            # A clock that was set back ends no break.
            if later - moment >= self.pause:
                break
            row, later = row + 1, min(moment, later)
            if row == self.most:
                break
        return row

    @staticmethod
    def _moments(entries: Iterable[ReviewEntry]) -> list[datetime]:
        times = (parse_time(entry.at) for entry in entries if entry.act is Act.REVEAL)
        return [moment for moment in times if moment is not None]
