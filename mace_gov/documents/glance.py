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
BANS = 16
"""Sets of other words for which chunks without any meaning are kept apart."""
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
    begins: frozenset[str]
    """Those with which several in a row may begin, and what its words may begin together."""
    letters: int
    """Words of one letter: three in a row may spell another."""
    numbers: str
    """Its words with numbers apart."""
    dated: bool
    """Whether a text with it may say an age."""
    surely: bool
    """Whether it says what is looked for as it stands, whatever stands beside it."""


class Glance:
    """Looks for a list of words."""

    def __init__(self, words: Words, *, hints: Iterable[str] = (), ages: bool = False) -> None:
        """hints: parts of words beside which the whole must be read. ages: whether ages are looked for, too."""
        self._words, self._hints, self._ages = words, tuple(hints), ages
        self._look: Callable[[str], Chunk] = lru_cache(KEPT)(self._chunk)
        self._longer: Callable[[frozenset[str], tuple[str, ...]], frozenset[str] | None] = lru_cache(KEPT)(self._grown)
        self._quiet: Callable[[frozenset[str]], set[str]] = lru_cache(BANS)(lambda _others: set())

    def passes(self, text: str, others: frozenset[str] = frozenset(), *, apart: bool = False) -> bool:
        """Whether a text surely holds nothing of the list, and none of some other words, in any reading.

        apart: also when words are taken out of it, so that others come to stand side by side.
        """
        if len(text) > LONG_TEXT:
            return False
        parts, quiet = text.split(), self._quiet(others)
        if quiet.issuperset(parts):
            return True
        letters, dated = 0, False
        begun = nothing = frozenset[str]()
        for part in parts:
            if part in quiet and not begun:
                letters = 0
                continue
            chunk = self._look(part)
            if chunk.stops or (others and not others.isdisjoint(chunk.words)):
                return False
            if not chunk.words:
                continue
            if not (chunk.begins or chunk.letters or chunk.dated):
                self._keep_quiet(quiet, part)
            letters = letters + chunk.letters if chunk.letters else 0
            longer = self._longer(begun, chunk.joints) if begun and chunk.joints else nothing
            if letters > 2 or longer is None:
                return False
            begun = chunk.begins.union(longer, begun if apart else ()) if longer or apart else chunk.begins
            dated = dated or chunk.dated
        return not (dated and says_age(" ".join(
            numbers for numbers in (self._look(part).numbers for part in parts) if numbers)))

    def surely(self, text: str) -> bool:
        """Whether a text surely holds something of the list: a chunk says it, and no part of it has other meanings."""
        return len(text) <= LONG_TEXT and any(
            chunk.surely for chunk in map(self._look, text.split())) and not self._hinted(text.lower())

    def _keep_quiet(self, quiet: set[str], part: str) -> None:
        if len(quiet) >= KEPT:
            quiet.clear()
        quiet.add(part)

    def _hinted(self, text: str) -> bool:
        return any(hint in text for hint in self._hints)

    def _grown(self, begun: frozenset[str], words: tuple[str, ...]) -> frozenset[str] | None:
        """What has begun, longer by some words of one chunk; None where it may be whole."""
        found: set[str] = set()
        while begun:
            longer = self._words.goes_on(begun, words)
            if longer is None:
                return None
            found |= longer
            begun = longer if len(words) > 1 else frozenset()
        return frozenset(found)

    def _chunk(self, text: str) -> Chunk:
        if len(text) > LONG_CHUNK:
            return Chunk(True, frozenset(), (), frozenset(), 0, "", False, False)
        said = read(text)
        views = [view.split() for view in said.words]
        words = frozenset(word for view in views for word in view)
        found = self._words.found(text, said.words)
        stops = found or len(said.numbers) > 1 or (not all(views) and any(views)) or any(
            map(self._hinted, {text.lower(), *words}))
        joints, begins = tuple(words & self._words.joints), self._words.begins(words)
        longer = self._longer(begins, joints) if len(words) > 1 else frozenset()
        return Chunk(stops or longer is None, words, joints, begins.union(longer or ()),
                     sum(len(word) == 1 for word in views[0]), said.numbers[0],
                     self._ages and any(map(may_say_age, said.numbers[0].split())),
                     found and self._words.found("", said.words[:1]))
