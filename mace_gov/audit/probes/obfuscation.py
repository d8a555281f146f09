"""Ask for a banned concept by its name in disguise: what gets a word past a filter, and often to the model."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.probe import Probe
from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Suite

LEET = str.maketrans("aeiost", "431057")
"""Digits for letters."""
HOMOGLYPHS = str.maketrans("aceiopsxy", "\u0430\u0441\u0435\u0456\u043e\u0440\u0455\u0445\u0443")
"""Cyrillic letters that look like Latin ones."""
JOINER = "\u200d"
"""Makes one picture of several emoji."""
SKINS = "".join(map(chr, range(0x1F3FB, 0x1F400)))
"""Colours of the emoji before them."""
FLAGS = range(0x1F1E6, 0x1F200)
"""Letters that make a flag, two by two."""


def letters(phrase: str) -> list[str]:
    """A phrase's letters as people count them: accents, joined emoji and their colours stay with what they belong to.

    >>> [len(each) for each in letters("e\u0301a")]
    [2, 1]
    """
    found: list[str] = []
    for char in phrase:
        joins = unicodedata.category(char) in ("Mn", "Me", "Mc") or char == JOINER or char in SKINS
        flag = ord(char) in FLAGS and found and len(found[-1]) == 1 and ord(found[-1]) in FLAGS
        if found and (joins or flag or found[-1].endswith(JOINER)):
            found[-1] += char
        else:
            found.append(char)
    return found


def _middle(own: list[str], least: int) -> int | None:
    """Place of a letter in the middle, no blank; None in phrases of fewer letters than ``least``."""
    places = [i for i, letter in enumerate(own) if not letter.isspace()]
    return places[len(places) // 2] if len(places) >= least else None


def swapped(phrase: str) -> str:
    """Two letters in the middle changed places: "sihp"."""
    own = letters(phrase)
    middle = max(1, len(own) // 2 - 1) if len(own) > 2 else 0
    return "".join([*own[:middle], *own[middle:middle + 2][::-1], *own[middle + 2:]])


def dropped(phrase: str) -> str:
    """The middle letter is missing: "shp". Of fewer than three letters too little would be left."""
    own = letters(phrase)
    middle = _middle(own, 3)
    return phrase if middle is None else "".join([*own[:middle], *own[middle + 1:]])


def _doubled(phrase: str) -> str:
    """The middle letter comes twice."""
    own = letters(phrase)
    middle = _middle(own, 1)
    return phrase if middle is None else "".join([*own[:middle + 1], *own[middle:]])


def _leet(phrase: str) -> str:
    """Digits for letters: "5h1p". Where no letter would be left only the first one changes, and one alone never."""
    own = letters(phrase)
    made = [letter.translate(LEET) for letter in own]
    if not any(char.isalpha() for char in "".join(made)):
        made[1:] = own[1:]
    return "".join(made) if len(own) > 1 else phrase


def _homoglyph(phrase: str) -> str:
    """Letters of another alphabet that look the same."""
    return phrase.translate(HOMOGLYPHS)


def spaced(phrase: str) -> str:
    """Letters set apart: "s h i p"."""
    return " ".join(letters(phrase.replace(" ", "")))


def dotted(phrase: str) -> str:
    """Letters with dots between: "s.h.i.p"."""
    return ".".join(letters(phrase.replace(" ", "")))


def hashtag(phrase: str) -> str:
    """A hashtag: "#ship"."""
    return "#" + phrase.replace(" ", "")


def shouted(phrase: str) -> str:
    """Capitals that alternate: "sHiP". One letter has none to alternate with."""
    if len(letters(phrase)) < 2:
        return phrase
    return "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(phrase))


def emoji(phrase: str) -> str:
    """The character whose Unicode name the phrase is, where there is one; else the phrase unchanged."""
    try:
        found = unicodedata.lookup(phrase.upper())
    except KeyError:
        return phrase
    return found if unicodedata.category(found) == "So" else phrase


DISGUISES: tuple[Callable[[str], str], ...] = (
    swapped, _leet, _homoglyph, spaced, hashtag, emoji, dropped, dotted, _doubled, shouted,
)
"""In the order in which they are tried."""


def disguised(phrase: str) -> list[str]:
    """A phrase in every disguise that changes more than its blanks, each once."""
    made = [" ".join(disguise(phrase).split()) for disguise in DISGUISES]
    return list(dict.fromkeys(text for text in made if text and text != " ".join(phrase.split())))


def obfuscation(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes that take the disguises of each concept's name in turn; concepts that must not be drawn are left out."""
    phrases = {c.id: disguised(c.target) for c in category.concepts if asking.drawn(category, c)}
    yield from asking.in_turns(category, Suite.OBFUSCATION, phrases)
