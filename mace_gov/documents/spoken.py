"""Text as a filter must read it: in every way in which a person, or a text encoder, may read the same words.

A view is a list of words in Latin letters and digits where that is what they look like (``core.phrases.skeleton``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from mace_gov.core.phrases import skeleton

_WORD = re.compile(r"[^\W_]+")
_APART = re.compile(r"(?<![^\W_])((?:aged?|ages)?)(\d+)(?=[^\W\d_])|(?<![^\W_])(aged?|ages)(?=\d)")
_INSIDE = re.compile(r"(?<=[^\W_])[._*'’`´·•~^|/\\+=-]+(?=[^\W_])")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][\W_]{1,3}){2,}[^\W_](?![^\W_])")
_LEET = str.maketrans("0134578@$!|69+", "oieastbasilbgt")
_LEET_L = str.maketrans("0134578@$!|69+", "oleastbaslibgt")
_DISGUISED = re.compile(r"[\w@$!|+]*[^\W\d_][\w@$!|+]*")
_ODD = re.compile(r"[^\W\d_]\d|\d[^\W\d_]|[@$!|+_]|\w[^\w\s]+\w|([a-z])\1\1|(?<!\w)\w\W{1,3}\w\W{1,3}\w(?!\w)")
"""What a text of ASCII letters must hold to have more than one reading."""
_LONG = re.compile(r"([^\W\d_])\1{2,}")
_UNITS = {name: n for n, name in enumerate([
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
])}
_TENS = {name: 10 * n for n, name in enumerate(
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)}
NUMBERS = {"dozen": 12} | _UNITS | _TENS | {
    f"{ten}{one}": _TENS[ten] + _UNITS[one] for ten in _TENS for one in list(_UNITS)[1:10]}
"""Number words that ``counted`` makes digits of, beside hundred."""


@dataclass(frozen=True)
class Reading:
    """A text as it may be read: views, each of words with one blank between them."""

    words: tuple[str, ...]
    """As it stands, joined where letters stand apart, and with digits for letters undone."""
    numbers: tuple[str, ...]
    """The same with numbers apart from the letters after them, and no digit taken for a letter."""


def read(text: str, harmless: re.Pattern[str] | None = None) -> Reading:
    """Every reading of a text, without what ``harmless`` finds in it."""
    if harmless is None and text.isascii() and text.isalpha() and not _LONG.search(text := text.lower()):
        return Reading((text,), (text,))
    plain = _plain(text)
    if plain.isascii() and not _ODD.search(plain):
        views = numbers = [plain]
    else:
        joined = _SPACED.sub(lambda match: "".join(_WORD.findall(match[0])), plain)
        # "a k i d": the first letter may be an article
        after = _SPACED.sub(lambda match: f"{match[0][0]} " + "".join(_WORD.findall(match[0])[1:]), plain)
        views = [plain, joined, after, _SPACED.sub(_parted, plain), _INSIDE.sub("", joined)]
        for table in (_LEET, _LEET_L):
            undone = _undisguised(joined, table)
            views += [undone, _INSIDE.sub("", undone)]
        views += [_LONG.sub(r"\1", views[-1]), _LONG.sub(r"\1\1", views[-1])]
        numbers = [_APART.sub(_apart, view) for view in (plain, joined)]
    return Reading(*(tuple(dict.fromkeys(_spoken(view, harmless) for view in each)) for each in (views, numbers)))


def plain_view(text: str) -> str:
    """The first view of a text, with whatever is harmless in it."""
    return _spoken(_plain(text), None)


def _plain(text: str) -> str:
    return skeleton(_named(_whole_numbers(text)))


def _parted(match: re.Match[str]) -> str:
    """Letters that stand apart, as words where they stand further apart."""
    return " ".join("".join(_WORD.findall(word)) for word in re.split(r"[\W_]{2,}", match[0]))


def _undisguised(text: str, table: dict[int, int]) -> str:
    return _DISGUISED.sub(lambda match: match[0].translate(table), text)


def _apart(match: re.Match[str]) -> str:
    return " ".join(part for part in match.groups() if part) + " "


def _spoken(view: str, harmless: re.Pattern[str] | None) -> str:
    words = " ".join(_WORD.findall(view))
    return " ".join(harmless.sub(" ", words).split()) if harmless else words


def _whole_numbers(text: str) -> str:
    """``text`` without decimals and thousands' separators, which would otherwise be read as numbers of their own."""
    if text.isascii() and not any(map(str.isdigit, text)):
        return text
    return re.sub(r"(?<=\d)[.,]\d{1,2}(?!\d)", "", re.sub(r"(?<=\d)[.,](?=\d{3}(?!\d))", "", text))


def _plain_words(text: str) -> str:
    """The words of a text, as the first view of it has them but for digits."""
    return " ".join(_WORD.findall(skeleton(text)))


def counted(view: str) -> str:
    """A view with English number words as digits: "twenty five" is 25, "one hundred and twelve" 112."""
    words, made, before = view.split(), [], None
    if NUMBERS.keys().isdisjoint(words) and "hundred" not in words:
        return view
    for word in words:
        value = 100 if word == "hundred" else NUMBERS.get(word)
        if value is None:
            if not (word == "and" and before and before % 100 == 0):
                before = None
                made.append(word)
        elif value == 100 or (before and before % (100 if value > 9 or before < 20 else 10) == 0):
            before = max(before or 0, 100) if value == 100 else (before or 0) + value
            made[-1:] = [str(before)] if made and made[-1].isdigit() else [*made[-1:], str(before)]
        else:
            before = value
            made.append(str(value))
    return " ".join(made)


