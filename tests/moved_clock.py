"""This machine's clock, moved."""

from __future__ import annotations

from datetime import datetime, tzinfo

import pytest


def move_clock(monkeypatch: pytest.MonkeyPatch, to: datetime) -> None:
    """Every decision sees ``to`` as the present."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return to.astimezone(tz)

    monkeypatch.setattr("mace_gov.core.clock.datetime", Moved)
