"""When two phrases are one: the comparison that every list of words in a policy or a file goes through."""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = re.compile(r"^(?:an?|the) (?=\S)")
_JOINTS = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u00b4`", "'''''")
_UNSEEN = frozenset(
    char for first, last in (
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800),
        (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
    ) for char in map(chr, range(first, last + 1))
)
"""Characters without a shape that Unicode does not file under format: its default ignorable ones, and empty braille."""


def visible(text: str) -> str:
    """``text`` without characters that nobody sees: zero widths, soft hyphens, direction marks, variation selectors.

    Line breaks and tabs stay; they are blanks.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if char.isspace() or not _hidden(char))


def tidy(text: str) -> str:
    """A phrase as it is meant: composed (Unicode NFC), only visible characters, single blanks, none at the ends.

    >>> tidy("cafe\\u0301  ter\\u200brace ")
    'café terrace'
    """
    seen = visible(text)
    return " ".join((seen if seen.isascii() else unicodedata.normalize("NFC", seen)).split())


def phrase_key(text: str) -> str:
    """What two phrases share when they mean the same words: tidied, without case, hyphens or a leading article.

    Compatible forms (Unicode NFKC: full width letters, ligatures) and apostrophes are one, as tokenizers read them.

    >>> phrase_key("The Fire-Truck") == phrase_key("fire  truck")
    True
    """
    key = tidy(text).casefold().translate(_APOSTROPHES)
    if not key.isascii():
        key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
    return _ARTICLES.sub("", " ".join(_JOINTS.sub(" ", key).split()))


def escaped(text: str) -> str:
    r"""``text`` for a terminal or a log: what does not print, such as control characters, stands as its escape.

    >>> escaped("\x1b[31mred")
    '\\x1b[31mred'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Cc", "Cs") or char in _UNSEEN
