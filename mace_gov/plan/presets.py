"""Settings by kind of concept: the paper's, and the re-tuned ones for the small model that ships with the package.

The paper's are facts from its appendix. Where it publishes lambda = 0, only the prior keeps the system conditioned, and
users of the authors' program got noise; a small relative ridge stands in, far below the data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mace_gov.documents.method import Window
from mace_gov.documents.plan import ClosedForm, GenerationSettings, LoraSettings
from mace_gov.documents.policy import Kind


@dataclass(frozen=True)
class Preset:
    """Everything that a policy may leave out."""

    lora: LoraSettings
    """Stage 2."""
    refine: ClosedForm
    """Stage 1 ridge."""
    fuse: ClosedForm
    """Stage 3 ridge."""
    prior: str
    """general or none."""
    scale: float
    """Multiplies the prior's matrix."""
    concept_scale: float
    """Multiplies the preserved concepts' matrix."""
    namesake_scale: float = 0.0
    """Multiplies the namesakes' matrix, where the policy bans characters; the paper has none."""


PAPER_WINDOW = Window(start=200, end=400, gamma=0.05)

_FOCAL = LoraSettings(
    rank=1, steps=50, learning_rate=1e-4, images=8, sampling="cfis", window=PAPER_WINDOW, masks="attention"
)
_FLOOR = ClosedForm(relative_ridge=1e-3)

PAPER = {
    # The published ridges lie between 1e1 and 1e3, tuned by concept; 1e2 is some 0.05 of the mean eigenvalue there.
    Kind.OBJECT: Preset(
        lora=_FOCAL.model_copy(update={"learning_rate": 1e-5}),
        refine=ClosedForm(relative_ridge=0.05),
        fuse=ClosedForm(relative_ridge=0.05),
        prior="none",
        scale=0.0,
        concept_scale=0.0,
    ),
    Kind.CELEBRITY: Preset(
        lora=_FOCAL,
        refine=_FLOOR,
        fuse=_FLOOR,
        prior="general",
        scale=1e-4,
        concept_scale=8e3,
    ),
    Kind.EXPLICIT: Preset(
        lora=_FOCAL.model_copy(update={"steps": 120, "learning_rate": 1e-5, "sampling": "uniform"}),
        refine=_FLOOR,
        fuse=_FLOOR,
        prior="general",
        scale=7e-7,
        concept_scale=0.0,
    ),
    Kind.STYLE: Preset(
        lora=_FOCAL.model_copy(update={"masks": "none"}),
        refine=_FLOOR,
        fuse=_FLOOR,
        prior="general",
        scale=1e-4,
        concept_scale=8e4,
    ),
}

EMBEDDED_WINDOW = Window(start=50, end=300, gamma=0.05)
"""Where the embedded model decides what it draws, measured by swapping prompts (training/window.py): little above
t = 300 matters, for it draws anew from the text at every step."""

# Why re-tuned: the embedded model's U-Net is a fiftieth of the size, so that a rank-1 LoRA needs a larger step; two
# pictures are enough of a concept that is one drawing; a LoRA that listens to its own concept alone (init focal) leaves
# the anchor's tokens audible, so that the anchor is drawn rather than a blur; and the ridge is large enough to keep the
# refinement from reading identities out of what little of them leaks into other tokens' states. Tuned on characters.
EMBEDDED = {
    kind: replace(
        preset,
        lora=preset.lora.model_copy(
            update={"learning_rate": 2e-2, "window": EMBEDDED_WINDOW, "images": 2, "init": "focal"}
        ),
        refine=ClosedForm(relative_ridge=0.3), fuse=ClosedForm(relative_ridge=0.01),
        prior="general", scale=2.0, concept_scale=0.5, namesake_scale=1.0,
    )
    for kind, preset in PAPER.items()
}

PAPER_GENERATION = GenerationSettings(steps=50, guidance=7.5, size=512, batch=4)

SMALL_TEXT_WIDTH = 768
"""Text states narrower than this mean the embedded model or one of its kind: no published model is that small."""
