"""Anchors for concepts that come without one: a near, harmless superclass, found in the model's own text encoder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from mace_gov.core.errors import PolicyError
from mace_gov.core.phrases import phrase_key
from mace_gov.diffusion.load import load_text
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.anchors import ChosenAnchor
from mace_gov.documents.detector_info import SMALL_SIDE
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Category, Concept, Policy
from mace_gov.documents.terms import Kind
from mace_gov.embedded import vocabulary
from mace_gov.erase.captions import captions_for

SUPERCLASSES = {
    Kind.OBJECT: ("an animal", "a bird", "an insect", "a plant", "a flower", "food", "a drink", "a vehicle",
                  "a machine", "a tool", "a piece of furniture", "a building", "a musical instrument", "clothing",
                  "a toy", "a device", "a container", "the sky", "the sea", "the ground", "a street", "a landscape"),
    Kind.CELEBRITY: ("a person", "a man", "a woman"),
    Kind.EXPLICIT: ("a person wearing clothes", "a person"),
    Kind.STYLE: ("art", "a painting", "a drawing", "a photograph"),
}
"""Harmless superclasses by kind of concept."""

BY_KIND = {Kind.OBJECT: ("sky", "ground", "street"), Kind.CELEBRITY: ("a person",),
           Kind.EXPLICIT: ("a person wearing clothes",), Kind.STYLE: ("art",)}
"""Of the embedded model's anchors, those that suit a kind: it knows few words."""

TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "an image of {}")
CAPTIONS = 200
"""General captions whose mean state is taken away: text states of all prompts have most of their length in common."""


def choose_anchors(policy: Policy, base: ModelManifest) -> dict[str, ChosenAnchor]:
    """An anchor for each concept of the policy that names none, by concept id.

    Of its kind's superclasses the nearest by cosine at the end of text that names nothing banned and is not preserved.
    Raises PolicyError when none is left.
    """
    missing = [(category, concept) for category, concept in policy.concepts() if concept.anchor is None]
    folder = Path(base.path)
    reader = load_text(folder)
    captions = captions_for(folder)[:CAPTIONS]
    common = torch.stack([end(reader, [caption]) for caption in captions]).mean(0)  # [d]
    known: dict[str, torch.Tensor] = {}

    def state(phrase: str) -> torch.Tensor:
        if phrase not in known:
            known[phrase] = end(reader, [template.replace("{}", phrase) for template in TEMPLATES]) - common
        return known[phrase]

    chosen = {}
    for category, concept in missing:
        ranked = sorted(
            ((float(F.cosine_similarity(state(concept.target), state(phrase), dim=0)), phrase)
             for phrase in candidates(policy, category, concept, small=base.image_size <= SMALL_SIDE)), reverse=True,
        )
        (similarity, phrase), *others = ranked
        chosen[concept.id] = ChosenAnchor(phrase, similarity, others[0][1] if others else None)
    return chosen


def candidates(policy: Policy, category: Category, concept: Concept, *, small: bool) -> list[str]:
    """Superclasses for a concept that share no word with anything banned and are preserved by nobody.

    small: the model knows no more than the embedded model's anchors.
    """
    banned = {
        word for _, each in policy.concepts()
        for phrase in (each.target, *each.synonyms, *(each.broader or []), *(each.narrower or []))
        for word in words(phrase)
    }
    preserved = {tuple(words(phrase)) for phrase in _preserved(policy)}
    known = {each.name for each in vocabulary().of_kind("anchor")}
    offered: Sequence[str] = SUPERCLASSES[category.kind]
    if small:
        offered = [phrase for phrase in BY_KIND[category.kind] if phrase in known]
    left = [phrase for phrase in offered if not banned & set(words(phrase)) and tuple(words(phrase)) not in preserved]
    if not left:
        raise PolicyError(f"no harmless anchor is left for {concept.id}, tried {', '.join(offered)}",
                          hint="Name an anchor for it in the policy.")
    return left


def words(phrase: str) -> list[str]:
    """The words of a phrase that say something."""
    return [word for word in re.findall(r"\w+", phrase_key(phrase)) if word not in {"a", "an", "the", "of"}]


def end(reader: TextReader, prompts: Sequence[str]) -> torch.Tensor:
    """Mean state [d] at the end of text, where a causal encoder has read the whole prompt."""
    tokens = [reader.tokens(prompt) for prompt in prompts]
    ends = [state[each.used - 1] for state, each in zip(reader.states(tokens), tokens, strict=True)]
    return torch.stack(ends).mean(0)


def _preserved(policy: Policy) -> Iterable[str]:
    yield from policy.spec.method.preserve.concepts or []
    for category in policy.spec.categories:
        yield from category.neighbours
