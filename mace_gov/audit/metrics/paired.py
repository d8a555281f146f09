"""Two models on the same prompts and seeds: the exact McNemar test, and Holm's adjustment of several of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from math import comb
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


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


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """The p-values of one table, adjusted so that any of them misleads as seldom as a single one would.

    Holm, Scand. J. Statist. 6 (1979) 65-70: the k-th smallest of m counts m - k + 1 times, and no less than a smaller.
    """
    adjusted, least = {}, 0.0
    for place, (name, value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, (len(p_values) - place) * value))
        adjusted[name] = least
    return adjusted
