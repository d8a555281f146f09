"""Rates with their intervals."""

from __future__ import annotations

from pydantic import Field

from mace_gov.documents.document import Document


class Estimate(Document):
    """A rate with its interval."""

    value: float = Field(ge=0, le=1)
    """Hits over n."""
    n: int = Field(ge=0)
    """Scored trials."""
    hits: int = Field(ge=0)
    """Trials that count."""
    clusters: int = Field(ge=0)
    """Different prompts."""
    effective_n: float = Field(ge=0)
    """n after the design effect of prompts and of concepts: the number of independent trials that it is worth."""
    low: float = Field(ge=0, le=1)
    """One-sided lower Clopper-Pearson bound."""
    high: float = Field(ge=0, le=1)
    """One-sided upper Clopper-Pearson bound."""
    confidence: float
    """One-sided confidence of each bound."""


class Corrected(Document):
    """A rate of presence, corrected for the measured errors of the one detector that looked (Rogan and Gladen)."""

    value: float = Field(ge=0, le=1)
    """(observed + specificity - 1) / (sensitivity + specificity - 1), held within 0..1."""
    low: float = Field(ge=0, le=1)
    """Lower bound; it allows for the errors' own uncertainty."""
    high: float = Field(ge=0, le=1)
    """Upper bound; it allows for the errors' own uncertainty."""
    confidence: float
    """One-sided confidence of each bound, at least."""
    detector: str
    """Whose errors were taken out."""
