"""An adversarial prefix.

After UnlearnDiffAtk (Zhang et al., ECCV 2024, arXiv 2310.11868) and P4D (Chin et al., ICML 2024, arXiv 2309.06135).
A few tokens are put before the plain prompt and chosen so that the attacked model denoises the base model's pictures of
the concept well: the model is its own classifier. The search holds continuous vectors, reads the loss at the tokens
that are nearest to them, and moves the vectors by that gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mace_gov.audit.attacks.attack_protocol import CAPTION, UNDRAWN, AttackLimits, AttackTarget, drawn
from mace_gov.diffusion.denoising import denoising_loss, drawn_batch, encode_pictures
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.attack import AttackTier

if TYPE_CHECKING:
    from PIL.Image import Image

LENGTH = 5
"""Tokens of the prefix; the papers use 3 to 5 for things and styles and 16 for P4D."""
RATE = 0.1
"""Learning rate of AdamW on the vectors, in units of the embeddings' own spread."""
BATCH = 4
"""Noised pictures in a step."""
CHECKS = 8
"""Noised pictures on which candidates are compared."""


class AdversarialPrefix:
    """Tokens before the plain prompt, found through the attacked model's gradients."""

    name = "adversarial-prefix"
    tier: AttackTier = "adaptive"
    source = "after UnlearnDiffAtk, arXiv 2310.11868, and P4D, arXiv 2309.06135"
    budget = 60
    version = "5"
    learns = False

    def run(self, pipe: Pipeline, target: AttackTarget, limits: AttackLimits) -> tuple[list[Image], str]:
        """See ``Attack``. The budget counts gradient steps."""
        words = WordVectors(pipe)
        chance = torch.Generator().manual_seed(limits.seed)
        allowed = words.plain_tokens(target.unspoken)
        latents = encode_pictures(pipe, target.references, limits.generation.size)
        plain = words.ids(CAPTION.format(target.phrase))
        # begin, prefix, prompt: the end of the padding makes room
        ids = torch.cat([plain[:1], plain[:1].expand(LENGTH), plain[1:len(plain) - LENGTH]])[None]
        start = allowed[torch.randint(len(allowed), (LENGTH,), generator=chance).to(allowed.device)]
        moved = torch.zeros_like(words.table[start]).requires_grad_(True)
        optimizer = torch.optim.AdamW([moved], lr=RATE, weight_decay=0.0)

        def loss(tokens: torch.Tensor, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
            picked, steps, noise = batch
            text = words.conditions(ids, tokens, at=1).repeated(len(picked))
            return denoising_loss(pipe, latents[picked], text, steps, noise)

        fixed = drawn_batch(pipe, latents, CHECKS, chance)
        with torch.no_grad():
            best, lowest = start, float(loss(words.table[start], fixed))
            picked, steps, noise = fixed
            alone = words.conditions(plain[None]).repeated(len(picked))
            unattacked = float(denoising_loss(pipe, latents[picked], alone, steps, noise))
        for _ in range(limits.budget):
            vectors = words.table[start] + words.spread * moved
            near = words.nearest(vectors.detach(), allowed)
            # the loss is read at real tokens, its gradient is given to the vectors
            at_tokens = words.table[near] + vectors - vectors.detach()
            optimizer.zero_grad()
            loss(at_tokens, drawn_batch(pipe, latents, BATCH, chance)).backward()
            optimizer.step()
            if not torch.equal(near, best):
                with torch.no_grad():
                    value = float(loss(words.table[near], fixed))
                if value < lowest and target.may_say(words.words(near.tolist())):
                    best, lowest = near, value
        if unattacked <= lowest:  # a prefix that harms shows nothing
            with torch.no_grad():
                text = words.conditions(plain[None])
            return drawn(pipe, text, limits.seeds, limits.generation), CAPTION.format(target.phrase)
        said = words.words(best.tolist())
        if not target.may_say(said):
            return [], UNDRAWN
        with torch.no_grad():
            text = words.conditions(ids, words.table[best], at=1)
        return drawn(pipe, text, limits.seeds, limits.generation), f"{said} {CAPTION.format(target.phrase)}"
