"""What a trained LoRA depends on. The plan foresees with it what will be reused, the erasure reuses by it.

A LoRA is kept under two keys. ``lora_key`` holds all that is its own: base, concept, anchor, pictures, settings.
``refinement_key`` holds what it was trained on besides: the refined model, which every other target has a part in. A
LoRA that was trained on another refinement still serves, which is what makes adding one concept cheap; an exact plan
wants both keys.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from mace_gov.core.canonical import digest_of
from mace_gov.documents.document import Document, Slug
from mace_gov.documents.drawable import may_draw
from mace_gov.documents.plan import ErasurePlan, Target

PICTURES_VERSION = 2
"""Raised whenever the same plan would draw other training pictures or heat."""

LORA_VERSION = 4
"""Raised whenever the same plan would train other weights."""


class Reuse(Document):
    """What will become of one concept's LoRA, and why."""

    concept: Slug
    """Concept id."""
    lora: Literal["reused", "trained", "none"]
    """From the cache, trained now, or not needed."""
    pictures: bool
    """Whether its training pictures are in the cache."""
    why: str
    """In words."""


def derived_seed(seed: int, name: str) -> int:
    """A seed of its own for ``name``, from the plan's seed and not from any order."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:7], "big")


def training_templates(plan: ErasurePlan, target: Target) -> list[str]:
    """One template per training picture, the plan's in turn."""
    return [plan.templates[n % len(plan.templates)] for n in range(target.lora.images)]


def drawable(plan: ErasurePlan, target: Target) -> bool:
    """Whether training pictures of a target may be made at all; what is erase-only is refined, never drawn."""
    if target.erase_only:
        return False
    prompts = (template.replace("{}", target.target) for template in training_templates(plan, target))
    return all(may_draw(target.kind, prompt) for prompt in (target.target, *prompts))


def pictures_key(plan: ErasurePlan, target: Target) -> str:
    """Digest of everything that the training pictures depend on."""
    return digest_of({
        "what": f"pictures/v{PICTURES_VERSION}",
        "base": plan.base.digest,
        "seed": derived_seed(plan.seed, target.id),
        "target": target.target,
        "templates": training_templates(plan, target),
        "generation": plan.generation.to_json(),
    })


def lora_inputs(plan: ErasurePlan, target: Target) -> dict[str, Any]:
    """Everything of its own that a LoRA depends on, as plain values that can be compared."""
    return {
        "what": f"lora/v{LORA_VERSION}",
        "base": plan.base.digest,
        "seed": derived_seed(plan.seed, target.id),
        "target": target.target,
        "anchor": target.anchor,
        "templates": plan.templates,
        "refine": plan.refine.to_json(),
        "refineTokens": plan.refine_tokens,
        "names": target.other_names if plan.refine_names else None,
        # what is held out follows from the targets, as what the refinement maps does
        "preserve": plan.preserve.model_copy(update={"held_out": None}).to_json(),
        "generation": plan.generation.to_json(),
        "lora": target.lora.to_json(),
        **({"segmenter": plan.segmenter.to_json()} if plan.segmenter and target.lora.masks == "segmenter" else {}),
    }


def lora_key(plan: ErasurePlan, target: Target) -> str:
    """Digest of all that is a LoRA's own."""
    return digest_of(lora_inputs(plan, target))


def refinement_targets(plan: ErasurePlan) -> list[list[str]]:
    """Every target's share in the refinement: phrase and anchor, sorted."""
    return sorted([target.target, target.anchor] for target in plan.targets)


def refinement_key(plan: ErasurePlan) -> str:
    """Digest of the refined model that LoRAs are trained on."""
    named = sorted({name for target in plan.targets for name in target.other_names or []})
    return digest_of({
        "base": plan.base.digest, "templates": plan.templates, "refine": plan.refine.to_json(),
        "refineTokens": plan.refine_tokens, "refineNames": plan.refine_names, "preserve": plan.preserve.to_json(),
        "targets": refinement_targets(plan), "otherNames": named,
        **({"weights": weights} if (weights := {t.id: t.weight for t in plan.targets if t.weight}) else {}),
    })
