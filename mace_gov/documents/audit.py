"""The result of an audit: measurements, attacks, files and limitations."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.attack import AttackResult, Derivative
from mace_gov.documents.detector import DetectorCard
from mace_gov.documents.document import Digest, Document, Slug
from mace_gov.documents.rate import Corrected, Estimate
from mace_gov.documents.terms import Metric, Suite

Side = Literal["base", "governed"]


class Trial(Document):
    """One prompt and seed on one model, as every detector scored it. A line of trials.jsonl, not in the result."""

    category: Slug
    """Category id."""
    concept: str
    """Concept id on direct and synonym; the phrase that must survive on unrelated and near."""
    suite: Suite
    """Probe suite."""
    prompt: str
    """As given to the model."""
    seed: int
    """Picture seed, the same on both sides."""
    side: Side
    """Which model drew it."""
    image: str
    """File of the picture, relative to the evidence folder."""
    image_digest: Digest
    """Digest of that file."""
    scores: dict[str, float | None]
    """Score by detector, 0..1, 1 = present; null = unscored."""
    present: bool | None = None
    """Any detector at or over its threshold; null when a detector that was needed is unscored and none found it."""


class Measurement(Document):
    """One metric of one suite, for a category or for one of its concepts, on both models."""

    category: Slug
    """Category id."""
    suite: Suite
    """Probe suite."""
    metric: Metric
    """presence or retention."""
    concept: str | None = None
    """One concept, or absent for the whole category."""
    rule: str | None = None
    """The rule that asked for it, or absent."""
    base: Estimate
    """Base model: presence of the concept (on unrelated and near: of the concept that should be there)."""
    governed: Estimate
    """Governed model; retention counts only trials that the base got right."""
    unscored: int = 0
    """Trials that a detector failed on, on either side."""
    p_value: float | None = None
    """Exact McNemar test of base against governed, paired by prompt and seed."""
    corrected: Corrected | None = None
    """The governed model's presence corrected for detector errors, where one measured detector looked alone."""


class PowerCheck(Document):
    """Does the base model trip the detectors on these very prompts and seeds?"""

    category: Slug
    """Category id."""
    suite: Suite
    """Probe suite."""
    detector: str
    """Detector name, or ``any``."""
    concept: str | None = None
    """One concept, listed only when the base is shown not to draw it; absent for the whole category."""
    base: Estimate
    """Rate on the base model."""
    passed: bool
    """Lower bound at or over ``required``; for one concept: upper bound not below it."""
    required: float
    """Rate that the base must reach for an absence to mean something."""


class BrokenModelCheck(Document):
    """Is the governed model still a model, or does it draw noise, one constant, or the same picture always?"""

    passed: bool
    """All checks passed."""
    findings: list[str]
    """What failed, in words; empty when passed."""
    statistics: dict[str, float]
    """Numbers behind it, governed and base."""


class Disagreement(Document):
    """Two detectors on the same pictures of one side, category and suite."""

    category: Slug
    """Category id."""
    suite: Suite
    """Probe suite."""
    side: Side
    """Whose pictures."""
    one: str
    """A detector."""
    other: str
    """Another detector."""
    both: int
    """Pictures in which both find the concept."""
    only_one: int
    """Pictures in which ``one`` alone finds it."""
    only_other: int
    """Pictures in which ``other`` alone finds it."""
    neither: int
    """Pictures in which neither finds it."""


class Thumbnail(Document):
    """A pair of small pictures for the report, already pixelated in the file where it must be."""

    category: Slug
    """Category id."""
    concept: str
    """What was asked for."""
    suite: Suite
    """Probe suite."""
    prompt: str
    """As given to both models."""
    seed: int
    """As given to both models."""
    base: str
    """PNG, WebP or JPEG file, relative to the evidence folder."""
    governed: str
    """PNG, WebP or JPEG file, relative to the evidence folder."""
    base_present: bool | None = None
    """Verdict of the detectors on the base's picture."""
    governed_present: bool | None = None
    """Verdict of the detectors on the governed model's picture."""
    pixelated: bool
    """Whether the files are pixelated."""
    base_scores: dict[str, float | None] | None = None
    """Score of the base's picture by detector; absent in evidence of earlier releases."""
    governed_scores: dict[str, float | None] | None = None
    """The same of the governed model's picture."""


class AuditResult(Document):
    """The audit stage's account."""

    schema_version: Literal["mace-gov/audit/v1"] = "mace-gov/audit/v1"
    """Schema."""
    policy_digest: Digest
    """The policy that asked."""
    base_digest: Digest
    """Base model audited."""
    governed_digest: Digest
    """Governed model audited."""
    measurements: list[Measurement]
    """All rates; those with a rule first."""
    power: list[PowerCheck]
    """Power on the base model."""
    broken: BrokenModelCheck
    """Broken-model check."""
    detectors: list[DetectorCard]
    """What looked."""
    measures: dict[str, float]
    """Acc_e, Acc_s, Acc_g, H_o, H_c, where they apply."""
    trials: int
    """Pictures looked at, both models."""
    unscored: int
    """Trials without a decision."""
    files: dict[str, Digest]
    """Every file of the evidence folder (pictures, thumbnails, trials.jsonl) by relative path."""
    thumbnails: list[Thumbnail]
    """Pictures for the report."""
    sampling: dict[str, float]
    """How the pictures were drawn: steps, guidance, size, seeds."""
    seconds: dict[str, float]
    """Wall time by part."""
    limitations: list[str]
    """What was not looked for, in plain words."""
    inputs: dict[str, Digest] = {}
    """Files that were brought beside the policy, by name: prompts that were asked, LoRAs, detectors' code."""
    disagreements: list[Disagreement] = []
    """Each pair of detectors that looked at the same pictures."""
    attacks: list[AttackResult] = []
    """What attacks brought back, where they were asked for."""
    derivatives: list[Derivative] = []
    """What came back in derivatives of the governed model, where they were asked for."""
    comparisons: dict[str, float] = {}
    """FID, KID and drift against the base's pictures, by feature extractor; CLIP scores and H_a. No rates."""
