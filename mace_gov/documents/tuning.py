"""Points of a fit's line that were tried for a policy, and what came of each."""

from __future__ import annotations

from typing import Literal

from mace_gov.documents.comparison import Rates
from mace_gov.documents.document import Digest, Document
from mace_gov.documents.method import Method
from mace_gov.documents.rate import Estimate

Settings = dict[str, float]
"""By place in the policy's ``method``: preserve.weight, refine.relativeRidge, lora.steps."""


class Attempt(Document):
    """One choice of settings."""

    settings: Settings
    """What was chosen; everything else is as the policy and its preset have it."""
    problem: str | None = None
    """Why there is no governed model, or why it draws nothing: such a choice is never the best."""
    rates: Rates | None = None
    """On the governed model, by tuning's own probes."""
    retention: Estimate | None = None
    """Of the unrelated pictures that the base got right, those that stay right."""
    trained: int = 0
    """LoRAs that had to be trained; the others came from the cache."""
    seconds: float
    """Wall time of erasing and asking."""

    @property
    def score(self) -> float:
        """H, or -1 where there is none."""
        return self.rates.h.value if self.problem is None and self.rates and self.rates.h else -1.0


class Tuning(Document):
    """Every setting that a search tried, and the best of them."""

    schema_version: Literal["mace-gov/tuning/v1"] = "mace-gov/tuning/v1"
    """Schema."""
    created: str
    """RFC 3339, from this machine's clock."""
    policy_name: str
    """Policy."""
    policy_digest: Digest
    """The policy as it stands."""
    base_ref: str
    """Base model, as it was named."""
    base_digest: Digest
    """Base model."""
    confidence: float
    """One-sided confidence of every bound."""
    budget_minutes: float
    """Allowed."""
    seconds: float
    """Used."""
    exhausted: bool
    """Whether the whole line was tried before the budget ended."""
    base: Rates
    """The base model itself, by the same probes."""
    attempts: list[Attempt]
    """In the order of trying; the first is the policy as it stands, fitted as ``apply`` does."""
    best: int
    """Index of the attempt with the highest H, the earliest of equals."""
    method: Method
    """The policy's ``method`` with the best settings; as it stands where its own fit is the best."""
