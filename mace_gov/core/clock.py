"""The time now, in UTC: the real one for decisions, and one that SOURCE_DATE_EPOCH sets for reproducible output."""

from __future__ import annotations

import os
from datetime import UTC, datetime


def wall_clock() -> datetime:
    """This machine's clock, whatever SOURCE_DATE_EPOCH says: that must not make old evidence or a waiver young."""
    return datetime.now(UTC)


def now() -> datetime:
    """Seconds-precise UTC time; SOURCE_DATE_EPOCH (seconds) overrides it when set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else wall_clock()
    return moment.replace(microsecond=0)


def timestamp() -> str:
    """``now`` in RFC 3339."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time with a zone, in UTC; None when it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
