"""The time now, in UTC: the real one for decisions, and one that SOURCE_DATE_EPOCH sets for reproducible output."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from mace_gov.core.errors import UsageError


def wall_clock() -> datetime:
    """This machine's clock, whatever SOURCE_DATE_EPOCH says: that must not make old evidence or a waiver young."""
    return datetime.now(UTC)


def now() -> datetime:
    """Seconds-precise UTC time; SOURCE_DATE_EPOCH (seconds) overrides it when set. Raises UsageError."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return wall_clock().replace(microsecond=0)
    try:
        # Digits of ASCII alone: int() takes 1_0, " 1" and other scripts as well.
        return datetime.fromtimestamp(int(epoch if re.fullmatch("[0-9]{1,12}", epoch) else "none"), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"SOURCE_DATE_EPOCH is '{epoch[:40]}', expected seconds since 1970 in digits, before the year "
                         "10000", hint="Unset it, or give what `date +%s` prints.") from error


def timestamp() -> str:
    """``now`` in RFC 3339."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time with a zone, in UTC; None when it is not one."""
    try:
        when = datetime.fromisoformat(text)
        return when.astimezone(UTC) if when.tzinfo else None
    except (ValueError, OverflowError):  # the year 0 or 10000, once the zone is taken off
        return None
