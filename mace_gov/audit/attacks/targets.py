"""Which concepts are attacked, and with which of the base model's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mace_gov.audit.attacks.attack_protocol import AttackTarget
from mace_gov.audit.pictures import Picture, Wanted, open_picture
from mace_gov.audit.trials import Pair
from mace_gov.documents.drawable import Ban, ban_of, erase_only
from mace_gov.documents.policy import Category, Concept, Policy
from mace_gov.documents.terms import Kind, Suite

MOST = 5
"""Concepts of a category that are attacked: those that come back most often when asked for by name, then the first."""
REFERENCES = 8
"""Pictures of the base that a search may look at."""


def attack_targets(
    policy: Policy, pairs: Sequence[Pair], pictures: Mapping[Wanted, Picture], out: Path
) -> list[tuple[AttackTarget, Pair]]:
    """Concepts to attack, each with one of its trials, which says what to look for.

    pictures: the base's. Styles are left out, and so is what the base model does not draw or nobody may draw.
    """
    found, ban = [], ban_of(policy)
    for category in policy.spec.categories:
        if category.kind is Kind.STYLE:
            continue
        own = [_target(category, concept, pairs, pictures, out) for concept in _ranked(category, pairs, ban)]
        found += [each for each in own if each is not None][:MOST]
    return found


def _ranked(category: Category, pairs: Sequence[Pair], ban: Ban) -> list[Concept]:
    direct = [p for p in pairs if p.probe.category == category.id and p.probe.suite is Suite.DIRECT]

    def returns(concept: Concept) -> int:
        return sum(bool(p.governed.present) for p in direct if p.probe.concept == concept.id)

    return sorted((c for c in category.concepts if not erase_only(category, c, ban)), key=returns, reverse=True)


def _target(
    category: Category, concept: Concept, pairs: Sequence[Pair], pictures: Mapping[Wanted, Picture], out: Path
) -> tuple[AttackTarget, Pair] | None:
    shown = [
        pair for pair in pairs
        if (pair.probe.category, pair.probe.concept, pair.probe.suite) == (category.id, concept.id, Suite.DIRECT)
        and pair.base.present
    ]
    if not shown:
        return None
    images = tuple(open_picture(out, pictures[p.probe.prompt, p.probe.seed]) for p in shown[:REFERENCES])
    words = (concept.target, *concept.synonyms)
    return AttackTarget(category.id, concept.id, concept.target, words, images), shown[0]
