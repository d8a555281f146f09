"""The plan: a policy joined with a base model, every setting filled in. Decides nothing later on."""

from __future__ import annotations

from pathlib import PurePath, PureWindowsPath
from typing import Literal

from pydantic import Field

from mace_gov.core.canonical import digest_of
from mace_gov.documents.document import Digest, Document, Phrase, Slug
from mace_gov.documents.fit import Fit
from mace_gov.documents.method import MethodName, Window
from mace_gov.documents.terms import Kind


def portable_ref(ref: str) -> str:
    """``ref``, but only the name of a path that says where on somebody's disk it lies: that is nobody's business."""
    if PureWindowsPath(ref).drive or ref.startswith(("/", "~", ".", "\\")):
        return PureWindowsPath(ref).name or PurePath(ref).name or "model"
    return ref


Family = Literal["sd1", "sd2", "sdxl", "sd3", "flux"]
"""Model families; ``diffusion.families`` tells them apart."""


class ModelManifest(Document):
    """A model on disk, by content."""

    ref: str
    """As the user named it; of a path outside the working folder only its name, see ``portable_ref``."""
    path: str = ""
    """Folder that holds it on this machine; empty in everything that is signed."""
    revision: str | None = None
    """Commit of a hub model."""
    digest: Digest
    """Digest of the folder (core.digest.folder_digest)."""
    files: dict[str, Digest]
    """Every file's digest by relative path."""
    pipeline: str
    """Class name from model_index.json."""
    family: Family | None = None
    """What it is of; absent in manifests from before families were told apart, which are all of sd1."""
    text_width: int
    """Width d of the states that cross-attention reads."""
    image_size: int
    """Native picture side in pixels."""
    embedded: bool = False
    """Whether this is the model that ships with the package."""


PairedTokens = Literal["all", "context"]
"""Which of a prompt's tokens the refinement maps to the anchor's: all from the concept on, or those around it."""


class LoraSettings(Document):
    """Stage 2 for one concept, complete."""

    rank: int
    """Adapter rank."""
    steps: int
    """Optimiser steps; 0 leaves stages 2 and 3 out."""
    learning_rate: float | None = None
    """AdamW learning rate; absent where steps are relative."""
    step_size: float | None = None
    """A step as a share of what a layer answers to the concept's own tokens; absent where there is a learning rate."""
    stop: float | None = None
    """Training ends when the attention is down to this share of the first; absent: after all steps."""
    images: int
    """Training pictures."""
    sampling: Literal["cfis", "uniform"]
    """Timestep distribution."""
    window: Window
    """Edges of the concept-focal distribution."""
    masks: Literal["attention", "segmenter", "none"]
    """Mask provider."""
    init: Literal["random", "normal", "focal"] = "random"
    """How each adapter's a begins: uniform or normal and trained, or at the concept's own direction and held."""
    end_of_text: Literal[True] | None = None
    """Whether the end of text and its padding are suppressed too; absent: the concept's own tokens alone."""
    captions: Literal["step"] | None = None
    """Whether a caption is drawn from all templates at each step; absent: a picture keeps the one that drew it."""


class SegmenterSettings(Document):
    """Whose masks stage 2 takes, by content; complete."""

    detector: str
    """As the policy names it."""
    detector_revision: str | None = None
    """Commit of a hub model."""
    detector_digest: Digest
    """Digest of the files that are loaded."""
    segmenter: str
    """As the policy names it."""
    segmenter_revision: str | None = None
    """Commit of a hub model."""
    segmenter_digest: Digest
    """Digest of the files that are loaded."""
    threshold: float
    """Score from which a box counts."""


class Target(Document):
    """One concept to erase, complete."""

    id: Slug
    """Concept id from the policy."""
    category: Slug
    """Category id from the policy."""
    kind: Kind
    """Which preset applied."""
    target: Phrase
    """The phrase to erase."""
    anchor: Phrase
    """What it is mapped to."""
    other_names: list[Phrase] | None = None
    """Synonyms and narrower terms: general captions that name one are not preserved."""
    weight: float | None = None
    """How much it counts in the refinement beside a target that counts once; absent: once."""
    lora: LoraSettings
    """Stage 2 settings."""
    erase_only: str | None = None
    """The rule of ``documents.drawable`` by which no picture of it may ever be made; absent where one may."""


class ClosedForm(Document):
    """A closed-form stage's ridge; exactly one is set."""

    ridge: float | None = None
    """Absolute lambda."""
    relative_ridge: float | None = None
    """Multiple of the mean eigenvalue of the system's own matrix."""


