"""A cheap filter before ``spoken``'s full reading: most prompts hold no word that names anybody.

Each reading of a text is the readings of its chunks (what stands between blanks) side by side; but for single letters
in a row, and words in a row, nothing reaches across a blank. So what a chunk may be part of is found once and kept, and
an automaton, made as texts need it, goes from chunk to chunk: what has begun is its state. A text passes where no
chunk, and no two in a row, may be part of anything. What passes here the full reading passes, too; it may pass more (a
test compares the two).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from mace_gov.documents.ages import Hints, hints_of, says_age
from mace_gov.documents.spoken import Words, plain_view, read

KEPT = 1 << 17
"""Chunks, and steps from one to the next, that are known at once: a file has a million rows and far fewer words."""
BANS = 16
"""Sets of other words for which an automaton is kept."""
LONG_TEXT, LONG_CHUNK = 1000, 40
"""Characters from which a quick look is none: such a text is read in full."""
NOTHING = frozenset[str]()
_WITH_BLANKS = re.compile(r"\S+\s*")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands between two blanks, or several chunks with single letters in a row."""

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
    numbers: tuple[str, ...]
    """Its words with numbers apart, as they stand and with letters in a row joined where that differs."""
    hints: Hints
    """What it can add to an age."""
    surely: bool
    """Whether it says what is looked for as it stands, whatever stands beside it."""


class _State(dict[str, "_State"]):
    """Where a look has come to: for each chunk, the state after it."""

    def __init__(self, after: Callable[[_State, str], _State], letters: int, begun: frozenset[str], hints: Hints):
        super().__init__()
        self._after, self.letters, self.begun, self.hints = after, letters, begun, hints

    def __missing__(self, part: str) -> _State:
        found = self[part] = self._after(self, part)
        return found


def _stay(state: _State, _part: str) -> _State:
    return state


NO_AGE = Hints(False)
STOPPED, SPELT = (_State(_stay, 0, NOTHING, NO_AGE) for _ in range(2))
"""Ends: the text must be read in full; and it has single letters in a row."""


class _Automaton:
    """The states of looks for one list, beside one set of other words."""

    def __init__(self, after: Callable[[_Automaton, _State, str], _State]) -> None:
        self._after = after
        self._states: dict[tuple[int, frozenset[str], Hints], _State] = {}
        self._steps, self._first = 0, self.state(0, NOTHING, NO_AGE)

    def start(self) -> _State:
        """Where a text begins."""
        if self._steps > KEPT:
            for state in self._states.values():
                state.clear()
            self._states, self._steps = {}, 0
            self._first = self.state(0, NOTHING, NO_AGE)
        return self._first

    def state(self, letters: int, begun: frozenset[str], hints: Hints) -> _State:
        """The state of so many letters in a row, what has begun, and what may say an age."""
        key = letters, begun, hints
        if key not in self._states:
            self._states[key] = _State(self._step, *key)
        return self._states[key]

    def _step(self, state: _State, part: str) -> _State:
        self._steps += 1
        return self._after(self, state, part)


