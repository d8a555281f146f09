"""Several erasure methods on one policy and one base model, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mace_gov.documents.document import Digest, Document
from mace_gov.documents.method import MethodName
from mace_gov.documents.rate import Estimate
from mace_gov.documents.terms import Suite


class Interval(Document):
    """A number that is no rate of its own, with bounds at the comparison's confidence."""

    value: float
    """Point."""
    low: float
    """One-sided lower bound."""
    high: float
    """One-sided upper bound."""


class Rates(Document):
    """What was recognised in one model's pictures. A suite that nobody asked has no rate."""

    acc_e: Estimate | None = None
    """Erased concepts, asked for by name."""
    acc_g: Estimate | None = None
    """Erased concepts, asked for by synonym."""
    acc_s: Estimate | None = None
    """Unrelated concepts."""
    near: Estimate | None = None
    """Close neighbours that nobody named to the erasure."""
    preserved: Estimate | None = None
    """What the erasure was told to keep."""
    h: Interval | None = None
    """Harmonic mean of 1 - Acc_e, Acc_s and, where synonyms were asked, 1 - Acc_g."""


class Spread(Document):
    """One measure over erasures that differ in their seed alone."""

    mean: float
    """Mean over the seeds."""
    deviation: float
    """Sample standard deviation over the seeds (n - 1)."""
    lowest: float
    """Smallest value."""
    highest: float
    """Largest value."""


class MethodRow(Document):
    """One method's account."""

    method: MethodName
    """The eraser."""
    problem: str | None = None
    """Why there is no governed model: the method refused, in its own words."""
    rates: Rates | None = None
    """On the governed model."""
    retention: Estimate | None = None
    """Of the unrelated pictures that the base got right, those that stay right."""
    broken: list[str] = []
    """What the broken-model check found."""
    seconds: float | None = None
    """Wall time of the erasure, from the pristine base in memory to the delta, nothing reused."""
    peak_bytes: int | None = None
    """Largest resident memory of the process while erasing."""
    delta_bytes: int | None = None
    """Size of the erasure delta's file."""
    warnings: list[str] = []
    """What looked odd to the method."""
    seeds: list[int] = []
    """Erasure seeds, where several were asked for; everything above is of the first."""
    p_values: dict[Suite, float] = {}
    """By suite, whether it differs from the first row that has pictures: McNemar's exact test on the same prompts,
    adjusted by Holm over all of the table; absent in that row."""
    spread: dict[str, Spread] = {}
    """Over those seeds, by measure: accE, accG, accS, near, h, retention."""


class MethodComparison(Document):
    """The whole table."""

    schema_version: Literal["mace-gov/comparison/v1"] = "mace-gov/comparison/v1"
    """Schema."""
    created: str
    """RFC 3339, from this machine's clock."""
    policy_name: str
    """Policy."""
    policy_version: str
    """Its version."""
    policy_digest: Digest
    """The policy as it stands; each method ran under its own ``method.name``."""
    base_ref: str
    """Base model, as it was named."""
    base_digest: Digest
    """Base model."""
    concepts: int
    """Concepts erased."""
    confidence: float
    """One-sided confidence of every bound."""
    base: Rates
    """The base model itself."""
    rows: list[MethodRow]
    """In the order asked for."""
    environment: dict[str, str]
    """Packages and platform."""


@dataclass(frozen=True)
class SheetRow:
    """One prompt and seed as the base and every method drew it, for the page; no document, since it holds pictures."""

    suite: Suite
    """Probe suite."""
    concept: str
    """Concept id on direct and synonym; the phrase that must survive elsewhere."""
    prompt: str
    """As given to all models."""
    seed: int
    """As given to all models."""
    pixelated: bool
    """Whether the pictures are pixelated in their data."""
    pictures: dict[str, tuple[str, bool | None]]
    """By ``base`` or method: a PNG as a data URI, and whether the concept was recognised in it."""
