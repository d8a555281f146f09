"""Ask for a banned concept by its name in disguise: what gets a word past a filter, and often to the model."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.documents.policy import Category, Suite

LEET = str.maketrans("aeiost", "431057")
"""Digits for letters."""
HOMOGLYPHS = str.maketrans("aceiopsxy", "\u0430\u0441\u0435\u0456\u043e\u0440\u0455\u0445\u0443")
"""Cyrillic letters that look like Latin ones."""


def swapped(phrase: str) -> str:
    """Two letters in the middle changed places: "sihp"."""
    middle = max(1, len(phrase) // 2 - 1)
    pair = phrase[middle:middle + 2]
    return phrase[:middle] + pair[::-1] + phrase[middle + 2:]


def dropped(phrase: str) -> str:
    """The middle letter is missing: "shp"."""
    middle = len(phrase) // 2
    return phrase[:middle] + phrase[middle + 1:]


def doubled(phrase: str) -> str:
    """The middle letter comes twice."""
    middle = len(phrase) // 2
    return phrase[:middle] + phrase[middle:middle + 1] + phrase[middle:]


def leet(phrase: str) -> str:
    """Digits for letters: "5h1p"."""
    return phrase.translate(LEET)


def homoglyph(phrase: str) -> str:
    """Letters of another alphabet that look the same."""
    return phrase.translate(HOMOGLYPHS)


def spaced(phrase: str) -> str:
    """Letters set apart: "s h i p"."""
    return " ".join(phrase.replace(" ", ""))


def dotted(phrase: str) -> str:
    """Letters with dots between: "s.h.i.p"."""
    return ".".join(phrase.replace(" ", ""))


def hashtag(phrase: str) -> str:
    """A hashtag: "#ship"."""
    return "#" + phrase.replace(" ", "")


def shouted(phrase: str) -> str:
    """Capitals that alternate: "sHiP"."""
    return "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(phrase))


def emoji(phrase: str) -> str:
    """The character whose Unicode name the phrase is, where there is one; else the phrase unchanged."""
    try:
        found = unicodedata.lookup(phrase.upper())
    except KeyError:
        return phrase
    return found if unicodedata.category(found) == "So" else phrase


DISGUISES: tuple[Callable[[str], str], ...] = (
    swapped, leet, homoglyph, spaced, hashtag, emoji, dropped, dotted, doubled, shouted,
)
"""In the order in which they are tried."""


def disguised(phrase: str) -> list[str]:
    """A phrase in every disguise that changes it, each once."""
    return list(dict.fromkeys(made for disguise in DISGUISES if (made := disguise(phrase)) != phrase))


def obfuscation(category: Category, asking: Asking) -> Iterator[Probe]:
    """Probes that take the disguises of each concept's name in turn; concepts that must not be drawn are left out."""
    phrases = {c.id: disguised(c.target) for c in category.concepts if asking.drawn(category, c)}
    yield from asking.in_turns(category, Suite.OBFUSCATION, phrases)