def _foreign_words(text: str) -> Iterator[str]:
    """The words of a text that are not plain ASCII, as ``skeleton`` has them."""
    if not text.isascii():
        for word in re.findall(r"[^\s!-/:-@\[-`{-~]+", text):
            if not word.isascii():
                yield skeleton(word)


def _named(text: str) -> str:
    """``text`` with pictographs as their Unicode names."""
    if text.isascii():
        return text
    return "".join(f" {unicodedata.name(c, '')} " if unicodedata.category(c) == "So" and _pictograph(c) else c
                   for c in text)


def _pictograph(char: str) -> bool:
    return ord(char) >= 0x2600 and not unicodedata.normalize("NFKC", char).isascii() and \
        " LETTER " not in f" {unicodedata.name(char, '')} "


class Words:
    """A list of words to look for: stems anywhere in a word, beginnings, whole words, several in a row."""

    def __init__(
        self, *, stems: Iterable[str] = (), prefixes: Iterable[str] = (), words: Iterable[str] = (),
        phrases: Iterable[str] = (), foreign: Iterable[str] = (), exact: Iterable[str] = (),
        harmless: Iterable[str] = (), split: Iterable[str] = (),
    ) -> None:
        """foreign: stems in other alphabets; exact: whole words there; split: words to find in pieces, too;
        harmless: regular expressions of what holds a stem and means nothing."""
        own = [*stems, *foreign]
        self._stems = re.compile("|".join(stem for stem in own if stem.isascii()))
        self._prefixes = tuple(prefixes)
        self._words = frozenset(skeleton(word) for word in words)
        self._phrases = frozenset(skeleton(phrase) for phrase in phrases)
        self._foreign = tuple({skeleton(stem) for stem in own if not stem.isascii()})
        self._exact = frozenset(skeleton(word) for word in exact)
        self._harmless = re.compile("|".join([*harmless, "^$"]))
        self._split_up = frozenset(word for word in split if len(word) > 4)
        self._longest = max((phrase.count(" ") + 1 for phrase in self._phrases), default=0)
        self._whole = self._split_up | self._phrases
        self._begun = frozenset(word[:n] for word in self._split_up for n in range(1, len(word))) | frozenset(
            begun for phrase in self._phrases for begun in accumulate(phrase.split()[:-1], "{} {}".format))
        self.joints = frozenset(word[first:last] for word in self._split_up for first in range(len(word))
                                for last in range(first + 1, len(word) + 1)).union(*map(str.split, self._phrases))
        """Words that may be part of several in a row."""
        self._counts = lru_cache(maxsize=65_536)(self._word)

    def found(self, text: str, views: Iterable[str]) -> bool:
        """Whether a text, read as ``views``, holds one of them."""
        return any(map(self._in_view, views)) or any(
            word in self._exact or any(stem in word for stem in self._foreign) for word in _foreign_words(text))

    def begins(self, words: Iterable[str]) -> frozenset[str]:
        """Those of some words with which several in a row may begin."""
        return self._begun.intersection(words)

    def goes_on(self, begun: Iterable[str], words: Iterable[str]) -> frozenset[str] | None:
        """What has begun, longer by one of some words; None where that is one of what comes in several words."""
        made = {each for one in begun for two in words for each in (one + two, f"{one} {two}")}
        return self._begun & made if self._whole.isdisjoint(made) else None

    def _in_view(self, view: str) -> bool:
        words = view.split()
        if any(map(self._counts, words)):
            return True
        # words in a row; and a word that comes in two or three pieces: "chi ld"
        rows = [row for n in range(2, max(self._longest, 3) + 1)
                for row in zip(*(words[i:] for i in range(n)), strict=False)]
        return not (self._phrases.isdisjoint(map(" ".join, rows)) and self._split_up.isdisjoint(
            "".join(row) for row in rows if len(row) < 4))

    def _word(self, word: str) -> bool:
        if word in self._words:
            return True
        if not (word.startswith(self._prefixes) or self._stems.search(word)):
            return False
        word = self._harmless.sub(" ", word)  # what this leaves holds no stem that was not there before
        return word.startswith(self._prefixes) or bool(self._stems.search(word))


class Phrases:
    """Phrases to take out of views, as whole words, and as one word that they are joined to."""

    def __init__(self, phrases: Iterable[str]) -> None:
        plain = {_plain_words(phrase) for phrase in phrases} - {""}
        self._known = frozenset(plain | {joined for each in plain if len(joined := each.replace(" ", "")) > 7})
        self.beginnings = frozenset(each.partition(" ")[0] for each in self._known)
        """The first word of each."""
        self._longest = max((each.count(" ") + 1 for each in plain), default=0)

    def without(self, view: str) -> str:
        """A view less every phrase that it holds."""
        words, made, at = view.split(), [], 0
        while at < len(words):
            size = next((n for n in range(self._longest, 0, -1) if " ".join(words[at:at + n]) in self._known), 0)
            made += words[at:at + 1] if not size else []
            at += size or 1
        return " ".join(made)
