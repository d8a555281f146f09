"""Settings of the erasers besides MACE: where their papers' do, those; smaller ones for the model that ships."""

from __future__ import annotations

from mace_gov.documents.method import Esd
from mace_gov.documents.plan import ClosedForm, EsdSettings

ESD_PAPER = EsdSettings(steps=1000, learning_rate=1e-5, guidance=1.0, start_guidance=3.0)

ESD_EMBEDDED = ESD_PAPER.model_copy(update={"steps": 100, "learning_rate": 1e-4})
"""A tenth of the steps, each ten times as long: the embedded model's U-Net is a fiftieth of the size."""

NULLSPACE_RIDGE = ClosedForm(relative_ridge=0.1)
"""Larger than for the other closed forms: within a narrow space little holds the edit back."""

NULLSPACE_LEAK = 0.03
"""Chosen with the ridge on text states of width 256, ten characters: at a hundredth the concepts' states get half as
near to their anchors', and at a tenth everybody else's move a quarter further."""


def esd_settings(asked: Esd, *, small: bool) -> EsdSettings:
    """What the policy says, and the preset where it says nothing."""
    given = {name: value for name in Esd.model_fields if (value := getattr(asked, name)) is not None}
    return (ESD_EMBEDDED if small else ESD_PAPER).model_copy(update=given)
