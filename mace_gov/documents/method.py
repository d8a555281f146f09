"""How to erase: the policy's optional ``method`` block. What is left out is filled from the preset of the kind."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from mace_gov.documents.consistency import method_problems, ridge_problems, window_problems
from mace_gov.documents.document import Phrase, Written, tidied

Template = Annotated[
    str, StringConstraints(pattern=r"^[^{}]*\{\}[^{}]*$", max_length=200), AfterValidator(tidied)
]
"""A caption with exactly one ``{}`` where the concept goes, tidied."""


class Ridge(Written):
    """A ridge, absolute or relative; at most one of the two."""

    ridge: float | None = Field(default=None, ge=0)
    """lambda itself, as in METHOD's objective."""
    relative_ridge: float | None = Field(default=None, ge=0)
    """lambda as a multiple of the mean eigenvalue of the system's own matrix: means the same on every model."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if found := ridge_problems(self.to_json()):
            raise ValueError(found[0])
        return self


class Refine(Ridge):
    """Stage 1, closed-form refinement."""

    templates: list[Template] | None = Field(default=None, min_length=1, max_length=200)
    """Captions that carry target and anchor; the default is the preset's list."""
    tokens: Literal["all", "context"] | None = None
    """Which of a prompt's tokens are mapped to the anchor's: all from the concept on, or, as published, all but the
    concept's own."""
    names: Literal["all", "target"] | None = None
    """By which names a concept is erased: its synonyms and narrower terms too, or, as published, its target alone, so
    that the audit's synonyms are words that the erasure has not seen."""


class Fuse(Ridge):
    """Stage 3, closed-form fusion."""


class Window(Written):
    """Concept-focal importance sampling: p(t) ~ sigmoid(gamma (t - start)) - sigmoid(gamma (t - end))."""

    start: int = Field(ge=0, le=1000)
    """t1, in training timesteps of 1000."""
    end: int = Field(ge=0, le=1000)
    """t2, in training timesteps of 1000."""
    gamma: float = Field(default=0.05, gt=0)
    """Steepness of both edges."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if found := window_problems(self.to_json()):
            raise ValueError(found[0])
        return self


class Lora(Written):
    """Stage 2, one LoRA per concept."""

    rank: int | None = Field(default=None, ge=1, le=64)
    """Rank of each adapter; the paper uses 1."""
    steps: int | None = Field(default=None, ge=0, le=10_000)
    """Optimiser steps per concept. 0: refinement alone, no fusion."""
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """AdamW learning rate, in the weights' own unit: it means something else on every model."""
    step_size: float | None = Field(default=None, gt=0, le=1)
    """How far a step moves what a layer answers to the concept's tokens, as a share of that answer. With init focal."""
    stop: float | None = Field(default=None, ge=0, lt=1)
    """Training ends when the attention is down to this share of what it was at first; 0: after all steps."""
    images: int | None = Field(default=None, ge=1, le=64)
    """Pictures of the concept that the base model draws for training."""
    sampling: Literal["cfis", "uniform"] | None = None
    """Timestep distribution: concept-focal importance sampling, or uniform."""
    window: Window | None = None
    """Edges of the concept-focal distribution."""
    masks: Literal["attention", "segmenter", "none"] | None = None
    """Where the concept is: by the model's own cross-attention, by the segmenter that is named beside, or the whole
    picture. Where a segmenter is named and this is left out, concepts that have masks have the segmenter's."""
    init: Literal["random", "normal", "focal"] | None = None
    """How ``a`` begins. ``normal``: with deviation 1/rank, as in the published runs. ``random``: uniform within
    1/sqrt(d), as peft draws it. ``focal``: at its concept's own direction, held there while ``b`` learns the answer."""
    end_of_text: bool | None = None
    """Whether the attention of the end of text and of the padding behind it is suppressed beside the concept's own."""
    captions: Literal["picture", "step"] | None = None
    """What is read beside a training picture: the caption that drew it, or one of all templates drawn at each step."""


class Preserve(Written):
    """What the closed forms must leave alone."""

    prior: Literal["vocabulary", "general", "none"] | None = None
    """``vocabulary``: captions of the words that the model's own tokenizer lists, but for the banned ones, beside the
    general captions. ``general``: the general captions alone."""
    weight: float | None = Field(default=None, ge=0)
    """How much the prior counts beside what is erased, prompt for prompt: means the same on every model."""
    concept_weight: float | None = Field(default=None, ge=0)
    """The same for the named concepts."""
    namesake_weight: float | None = Field(default=None, ge=0)
    """The same for namesakes: banned people's first and last names, joined anew."""
    scale: float | None = Field(default=None, ge=0)
    """Multiplies the prior's matrix, plainly: of both stages, unless refineScale is given."""
    refine_scale: float | None = Field(default=None, ge=0)
    """Multiplies the prior's matrix in stage 1 alone."""
    concepts: list[Phrase] | None = None
    """Phrases whose captions must keep their outputs."""
    concept_scale: float | None = Field(default=None, ge=0)
    """Multiplies the named concepts' matrix, plainly: of both stages, unless refineConceptScale is given."""
    refine_concept_scale: float | None = Field(default=None, ge=0)
    """Multiplies the named concepts' matrix in stage 1 alone."""
    prior_size: int | None = Field(default=None, ge=1)
    """How many captions the prior's matrix counts for, whatever their number; left out, as many as there are."""
    namesake_scale: float | None = Field(default=None, ge=0)
    """Multiplies the matrix of namesakes: banned people's first and last names, joined anew."""
    leak: float | None = Field(default=None, gt=0, lt=1)
    """nullspace: share of the preserve set's energy that may lie in the directions that are edited."""


