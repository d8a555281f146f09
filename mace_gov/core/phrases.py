"""When two phrases are one: the comparison that every list of words in a policy or a file goes through."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

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
_LETTER = re.compile(r"(?:LATIN|INDICATOR SYMBOL|SQUARED|CIRCLED)\b.* LETTER (?:.* )?([A-Z]{1,2})$")
_FIRST = dict.fromkeys((0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)) | str.maketrans("\u03f2\u03f9\u03f3", "ccj")
_NAMED = {"DOTLESS I": "i", "ALPHA": "a", "IOTA": "i", "ETH": "d", "THORN": "p", "ESH": "s", "EZH": "z", "CLICK": "l"}
_LOOK_ALIKES = str.maketrans({pair[0]: pair[1] for row in (
    # Cyrillic
    "аa бb вb гr дd еe єe ғf һh нh иu іi јj кk ӏl лn мm пn оo рp ԛq сc ԁd ѕs тt уy үy ѵv ѡw шw щw хx цu ьb ъb эe яr зe",
    # Greek
    "αa βb γy δd εe ζz ηn ιi κk λl μu νv ξe οo πn ρp σo ςs τt υu χx ωw θo",
    # Armenian
    "աw բp գq զq հh յj լl ոn սu ցg քp օo ռn",
    # Lisu, Cherokee
    "ꓮa ꓐb ꓚc ꓓd ꓰe ꓝf ꓖg ꓧh ꓲi ꓙj ꓗk ꓡl ꓟm ꓠn ꓳo ꓑp ꓣr ꓢs ꓔt ꓴu ꓦv ꓪw ꓫx ꓬy ꓜz "
    "Ꭺa Ᏼb Ꮯc Ꭰd Ꭼe Ꮐg Ꮋh Ꭵi Ꭻj Ꮶk Ꮮl Ꮇm Ꮲp Ꮢr Ꮪs Ꭲt Ꮩv Ꮃw Ꮍy Ꮓz",
) for pair in row.split()})


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


def skeleton(text: str) -> str:
    """What a text looks like: lower case, Latin where letters look Latin, plain digits, no accents, nothing invisible.

    For filters, which must read what a person would; two different phrases may share it, so it tells nothing apart.
    Letters of other scripts that look like no Latin one stay.

    >>> skeleton("\u0441h\u0456l\u200bd  \uff43\uff48\uff49\uff4c\uff44 Ni\u00f1o")
    'child  child nino'
    """
    if text.isascii() and text.isprintable():
        return text.lower()
    parts = unicodedata.normalize("NFKD", visible(text).translate(_FIRST)).casefold().translate(_LOOK_ALIKES)
    kept = "".join(_latin(char) for char in parts if unicodedata.category(char) not in ("Mn", "Me"))
    return unicodedata.normalize("NFKC", visible(kept))


@cache
def _latin(char: str) -> str:
    """The Latin letters or the digit that a character is by its Unicode name; else the character."""
    if char.isascii():
        return char
    if unicodedata.category(char) == "Nd":
        return str(unicodedata.digit(char))
    name = unicodedata.name(char, "").partition(" WITH ")[0]
    if name.startswith("LATIN"):
        for ending, letter in _NAMED.items():
            if name.endswith(ending):
                return letter
    found = _LETTER.search(name)
    return found[1].lower() if found else char


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Cc", "Cs") or char in _UNSEEN
