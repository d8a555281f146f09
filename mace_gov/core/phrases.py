"""When two phrases are one: the comparison that every list of words in a policy or a file goes through."""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = re.compile(r"^(?:an?|the) (?=\S)")
_JOINTS = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")
_SELECTORS = range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)


def visible(text: str) -> str:
    """``text`` without characters that nobody sees: zero widths, soft hyphens, direction marks, variation selectors.

    Line breaks and tabs stay; they are blanks.
    """
    return "".join(char for char in text if char in "\t\n\r" or not _hidden(char))


def tidy(text: str) -> str:
    """A phrase as it is meant: composed (Unicode NFC), only visible characters, single blanks, none at the ends.

    >>> tidy("cafe\\u0301  ter\\u200brace ")
    'café terrace'
    """
    return " ".join(unicodedata.normalize("NFC", visible(text)).split())


def phrase_key(text: str) -> str:
    """What two phrases share when they mean the same words: tidied, without case, hyphens or a leading article.

    >>> phrase_key("The Fire-Truck") == phrase_key("fire  truck")
    True
    """
    key = " ".join(_JOINTS.sub(" ", tidy(text).casefold()).split())
    return unicodedata.normalize("NFC", _ARTICLES.sub("", key))


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Cc", "Cs", "Cn") or any(ord(char) in each for each in _SELECTORS)