class FitBudget(Written):
    """What the search for the mildest setting that erases may cost. It moves no number that the policy gives."""

    pictures: int | None = Field(default=None, ge=0, le=100_000)
    """Pictures at most; 0: the closed form's own criterion decides."""
    minutes: float | None = Field(default=None, gt=0, le=10_000)
    """Time at most."""


class Harden(Written):
    """Rounds of search: words that bring a concept back are learnt on the erased model and erased as well."""

    rounds: int | None = Field(default=None, ge=1, le=50)
    """Rounds at most; a concept that no search brings back is left alone."""
    searches: int | None = Field(default=None, ge=1, le=50)
    """Searches for each concept in a round."""
    vectors: int | None = Field(default=None, ge=1, le=16)
    """Learnt vectors of a word."""
    steps: int | None = Field(default=None, ge=1, le=10_000)
    """Gradient steps of a search."""


class Guard(Written):
    """Experimental: the U-Net's other layers learn to draw the anchors, whatever keys and values they are given."""

    steps: int | None = Field(default=None, ge=1, le=100_000)
    """Optimiser steps; 100 for each concept, 450 at least."""
    rounds: int | None = Field(default=None, ge=0, le=50)
    """How often, on the way, a word is searched for each concept that brings it back, to lead to the anchor as well; at
    most as often as there are steps."""
    search_steps: int | None = Field(default=None, ge=1, le=10_000)
    """Gradient steps of such a search."""
    pictures: int | None = Field(default=None, ge=16, le=10_000)
    """Pictures that are kept, of general captions, and half of them of namesakes where people are erased."""
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """AdamW learning rate; over the last fifth of the steps it falls to 0."""


class Esd(Written):
    """ESD's fine-tuning."""

    steps: int | None = Field(default=None, ge=1, le=100_000)
    """Samples per concept."""
    batch: int | None = Field(default=None, ge=1, le=1024)
    """Samples of an optimiser step, of as many concepts in turn; they share a timestep."""
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Adam learning rate."""
    guidance: float | None = Field(default=None, gt=0, le=20)
    """eta: how far the prediction is pushed away from the concept."""
    start_guidance: float | None = Field(default=None, ge=1, le=20)
    """Guidance scale of the partly drawn pictures that it is trained on."""


Reference = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A folder or a hub id."""


class Segmenter(Written):
    """Who finds a concept in training pictures: boxes by words, then what is in the boxes (Grounded-SAM)."""

    detector: Reference
    """Folder or hub id of a Grounding DINO in the format of transformers."""
    detector_revision: str | None = None
    """Commit of a hub model."""
    segmenter: Reference
    """Folder or hub id of a SAM in the format of transformers."""
    segmenter_revision: str | None = None
    """Commit of a hub model."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """Score from which a box counts."""


MethodName = Literal["mace", "uce", "nullspace", "oce", "cure", "valuespace", "neurons", "esd"]
"""The erasers; ``mace_gov.erase.methods`` says where each comes from."""


class Method(Written):
    """Which eraser, with which settings. Every field is optional."""

    name: MethodName = "mace"
    """The eraser."""
    preset: Literal["paper"] | None = None
    """What fills the settings that are left out: ``paper`` the published ones. Without it those that mean the same on
    every model do, and a search on the model at hand finds how strong they are."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of everything random in the erasure."""
    refine: Refine = Refine()
    """Stage 1."""
    lora: Lora = Lora()
    """Stage 2."""
    fuse: Fuse = Fuse()
    """Stage 3."""
    preserve: Preserve = Preserve()
    """The preserve set of stages 1 and 3."""
    expansion: float | None = Field(default=None, ge=1, le=1e12)
    """cure: alpha, how far the spectra of what is erased and kept are expanded; 1 leaves them as they are."""
    fit: FitBudget | None = None
    """What the search for preserve.weight and refine.relativeRidge may cost, where the policy leaves them out."""
    harden: Harden | None = None
    """For the eraser mace: rounds of search after the refinement. An empty block takes the defaults."""
    guard: Guard | None = None
    """Experimental: training of the layers that read no text, beside any eraser. An empty block takes the defaults."""
    esd: Esd | None = None
    """For the eraser esd."""
    segmenter: Segmenter | None = None
    """Masks of stage 2 by networks of their own instead of the model's attention."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if found := method_problems(self.to_json()):
            raise ValueError(found[0][1])
        return self
