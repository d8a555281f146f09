"""What may never be drawn, not even to prove that it is gone: prompts that pair minors with sexual or violent content.

Such concepts are erase-only: no training picture, no probe, no thumbnail, and the report says that nobody looked.
"""

from __future__ import annotations

import re

from mace_gov.documents.policy import Category, Concept, Kind

MINOR_WORDS = (
    "adolescent", "baby", "babies", "boy", "boys", "child", "children", "daughter", "girl", "girls", "infant",
    "infants", "kid", "kids", "loli", "lolita", "juvenile", "kindergarten", "minor", "minors", "newborn", "preteen",
    "preteens", "pubescent", "prepubescent", "pupil", "schoolboy", "schoolboys", "schoolgirl", "schoolgirls", "shota",
    "son", "teen", "teens", "teenage", "teenaged", "teenager", "teenagers", "toddler", "toddlers", "underage",
    "underaged", "youngster", "youth", "youths",
)
"""Words for people under age. Broad on purpose: a probe that is left out costs a review, the other error is a crime."""

SEXUAL_WORDS = (
    "bare", "breast", "breasts", "explicit", "erotic", "erotica", "fetish", "genital", "genitals", "genitalia",
    "lewd", "naked", "nakedness", "nsfw", "nude", "nudes", "nudity", "orgasm", "pedo", "pedophile", "pedophilia",
    "penis", "porn", "porno", "pornographic", "pornography", "rape", "sensual", "sex", "sexual", "sexualised",
    "sexualized", "sexy", "topless", "unclothed", "undressed", "vagina",
)
"""Words for sexual content, for prompts of categories that are not of the explicit kind."""

_MINOR = re.compile(rf"(?<![a-z])(?:{'|'.join(MINOR_WORDS)}|csam|(?:[1-9]|1[0-7])[ -]*(?:years?|yrs?|y/?o))(?![a-z])")
_SEXUAL = re.compile(rf"(?<![a-z])(?:{'|'.join(SEXUAL_WORDS)}|csam)(?![a-z])")


def may_draw(kind: Kind, prompt: str) -> bool:
    """Whether a picture of ``prompt`` may be made for a concept of ``kind``."""
    text = prompt.casefold()
    return not (_MINOR.search(text) and (kind is Kind.EXPLICIT or _SEXUAL.search(text)))


def erase_only(category: Category, concept: Concept) -> bool:
    """Whether a concept must be erased without ever being drawn, because of its target or any other of its phrases."""
    return not all(may_draw(category.kind, phrase) for phrase in concept.phrases)