class Glance:
    """Looks for a list of words."""

    def __init__(
        self, words: Words, *, hints: Iterable[str] = (), harmless: re.Pattern[str] | None = None, ages: bool = False
    ) -> None:
        """hints: words beside which the whole must be read. harmless: what is taken out of a text before it is read;
        each holds a hint. ages: whether ages are looked for, too."""
        self._words, self._hints, self._harmless, self._ages = words, frozenset(hints), harmless, ages
        self._look: Callable[[str], Chunk] = lru_cache(KEPT)(self._chunk)
        self._longer: Callable[[frozenset[str], tuple[str, ...]], frozenset[str] | None] = lru_cache(KEPT)(self._grown)
        self._automaton: Callable[[frozenset[str], bool, bool], _Automaton] = lru_cache(BANS)(self._made)

    def holds(self, text: str, others: frozenset[str] = NOTHING, *, apart: bool = False) -> bool | None:
        """Whether a text holds something of the list; None where the full reading alone can tell.

        others: words of which a text must hold none, in any reading, for False. apart: False also when words are taken
        out of it, so that others come to stand side by side.
        """
        if len(text) > LONG_TEXT:
            return None
        parts = text.split()
        end = _end(self._automaton(others, apart, False).start(), parts)
        if end is SPELT:
            parts = [*self._joined(text)]
            end = _end(self._automaton(others, apart, True).start(), parts)
        if end is STOPPED or end is SPELT:
            found = any(chunk.surely for chunk in map(self._look, parts))
        elif end.hints.alone and any(ages := self._ages_in(parts)):
            found = ages[0]
        else:
            return False
        return True if found and not self._lacks(text) else None

    def _lacks(self, text: str) -> bool:
        """Whether something is taken out of a text before it is read."""
        if not self._harmless or (text.isascii() and not any(map(text.lower().__contains__, self._hints))):
            return False
        return self._harmless.search(plain_view(text)) is not None

    def _made(self, others: frozenset[str], apart: bool, joined: bool) -> _Automaton:
        """The automaton of ``holds``. joined: for parts where letters in a row are one."""
        def after(automaton: _Automaton, state: _State, part: str) -> _State:
            chunk = self._look(part)
            if chunk.stops or not others.isdisjoint(chunk.words):
                return STOPPED
            if not chunk.words:
                return state
            letters = state.letters + chunk.letters if chunk.letters and not joined else 0
            if letters > 2:
                return SPELT
            begun = state.begun
            longer = self._longer(begun, chunk.joints) if begun and chunk.joints else NOTHING
            if longer is None:
                return STOPPED
            return automaton.state(letters, chunk.begins.union(longer, begun if apart else ()),
                                   state.hints.then(chunk.hints))

        return _Automaton(after)

    def _joined(self, text: str) -> Iterator[str]:
        """The chunks of a text, where those that single letters in a row may go through are one, blanks and all."""
        for spelt, run in groupby(_WITH_BLANKS.findall(text), lambda part: self._spells(part.rstrip())):
            joined = "".join(run)
            yield from [joined.rstrip()] if spelt else joined.split()

    def _spells(self, part: str) -> bool:
        chunk = self._look(part)
        return bool(chunk.letters) or not chunk.words

    def _ages_in(self, parts: Iterable[str]) -> list[bool]:
        """Whether an age is said, with letters in a row as they stand and joined."""
        numbers = [chunk.numbers for chunk in map(self._look, parts) if chunk.numbers]
        views = [" ".join(filter(None, (each[which] for each in numbers))) for which in (0, -1)]
        return [*map(says_age, dict.fromkeys(views))]

    def _grown(self, begun: frozenset[str], words: tuple[str, ...]) -> frozenset[str] | None:
        """What has begun, longer by some words of one chunk; None where it may be whole."""
        found: set[str] = set()
        while begun:
            longer = self._words.goes_on(begun, words)
            if longer is None:
                return None
            found |= longer
            begun = longer if len(words) > 1 else NOTHING
        return frozenset(found)

    def _chunk(self, text: str) -> Chunk:
        if len(text) > LONG_CHUNK:
            return Chunk(True, NOTHING, (), NOTHING, 0, (), NO_AGE, False)
        said = read(text)
        views = [view.split() for view in said.words]
        words = frozenset(word for view in views for word in view)
        found = self._words.found(text, said.words)
        stops = found or (not all(views) and any(views)) or not self._hints.isdisjoint(words)
        joints, begins = tuple(words & self._words.joints), self._words.begins(words)
        longer = self._longer(begins, joints) if len(words) > 1 else NOTHING
        return Chunk(stops or longer is None, words, joints, begins.union(longer or ()),
                     sum(len(word) == 1 for word in views[0]), said.numbers,
                     hints_of(*(view.split() for view in said.numbers)) if self._ages else NO_AGE,
                     found and self._words.found("", said.words[:1]))


def _end(state: _State, parts: Iterable[str]) -> _State:
    for part in parts:  # a file has a million rows: nothing else is done for each of their chunks
        state = state[part]
    return state
