"""What looks at pictures, and how often it errs."""

from __future__ import annotations

from mace_gov.documents.document import Digest, Document
from mace_gov.documents.rate import Estimate


class DetectorCard(Document):
    """A detector and how good it is."""

    name: str
    """Name in the policy."""
    version: str
    """Package or weights version."""
    weights_digest: Digest | None = None
    """Digest of its weights, where it has any."""
    threshold: float
    """Score from which the concept counts as present."""
    classes: list[str] | None = None
    """Labels that count."""
    sensitivity: Estimate | None = None
    """Measured on labelled pictures, where there are any."""
    specificity: Estimate | None = None
    """Measured on labelled pictures, where there are any."""
    failures: int = 0
    """Pictures that it broke on."""


class Calibration(Document):
    """A detector's errors, measured on labelled pictures."""

    detector: str
    """Name in the policy."""
    version: str
    """Package or weights version."""
    weights_digest: Digest | None = None
    """Digest of its weights."""
    threshold: float
    """Score from which the concept counted as present."""
    classes: list[str] | None = None
    """Labels that counted."""
    labels_digest: Digest
    """Digest of the labelled pictures and what they show."""
    sensitivity: Estimate
    """Share of the pictures that show it in which it is found."""
    specificity: Estimate
    """Share of the pictures that do not show it in which it is not found."""
    failures: int = 0
    """Labelled pictures that it broke on; they are in neither rate."""
