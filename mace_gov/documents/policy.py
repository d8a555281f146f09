"""The policy: what is banned, what must survive and what passing means. Written by people, in YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from mace_gov.documents.composition import Ancestor, Extends
from mace_gov.documents.consistency import UNRELATED, inconsistencies, rule_problems
from mace_gov.documents.document import Day, Line, Person, Phrase, RuleId, Slug, Written
from mace_gov.documents.method import Method, Template
from mace_gov.documents.terms import Kind, Metric, Severity, Suite

API_VERSION = "mace-gov/v1"

AS_TEXT = Field(strict=False)
"""For a word of a closed list, which a file gives as text."""

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
"""A language code, as in BCP 47: de, pt-BR."""


class Concept(Written):
    """One target concept and the anchor that it is mapped to."""

    id: Slug
    """Unique within the policy."""
    target: Phrase
    """The phrase to erase."""
    anchor: Phrase | None = None
    """The phrase that it is mapped to; left out, the model's own text encoder chooses a near, harmless superclass."""
    synonyms: list[Phrase] = []
    """Other words for it, probed by the synonym suite. They are erased with it unless ``method.refine.names`` is
    target, and captions with them are not preserved."""
    descriptions: list[Phrase] | None = Field(default=None, min_length=1)
    """Say what it is without naming it; probed by the description suite."""
    broader: list[Phrase] | None = Field(default=None, min_length=1)
    """Wider terms that a picture of it may stand for ("watercraft"); probed by the hierarchy suite."""
    narrower: list[Phrase] | None = Field(default=None, min_length=1)
    """Kinds of it ("galleon"); probed by the hierarchy suite."""
    translations: dict[Language, Phrase] | None = Field(default=None, min_length=1)
    """Its name in other languages, by language code; probed by the languages suite."""

    @property
    def phrases(self) -> list[str]:
        """All its words: the target first, then everything that probes ask for in its stead."""
        others = (self.synonyms, self.descriptions, self.broader, self.narrower, (self.translations or {}).values())
        return [self.target, *(phrase for phrases in others for phrase in phrases or ())]


class DetectorSpec(Written):
    """A detector with its settings; a bare name in YAML means the defaults."""

    name: Slug
    """Name in the detector registry."""
    classes: list[Line] | None = Field(default=None, min_length=1)
    """Class labels that count as present (nudenet)."""
    threshold: float | None = Field(default=None, gt=0, le=1)
    """Score from which the concept counts as present."""
    model: Annotated[Line, StringConstraints(min_length=1, max_length=1000)] | None = None
    """Folder or hub id of the model that it reads pictures with (clip); its ONNX file, or a folder of two (face)."""
    revision: Line | None = None
    """Commit of a hub model."""
    references: Annotated[Line, StringConstraints(min_length=1, max_length=1000)] | None = None
    """Folder with a folder of reference pictures for each concept (face)."""
    only: Literal["bans", "kept"] | None = None
    """Look at what must be gone alone (bans), or at what must stay alone (kept); left out, at both."""


class Rule(Written):
    """One bound on one metric of one probe suite."""

    id: RuleId
    """Like NSFW-001; unique within the policy."""
    suite: Annotated[Suite, AS_TEXT]
    """Which probes."""
    metric: Annotated[Metric, AS_TEXT]
    """presence: share of trials with the concept; retention: share of the base's right pictures that stay right."""
    at_most: float | None = Field(default=None, ge=0, le=1)
    """Upper limit; the estimate's upper bound must not exceed it."""
    at_least: float | None = Field(default=None, ge=0, le=1)
    """Lower limit; the estimate's lower bound must not fall below it."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """One-sided confidence of the bound."""
    min_samples: int = Field(default=1, ge=1)
    """Fewer independent trials than this send the rule to review."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if found := rule_problems(self.to_json()):
            raise ValueError(found[0])
        return self

    @property
    def limit(self) -> float:
        """The threshold, whichever side it is on."""
        return self.at_most if self.at_most is not None else self.at_least or 0.0


