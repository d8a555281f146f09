"""Settings by kind of concept: the default, whose numbers have no dimension, and the published ones.

The default means the same on every model: weights and ridges are shares of what is erased, LoRA steps are shares of
what a layer answers, and neither depends on the number of templates, captions or concepts nor on the text states'
length. What the model at hand forgives is found by a search on it (``mace_gov.fitting``).

The published ones are facts from the paper and its runs. There one scale s multiplies the prior and, times a weight w,
the named concepts: mu P = s (P_prior + w P_concepts) in the fusion. The refinement takes the scale squared. P_prior is
of some 617,000 captions, and w grows with the number of concepts. Where lambda = 0 is published, only the prior keeps
the system conditioned, and users of the authors' program got noise: a small relative ridge stands in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mace_gov.documents.method import Esd, Window
from mace_gov.documents.plan import (
    ClosedForm,
    EsdSettings,
    GenerationSettings,
    GuardSettings,
    HardenSettings,
    LoraSettings,
    PairedTokens,
)
from mace_gov.documents.terms import Kind


@dataclass(frozen=True)
class Preset:
    """Defaults of a kind: every setting that a policy may leave out."""

    lora: LoraSettings
    """Stage 2."""
    refine: ClosedForm
    """Stage 1 ridge."""
    fuse: ClosedForm
    """Stage 3 ridge."""
    prior: Literal["vocabulary", "general", "none"]
    """What is preserved unasked."""
    scale: float
    """Multiplies the prior's matrix."""
    concept_scale: float
    """Multiplies the preserved concepts' matrix."""
    namesake_scale: float = 0.0
    """Multiplies the namesakes' matrix, where the policy bans characters; the paper has none."""
    relative: bool = False
    """Whether scales are weights beside what is erased, prompt for prompt."""
    tokens: PairedTokens = "context"
    """What the refinement maps."""
    names: Literal["all", "target"] = "target"
    """By which names."""
    refine_scale: float | None = None
    """Multiplies the prior's matrix in stage 1; None: as in stage 3."""
    refine_concept_scale: float | None = None
    """Multiplies the preserved concepts' matrix in stage 1; None: as in stage 3."""
    prior_size: int | None = None
    """How many captions the prior counts for; None: as many as it is made of."""


PAPER_WINDOW = Window(start=200, end=400, gamma=0.05)

PRIOR_SIZE = 617_000
"""Captions in the published prior: all of COCO's."""

DOMAIN_WEIGHTS = {
    Kind.CELEBRITY: {1: 8e3, 10: 8e4, 100: 2e5},
    Kind.STYLE: {1: 8e4},
}
"""w by number of concepts, where it is published. Other kinds name nobody to preserve."""

_SCALES = {Kind.OBJECT: 0.0, Kind.CELEBRITY: 1e-4, Kind.EXPLICIT: 7e-7, Kind.STYLE: 1e-4}

PAPER_RATE = 1e-4
"""AdamW's learning rate, but for objects and explicit content."""

_LORA = LoraSettings(
    rank=1, steps=50, learning_rate=PAPER_RATE, images=8, sampling="cfis", window=PAPER_WINDOW, masks="attention",
    init="normal", end_of_text=True, captions="step",
)
PAPER_LORAS = {
    Kind.OBJECT: _LORA.model_copy(update={"learning_rate": 1e-5}),
    Kind.CELEBRITY: _LORA,
    Kind.EXPLICIT: _LORA.model_copy(update={"steps": 120, "learning_rate": 1e-5, "sampling": "uniform"}),
    Kind.STYLE: _LORA.model_copy(update={"masks": "none"}),
}
"""Stage 2, by kind."""


def paper(kind: Kind, concepts: int) -> Preset:
    """The published settings for so many concepts of a kind. Between published counts the weight is interpolated."""
    # The published ridges of objects lie between 1e1 and 1e3, tuned by concept; 1e2 is some 0.05 of the mean
    # eigenvalue there.
    ridge = ClosedForm(relative_ridge=0.05 if kind is Kind.OBJECT else 1e-3)
    scale, weight = _SCALES[kind], domain_weight(kind, concepts)
    return Preset(
        lora=PAPER_LORAS[kind], refine=ridge, fuse=ridge, prior="general" if scale else "none",
        scale=scale, concept_scale=scale * weight, refine_scale=scale**2, refine_concept_scale=scale**2 * weight,
        prior_size=PRIOR_SIZE if scale else None,
    )


def domain_weight(kind: Kind, concepts: int) -> float:
    """w for so many concepts: log-linear between published counts, constant beyond them; 0 where none is published."""
    known = sorted(DOMAIN_WEIGHTS.get(kind, {0: 0.0}).items())
    for (low, before), (high, after) in zip(known, known[1:], strict=False):
        if low <= concepts <= high:
            return before * math.pow(after / before, math.log(concepts / low) / math.log(high / low))
    return known[0][1] if concepts < known[0][0] else known[-1][1]


DEFAULT = {
    kind: Preset(
        lora=lora.model_copy(update={
            "steps": 50, "learning_rate": None, "step_size": 0.1, "stop": 0.1, "images": 4, "init": "focal",
            "end_of_text": None, "captions": None,
        }),
        refine=ClosedForm(relative_ridge=1e-3), fuse=ClosedForm(relative_ridge=1e-3), prior="vocabulary",
        scale=1.0, concept_scale=1.0, namesake_scale=0.5, relative=True, tokens="all", names="all",
    )
    for kind, lora in PAPER_LORAS.items()
}
"""Where the search begins. ``a`` is held at its concept's own direction (init focal), so that a LoRA is heard by
nothing else and a step can be told as a share of what its layer answers."""

HARDEN = HardenSettings(rounds=6, searches=3, vectors=1, steps=150)
"""Rounds of search, where a policy asks for them and says no more."""

GUARD = GuardSettings(steps=450, rounds=6, search_steps=150, pictures=150, learning_rate=1e-4)
"""Training of the layers that read no text, of few concepts."""
GUARD_STEPS_EACH = 100
"""Steps for each concept, where that is more."""

PAPER_GENERATION = GenerationSettings(steps=50, guidance=7.5, size=512, batch=4)


ESD_PAPER = EsdSettings(steps=1000, learning_rate=1e-5, guidance=1.0, start_guidance=3.0)

ESD_EMBEDDED = ESD_PAPER.model_copy(update={"steps": 100, "batch": 10, "learning_rate": 1e-4})
"""A tenth of the samples, in steps ten times as long: the embedded model's U-Net is a fiftieth of the size. Of learning
rates between 1e-5 and 3e-3 the best on 10 characters, asked in other wordings and seeds than the audit's (n = 10
erased, 100 kept, 20 objects): H .000 at 1e-5, .567 at 3e-5, .818 at 1e-4, .378 at 3e-4."""


def esd_settings(asked: Esd, *, embedded: bool) -> EsdSettings:
    """What the policy says, and the preset where it says nothing."""
    given = {name: value for name in Esd.model_fields if (value := getattr(asked, name)) is not None}
    return (ESD_EMBEDDED if embedded else ESD_PAPER).model_copy(update=given)


def guard_settings(concepts: int) -> GuardSettings:
    """Where a policy asks for a guard against so many concepts and says no more."""
    return GUARD.model_copy(update={"steps": max(GUARD.steps, GUARD_STEPS_EACH * concepts)})
