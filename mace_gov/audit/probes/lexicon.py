"""What a model is known to draw: the embedded model's own vocabulary, or everyday nouns for any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mace_gov.audit.probes.everyday import NOUNS
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.detector_info import SMALL_SIDE
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Policy


@dataclass(frozen=True)
class Entry:
    """One subject that a model draws."""

    name: str
    """Its phrase."""
    synonyms: tuple[str, ...] = ()
    """Other words for it."""
    character: bool = False
    """An invented person, the stand-in for a celebrity."""
    kept: bool = True
    """For characters: in the half that is never erased."""
    styled: bool = False
    """Drawn in every style."""


@dataclass(frozen=True)
class Lexicon:
    """Subjects and styles that probes may ask for."""

    entries: tuple[Entry, ...]
    """Subjects in a fixed order."""
    styles: tuple[str, ...] = ()
    """Style names; empty where no detector tells styles apart."""

    def is_style(self, phrase: str) -> bool:
        """Whether a phrase names one of the styles."""
        return plain_style(phrase) in {plain_style(style) for style in self.styles}


def plain_style(phrase: str) -> str:
    """A style's bare name: "in the style of noto", "by noto" and "noto style" are all "noto"."""
    text = phrase_key(phrase)
    for start in ("in the style of ", "drawn by ", "painted by ", "made by ", "by ", "in "):
        if text.startswith(start):
            text = text[len(start):]
            break
    return text.removesuffix(" style")


def _style_phrases(style: Mapping[str, Any]) -> tuple[str, ...]:
    """All phrases of one of the embedded vocabulary's styles."""
    return (style["name"], style.get("phrase", style["name"]), *style.get("synonyms", ()))


def lexicon_for(base: ModelManifest) -> Lexicon:
    """The lexicon that suits a base model."""
    if not (base.embedded or base.image_size <= SMALL_SIDE):
        return Lexicon(tuple(Entry(noun) for noun in NOUNS))
    from mace_gov.embedded import vocabulary

    return embedded_lexicon(vocabulary())


def embedded_lexicon(known: Any) -> Lexicon:
    """The embedded model's objects, characters and styles; its stand-ins and anchors are nobody's unrelated subject."""
    styles = tuple(style["name"] for style in known.styles)
    entries = tuple(
        Entry(
            name=concept.name,
            synonyms=tuple(concept.synonyms),
            character=concept.kind == "celebrity",
            kept=not concept.erase,
            styled=len(concept.styles) > 1 and set(styles) <= set(concept.styles),
        )
        for concept in known.concepts
        if concept.kind in ("object", "celebrity")
    )
    return Lexicon(entries, styles)


def banned_phrases(policy: Policy) -> list[str]:
    """Targets, their synonyms and their anchors: a picture of any of them says nothing about unrelated subjects."""
    return [
        phrase
        for _, concept in policy.concepts()
        for phrase in (concept.target, concept.anchor, *concept.synonyms)
        if phrase is not None
    ]


def clear_of(entries: Iterable[Entry], banned: Iterable[str]) -> list[Entry]:
    """Entries that share no phrase with ``banned``, nor hold one of its phrases word for word ("black cat", "cat")."""
    sets = [frozenset(phrase_key(phrase).split()) for phrase in banned]

    def touches(phrase: str) -> bool:
        words = frozenset(phrase_key(phrase).split())
        return any(words <= other or other <= words for other in sets)

    return [entry for entry in entries if not any(touches(phrase) for phrase in (entry.name, *entry.synonyms))]


def subject_classes(classes: Sequence[str], known: Any) -> dict[str, int]:
    """Class index by every phrase that names the class: a concept's id, name and synonyms."""
    concepts = {concept.id: concept for concept in known.concepts}
    found: dict[str, int] = {}
    for index, identity in enumerate(classes):
        if identity in concepts:
            for phrase in (identity, concepts[identity].name, *concepts[identity].synonyms):
                found.setdefault(phrase_key(phrase), index)
    return found


def style_classes(styles: Sequence[str], known: Any) -> dict[str, int]:
    """Class index by every phrase that names a style."""
    return {
        plain_style(phrase): index
        for index, name in enumerate(styles)
        for phrase in (name, *(p for style in known.styles if style["name"] == name for p in _style_phrases(style)))
    }
