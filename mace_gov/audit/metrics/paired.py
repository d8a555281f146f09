"""Base against governed model on the same prompts and seeds: the exact McNemar test."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb


def mcnemar(pairs: Iterable[tuple[bool, bool]]) -> float | None:
    """Two-sided exact p-value of (base, governed) pairs; None when there are none.

    The pairs must be independent: give one for each prompt, however many seeds it had.
    """
    pairs = list(pairs)
    if not pairs:
        return None
    lost = sum(base and not governed for base, governed in pairs)
    won = sum(governed and not base for base, governed in pairs)
    n = lost + won
    tail = sum(comb(n, k) for k in range(min(lost, won) + 1))
    return min(1.0, 2 * tail / (1 << n))
