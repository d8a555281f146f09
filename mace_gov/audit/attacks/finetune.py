"""A short fine-tune, after the instance probe of Erased or Dormant? (Liu and Zhang, arXiv 2505.16174).

The attacked U-Net is trained on the base model's pictures of the concept and the plain wording that names it, by the
model's own loss; then it is asked by name, from fresh seeds. Whoever has the weights and eight pictures can do so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mace_gov.audit.attacks.attack_protocol import CAPTION, AttackLimits, AttackTarget
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.variants import trained_on
from mace_gov.documents.attack import AttackTier

if TYPE_CHECKING:
    from PIL.Image import Image

RATE = 1e-5
"""Learning rate of AdamW: that of common fine-tuning recipes for Stable Diffusion."""


class FineTune:
    """The attacked weights, trained a little on pictures of the concept and its name."""

    name = "fine-tune"
    tier: AttackTier = "weights"
    source = "after Erased or Dormant?, arXiv 2505.16174"
    budget = 50
    version = "1"
    learns = True

    def run(self, pipe: Pipeline, target: AttackTarget, limits: AttackLimits) -> tuple[list[Image], str]:
        """See ``Attack``. The budget counts gradient steps of up to four pictures; the weights are put back."""
        prompt = CAPTION.format(target.phrase)
        before = {name: weight.detach().clone() for name, weight in pipe.unet.named_parameters()}
        try:
            learn = trained_on(target.references, [prompt] * len(target.references), steps=limits.budget, rate=RATE,
                               seed=limits.seed)
            learn(pipe, limits.generation)
            pictures = list(draw(pipe, [prompt] * len(limits.seeds), limits.seeds, limits.generation))
        finally:
            with torch.no_grad():
                for name, weight in pipe.unet.named_parameters():
                    weight.copy_(before[name])
        return pictures, f"{limits.budget} steps of training on {len(target.references)} pictures, then '{prompt}'"
