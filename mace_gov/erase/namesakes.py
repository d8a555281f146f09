"""People whom nobody named: banned first and last names, joined anew.

"Anna Lund" and "Maria Berg" are banned; an "Anna Berg" may live and nobody thought of her. She shares both of her words
with banned people, so that an edit which listens to either word takes her along. Preserving such combinations, which
come from the ban alone, makes the closed forms listen to names as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from mace_gov.core.phrases import phrase_key

OTHERS = 4
"""People from whom each banned one borrows a last name: enough for every word to be heard in other company."""


def namesakes(names: Sequence[str]) -> list[str]:
    """Names that are none of ``names`` and take their first words from one of them and the last word from another.

    Names of one word take no part. The order of names does not matter.
    """
    banned = {phrase_key(name) for name in names}
    parts = sorted({(first, last) for first, _, last in (name.strip().rpartition(" ") for name in names) if first})
    joined = [
        f"{first} {parts[(place + step) % len(parts)][1]}"
        for place, (first, _) in enumerate(parts) for step in _steps(len(parts))
    ]
    return [name for name in dict.fromkeys(joined) if phrase_key(name) not in banned]


def _steps(count: int) -> range:
    """Distances to the others, spread over the whole list, for neighbours in it share their first words."""
    stride = max(1, count // (OTHERS + 1))
    return range(stride, min(count, OTHERS * stride + 1), stride)