class Category(Written):
    """Concepts that share a kind, a severity, detectors and rules."""

    id: Slug
    """Dotted name, like explicit.nudity."""
    kind: Annotated[Kind, AS_TEXT]
    """Picks the preset."""
    severity: Annotated[Severity, AS_TEXT]
    """Weight in the gate and in the report."""
    concepts: list[Concept] = Field(min_length=1)
    """What is banned."""
    neighbours: list[Phrase] = []
    """Close neighbours that must survive, probed by the near suite; the preserve concepts are probed there too."""
    detectors: list[DetectorSpec] = Field(min_length=1)
    """What looks at the pictures. Any detector that finds the concept makes the trial a hit."""
    rules: list[Rule] = Field(min_length=1)
    """What passing means."""

    @field_validator("detectors", mode="before")
    @classmethod
    def _bare_names(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value


class Sampler(Written):
    """How the model's pictures are drawn; what is left out is as published models are drawn."""

    steps: int | None = Field(default=None, ge=1, le=1000)
    """Sampler steps."""
    guidance: float | None = Field(default=None, ge=0, le=100)
    """Classifier-free guidance scale."""


class ModelRef(Written):
    """Which base model."""

    ref: Annotated[Line, StringConstraints(min_length=1, max_length=1000)]
    """``embedded``, a hub id, a folder, or a registry version as ``registry:NAME/N``."""
    revision: Line | None = None
    """Commit of a hub model; pin it."""
    sampler: Sampler | None = None
    """How it is drawn with where it is used; for training and audit alike."""


class Audit(Written):
    """How hard the audit looks."""

    prompts: int | None = Field(default=None, ge=1, le=1000)
    """Different prompts per concept and suite; each is one cluster. The default is what the rules need, with room."""
    seeds: int = Field(default=1, ge=1, le=100)
    """Pictures per prompt."""
    unrelated: int = Field(default=UNRELATED, ge=0, le=10_000)
    """Prompts of the unrelated suite, over all categories."""
    subjects: list[Phrase] | None = Field(default=None, min_length=3)
    """What the unrelated suite asks for: subjects that this model draws and that nobody named to the erasure. The
    default is the embedded model's words where pictures are small, everyday nouns elsewhere. A detector must know
    them. They stand beside what is banned in the composition and attribute suites, too."""
    seed: int = Field(default=1000, ge=0, lt=2**32)
    """First picture seed; base and governed model share the seeds."""
    templates: list[Template] | None = Field(default=None, min_length=1)
    """Probe captions; must not overlap the erasure's templates. The default is the audit's own list."""
    looks: int | None = Field(default=None, ge=2, le=20)
    """Ask in so many rounds and stop a suite once its rules are decided; every bound is widened so that looking several
    times errs no more often. The default is one round."""
    suites: list[Annotated[Suite, AS_TEXT]] | None = Field(default=None, min_length=1)
    """Suites to ask beside direct, synonym, unrelated and near, and beside those that a rule bounds."""


class GateSettings(Written):
    """What the gate makes of its findings, beside the rules."""

    fail_on: Annotated[Severity, AS_TEXT] = Severity.LOW
    """Findings of categories below this severity are reported and do not block."""
    on_uncertain: Literal["review", "fail"] = "review"
    """What a REVIEW ends as: review (exit code 5), or fail (exit code 1). It never passes."""
    not_waivable: list[Annotated[Severity, AS_TEXT]] = []
    """Severities whose rules no waiver covers, besides critical, which is never waivable."""


class Metadata(Written):
    """Who answers for the policy, and until when."""

    name: Slug
    """Also the name of the governed model in the registry."""
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    """Semantic version of the policy."""
    owner: Person
    """Team or person."""
    review_by: Day
    """After this day the gate asks for review."""
    description: str | None = Field(default=None, max_length=2000)
    """What the policy is for."""


class Spec(Written):
    """The substance of a policy."""

    mode: Literal["enforce", "audit"] = "enforce"
    """enforce blocks a release; audit reports and never blocks."""
    model: ModelRef
    """The base model; --model overrides it."""
    method: Method = Method()
    """How to erase; presets by kind fill what is left out."""
    audit: Audit = Audit()
    """How hard to look."""
    categories: list[Category] = Field(min_length=1)
    """What is banned, and what passing means."""
    gate: GateSettings | None = None
    """What the gate makes of its findings; the default blocks on every one."""


class Policy(Written):
    """An erasure policy, version 1."""

    api_version: Literal["mace-gov/v1"]
    """Schema version."""
    kind: Literal["ErasurePolicy"]
    """Document kind."""
    metadata: Metadata
    """Name, version, owner, review date."""
    extends: Extends | None = None
    """The policy that this one builds on; gone once both are joined."""
    derived_from: list[Ancestor] | None = None
    """Where a joined policy comes from, nearest first. Written when policies are joined, not by hand."""
    spec: Spec
    """What is banned, how it is erased, what passing means."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := inconsistencies(self.to_json()):
            raise ValueError("; ".join(f"{'.'.join(map(str, where))}: {message}" for where, message in found))
        return self

    def not_waivable(self) -> set[Severity]:
        """Severities whose rules no waiver covers."""
        return {Severity.CRITICAL, *(self.spec.gate.not_waivable if self.spec.gate else [])}

    def concepts(self) -> list[tuple[Category, Concept]]:
        """Every concept with its category, in file order."""
        return [(category, concept) for category in self.spec.categories for concept in category.concepts]
