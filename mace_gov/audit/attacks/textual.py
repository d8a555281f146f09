"""Textual inversion, after Circumventing Concept Erasure (Pham et al., ICLR 2024, arXiv 2308.01508).

One new word is learnt on the attacked model from the base model's pictures of the concept, with the model's own
training loss and frozen weights; then pictures are drawn with that word from fresh seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mace_gov.audit.attacks.base import CAPTION, UNDRAWN, Aim, Strike, drawn
from mace_gov.diffusion.denoising import denoising_loss, drawn_batch, encode_pictures
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.attack import AttackTier

if TYPE_CHECKING:
    from PIL.Image import Image

RATE = 0.05
"""Learning rate of AdamW, in units of the embeddings' own spread."""
BATCH = 4
"""Noised pictures in a step."""
PLACEHOLDER = "thing"
"""The word whose place the learnt vector takes, and from whose embedding it starts."""


class TextualInversion:
    """One learnt word that stands for the concept."""

    name = "textual-inversion"
    tier: AttackTier = "adaptive"
    source = "after Circumventing Concept Erasure, arXiv 2308.01508"
    budget = 200
    version = "4"

    def strike(self, pipe: Pipeline, aim: Aim, strike: Strike) -> tuple[list[Image], str]:
        """See ``Attack``. The budget counts gradient steps."""
        words = WordVectors(pipe)
        chance = torch.Generator().manual_seed(strike.seed)
        latents = encode_pictures(pipe, aim.references, strike.settings.size)
        tokens = words.reader.fill(CAPTION, PLACEHOLDER)
        at = tokens.positions[0]
        # a placeholder of several tokens keeps its last place alone
        held = [i for i, _ in enumerate(tokens.ids) if i not in tokens.positions[1:]]
        ids = torch.tensor([tokens.ids[i] for i in held] + [tokens.ids[-1]] * (len(tokens.ids) - len(held)))
        ids = ids.to(latents.device)[None]
        start = words.table[ids[0, at]][None]
        moved = torch.zeros_like(start).requires_grad_(True)
        optimizer = torch.optim.AdamW([moved], lr=RATE, weight_decay=0.0)
        for _ in range(strike.budget):
            picked, steps, noise = drawn_batch(pipe, latents, BATCH, chance)
            optimizer.zero_grad()
            text = words.conditions(ids, start + words.spread * moved, at=at).repeated(BATCH)
            denoising_loss(pipe, latents[picked], text, steps, noise).backward()
            optimizer.step()
        vector = start + words.spread * moved.detach()
        near = words.words(words.nearest(vector, words.plain_tokens(())).tolist())
        if not aim.may_say(near):
            return [], UNDRAWN
        with torch.no_grad():
            text = words.conditions(ids, vector, at=at)
        return drawn(pipe, text, strike.seeds, strike.settings), f"a learnt word, nearest to '{near}'"
