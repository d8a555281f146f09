"""People whom nobody named: banned first and last names, joined anew.

"Anna Lund" and "Maria Berg" are banned; an "Anna Berg" may live and nobody thought of her. She shares both of her words
with banned people, so that an edit which listens to either word takes her along. Preserving such combinations, which
come from the ban alone, makes the closed forms listen to names as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from mace_gov.documents.reuse import derived_seed

OTHERS = 4
"""Last names that each banned person borrows: enough for every word to be heard in other company."""


def namesakes(names: Sequence[str]) -> list[str]:
    """Names that are none of ``names`` and take their first words from one of them and the last word from another.

    Names of one word take no part. The order of names does not matter, and one more name changes few of the others'
    namesakes: who borrows from whom is decided by digests.
    """
    banned = {name.casefold() for name in names}
    parts = {(first, last) for first, _, last in (name.strip().rpartition(" ") for name in names) if first}
    lasts = sorted({last for _, last in parts})
    joined = set()
    for first, last in parts:
        free = [other for other in lasts if f"{first} {other}".casefold() not in banned]
        free.sort(key=lambda other: derived_seed(0, f"{first} {last}, {other}"))
        joined.update(f"{first} {other}" for other in free[:OTHERS])
    return sorted(joined)
