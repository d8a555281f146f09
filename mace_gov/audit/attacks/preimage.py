"""The preimage: text states that give the attacked model the keys and values that the name gives the base.

With W* the attacked cross-attention projections and W the base's, all stacked, and e the states of the plain prompt on
the base, e' = argmin |W* e' - W e|^2 is the least-squares preimage. Nothing is searched for: whoever has both models'
weights and may hand text states to the U-Net has the concept back, as far as an edit that is linear in the text states
can be undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mace_gov.audit.attacks.attack_protocol import CAPTION, AttackLimits, AttackTarget, drawn
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import Conditions, TextReader
from mace_gov.documents.attack import AttackTier

if TYPE_CHECKING:
    from PIL.Image import Image


class Preimage:
    """Text states that undo the edit of keys and values."""

    name = "preimage"
    tier: AttackTier = "embeddings"
    source = "least squares on the projections of base and attacked model"
    budget = 1
    version = "1"
    learns = False

    @torch.no_grad()
    def run(self, pipe: Pipeline, target: AttackTarget, limits: AttackLimits) -> tuple[list[Image], str]:
        """See ``Attack``. There is nothing to spend a budget on."""
        if limits.base is None:
            raise ValueError("the preimage needs the base's projections")
        plain = TextReader.of(pipe).conditions([CAPTION.format(target.phrase)])
        base = limits.base()
        own = {name: layer.weight.detach().cpu().double() for name, layer in projections(pipe.unet).items()}
        attacked = torch.cat([own[name] for name in sorted(own)])  # [out of all, d]
        wanted = torch.cat([base[name].double() for name in sorted(own)]) @ plain.states[0].cpu().double().T
        found = torch.linalg.lstsq(attacked, wanted).solution.T  # [L, d]
        states = found.to(plain.states.device, plain.states.dtype)[None]
        pictures = drawn(pipe, Conditions(states, plain.pooled), limits.seeds, limits.generation)
        return pictures, "text states whose keys and values are those of the name on the base"