class PreserveSettings(Document):
    """The preserve term mu P = scale P_prior + conceptScale P_concepts + namesakeScale P_namesakes."""

    prior: Literal["vocabulary", "general", "none"]
    """Whether general captions are preserved, and captions of the tokenizer's own words beside them."""
    relative: Literal[True] | None = None
    """Whether scales are weights beside what is erased, prompt for prompt; absent: they multiply sums, plainly."""
    scale: float
    """Multiplies P_prior."""
    refine_scale: float | None = None
    """Multiplies P_prior in stage 1; absent: as in stage 3."""
    prior_size: int | None = None
    """How many captions P_prior counts for; absent: as many as it is made of."""
    concepts: list[Phrase]
    """Named concepts to preserve."""
    concept_scale: float
    """Multiplies P_concepts."""
    refine_concept_scale: float | None = None
    """Multiplies P_concepts in stage 1; absent: as in stage 3."""
    namesake_scale: float | None = None
    """Multiplies P_namesakes; None: there are none."""
    held_out: list[Phrase] | None = None
    """What the audit asks for as what must survive: no caption of the prior and no namesake holds one."""
    leak: float | None = None
    """nullspace alone: share of the preserve set's energy that may lie in the directions that are edited."""


class HardenSettings(Document):
    """Rounds of search, complete."""

    rounds: int
    """Rounds at most."""
    searches: int
    """Searches for each concept in a round."""
    vectors: int
    """Learnt vectors of a word."""
    steps: int
    """Gradient steps of a search."""


class GuardSettings(Document):
    """Training of the layers that read no text, complete."""

    steps: int
    """Optimiser steps."""
    rounds: int
    """How often, on the way, a word is searched for each concept, which then leads to the anchor as well."""
    search_steps: int
    """Gradient steps of such a search."""
    pictures: int
    """Pictures that are kept, of general captions, and half of them of namesakes where people are erased."""
    learning_rate: float
    """AdamW learning rate; over the last fifth of the steps it falls to 0."""


class EsdSettings(Document):
    """ESD's fine-tuning, complete."""

    steps: int
    """Samples per concept."""
    batch: int = 1
    """Samples of an optimiser step, of as many concepts in turn; they share a timestep."""
    learning_rate: float
    """Adam learning rate."""
    guidance: float
    """eta: how far the prediction is pushed away from the concept."""
    start_guidance: float
    """Guidance scale of the partly drawn pictures that it is trained on."""


class GenerationSettings(Document):
    """How pictures are drawn, for training and audit alike."""

    steps: int
    """Sampler steps."""
    guidance: float
    """Classifier-free guidance scale."""
    size: int
    """Picture side in pixels."""
    batch: int
    """Pictures in one forward pass."""


class ErasurePlan(Document):
    """What will run, completely. Equal plans and caches give equal deltas; exact plans from any cache, but rounding."""

    schema_version: Literal["mace-gov/plan/v1"] = "mace-gov/plan/v1"
    """Schema."""
    method: MethodName
    """The eraser."""
    seed: int
    """Seed of everything random."""
    policy_digest: Digest
    """The policy that was planned."""
    base: ModelManifest
    """The pristine base model."""
    targets: list[Target] = Field(min_length=1)
    """Concepts in policy order."""
    templates: list[str] = Field(min_length=1)
    """Captions of stages 1 and 3."""
    refine: ClosedForm
    """Stage 1 ridge."""
    refine_tokens: Literal["all"] | None = None
    """Whether stage 1 maps the concept's own tokens too; absent: those around it alone."""
    refine_names: Literal["all"] | None = None
    """Whether synonyms and narrower terms are erased beside the target's name; absent: the name alone."""
    fuse: ClosedForm
    """Stage 3 ridge."""
    preserve: PreserveSettings
    """Preserve term of stages 1 and 3."""
    expansion: float | None = None
    """cure alone: alpha."""
    harden: HardenSettings | None = None
    """Rounds of search after the refinement; absent: none."""
    guard: GuardSettings | None = None
    """Training of the layers that read no text; absent: they stay the base's."""
    esd: EsdSettings | None = None
    """Fine-tuning, for the eraser esd alone."""
    segmenter: SegmenterSettings | None = None
    """For targets whose masks a segmenter makes."""
    exact: Literal[True] | None = None
    """Whether LoRAs that were trained on another refinement are trained anew; absent: they are reused."""
    generation: GenerationSettings
    """How pictures are drawn."""
    fit: Fit | None = None
    """How preserve.scale and refine.relativeRidge were found on this model; absent where they were given."""
    notes: list[str] = []
    """Which preset filled what, in words."""

    def content_digest(self) -> str:
        """SHA-256 of the canonical form, but for the folder that holds the base: where it lies decides nothing."""
        value = self.to_json()
        del value["base"]["path"]
        for target in value["targets"]:
            if target["lora"]["init"] == "random":  # as in plans that were signed before there was a choice
                del target["lora"]["init"]
        return digest_of(value)
