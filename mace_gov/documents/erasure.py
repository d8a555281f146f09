"""The record of an erasure: systems solved, LoRAs trained, seconds, warnings."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.document import Digest, Document, Slug


class LoraRecord(Document):
    """One concept's LoRA."""

    concept: Slug
    """Concept id."""
    key: Digest
    """Digest of everything of its own that the LoRA depends on."""
    refinement: Digest | None = None
    """Digest of the refinement that it was trained on, another than the plan's where an earlier one was kept."""
    file: str
    """Path of the adapter, relative to the version folder."""
    digest: Digest
    """Digest of that file."""
    first_loss: float
    """Attention loss of draws that no step trained on, before training."""
    last_loss: float
    """Attention loss of the same draws after it."""
    steps: int | None = None
    """Optimiser steps that it took; absent in records from before they could end early."""
    kept: float | None = None
    """Share of what it answers to its concept's own tokens that the fusion keeps; absent where nothing was fused."""
    mask_coverage: float | None = None
    """Mean share of the picture inside the mask; absent without masks."""
    reused: bool = False
    """Whether it came from the cache."""


Stage = Literal["refine", "fuse", "pooled"]
"""Closed forms: of the text states, of the LoRAs, and of SDXL's pooled text, which shares the refinement's settings."""


class SystemRecord(Document):
    """One linear system that was solved."""

    stage: Stage
    """Which closed form."""
    ridge: float
    """The absolute lambda used."""
    condition: float
    """Condition number of the matrix that was factored."""


class Hardening(Document):
    """Rounds of search for one concept."""

    concept: Slug
    """Concept id."""
    recovered: list[float]
    """Of each round, the best search's share of the way from the anchor's denoising loss on the concept's pictures to
    that of its name on the base: 0 nothing came back, 1 as much as by name."""
    words: int
    """Found words that were erased. None of a round's are where captions that are held out would have moved too
    far at the least weight."""
    weights: list[float] = []
    """What each of them counts beside a name: as much as captions that are held out allow."""
    reused: bool = False
    """Whether they came from the cache."""


class GuardRecord(Document):
    """How near a guard's training came: mean squared distances of predictions, on draws that it was not trained on."""

    concepts: list[Slug]
    """Concept ids that it was trained for."""
    first_erased: float
    """Of the base, told the concepts, from the base, told their anchors."""
    last_erased: float
    """The same of the guarded U-Net."""
    kept: float
    """Of the guarded U-Net from the base, told captions that no step trained on."""
    scale: float
    """Of the base, told these captions, from the base, told nothing: what counts as far."""


class ErasureRecord(Document):
    """The erase stage's account of itself."""

    schema_version: Literal["mace-gov/erasure/v1"] = "mace-gov/erasure/v1"
    """Schema."""
    plan_digest: Digest
    """The plan that ran."""
    base_digest: Digest
    """Base model, before."""
    governed_digest: Digest
    """Governed model folder."""
    governed_files: dict[str, Digest]
    """Every file of the governed model."""
    delta_digest: Digest
    """The erasure delta's file."""
    systems: list[SystemRecord]
    """Linear systems solved."""
    loras: list[LoraRecord]
    """LoRAs trained or reused; empty with steps 0."""
    hardening: list[Hardening] | None = None
    """Rounds of search by concept, in the plan's order; absent where there were none."""
    guard: GuardRecord | None = None
    """Training of the layers that read no text; absent where there was none."""
    left: float | None = None
    """Share of the way from the targets to their anchors that the refinement leaves; absent for methods without one."""
    seconds: dict[str, float]
    """Wall time by stage."""
    environment: dict[str, str]
    """Packages and platform."""
    warnings: list[str] = []
    """What looked odd."""
