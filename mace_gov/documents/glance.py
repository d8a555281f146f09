"""A cheap filter before ``spoken``'s full reading: most prompts hold no word that names anybody.

Each reading of a text is the readings of its chunks (what stands between blanks) side by side; but for single letters
in a row, and words in a row, nothing reaches across a blank. So what a chunk may be part of is found once and kept, and
a text passes where no chunk, and no two in a row, may be part of anything. What passes here the full reading passes,
too; it may pass more (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from mace_gov.documents.ages import may_say_age, says_age
from mace_gov.documents.spoken import Words, read

KEPT = 1 << 16
"""Chunks that are known at once: a file has a million rows and far fewer words."""
LONG_TEXT, LONG_CHUNK = 1000, 40
"""Characters from which a quick look is none: such a text is read in full."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands between two blanks."""

    stops: bool
    """Whether it may say what is looked for by itself, or change how what stands beside it is read."""
    words: frozenset[str]
    """Its words, in every reading."""
    joints: tuple[str, ...]
    """Those that may be part of several in a row."""
    letters: int
    """Words of one letter: three in a row may spell another."""
    numbers: str
    """Its words with numbers apart."""
    dated: bool
    """Whether a text with it may say an age."""


class Glance:
    """Looks for a list of words."""

    def __init__(self, words: Words, *, hints: Iterable[str] = (), ages: bool = False) -> None:
        """hints: parts of words beside which the whole must be read. ages: whether ages are looked for, too."""
        self._words, self._hints, self._ages = words, tuple(hints), ages
        self._look: Callable[[str], Chunk] = lru_cache(KEPT)(self._chunk)

    def passes(self, text: str, others: frozenset[str] = frozenset(), *, apart: bool = False) -> bool:
        """Whether a text surely holds nothing of the list, and none of some other words, in any reading.

        apart: also when words are taken out of it, so that others come to stand side by side.
        """
        parts, letters, dated = text.split(), 0, False
        before: tuple[str, ...] = ()
        if len(text) > LONG_TEXT or max(map(len, parts), default=0) > LONG_CHUNK:
            return False
        chunks = list(map(self._look, parts))
        for chunk in chunks:
            if chunk.stops or (others and not others.isdisjoint(chunk.words)):
                return False
            if not chunk.words:
                continue
            letters = letters + chunk.letters if chunk.letters else 0
            if apart and len(chunk.joints) > 1:
                before += chunk.joints
            if letters > 2 or (before and chunk.joints and self._joined(before, chunk.joints)):
                return False
            before = before + chunk.joints if apart else chunk.joints
            dated = dated or chunk.dated
        return not (dated and says_age(" ".join(chunk.numbers for chunk in chunks if chunk.numbers)))

    def _joined(self, ones: tuple[str, ...], twos: tuple[str, ...]) -> bool:
        return any(self._words.joins(one, two) for one in ones for two in twos)

    def _chunk(self, text: str) -> Chunk:
        said = read(text)
        views = [view.split() for view in said.words]
        words = frozenset(word for view in views for word in view)
        stops = len(said.numbers) > 1 or (not all(views) and any(views)) or self._words.found(text, said.words) or any(
            hint in each for each in (text.lower(), *words) for hint in self._hints)
        return Chunk(stops, words, tuple(word for word in words if word in self._words.joints),
                     sum(len(word) == 1 for word in views[0]), said.numbers[0],
                     self._ages and any(map(may_say_age, said.numbers[0].split())))
