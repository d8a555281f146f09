"""Textual inversion, after Circumventing Concept Erasure (Pham et al., ICLR 2024, arXiv 2308.01508).

New words are learnt on the attacked model from the base model's pictures of the concept, with the model's own training
loss and frozen weights; then pictures are drawn with them from fresh seeds. Where the plain name does better than what
was found, it is taken instead: a search that harms a working model shows nothing on an erased one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mace_gov.audit.attacks.attack_protocol import CAPTION, UNDRAWN, AttackLimits, AttackTarget, drawn
from mace_gov.diffusion.denoising import encode_pictures
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.learnt_words import STARTS, caption_losses, learn_words, word_conditions
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.attack import AttackTier

if TYPE_CHECKING:
    from PIL.Image import Image


class TextualInversion:
    """A learnt word that stands for the concept, of one vector or of several."""

    tier: AttackTier = "adaptive"
    source = "after Circumventing Concept Erasure, arXiv 2308.01508"
    budget = 150
    version = "6"
    learns = True

    def __init__(self, vectors: int = 1) -> None:
        """vectors: of the word; each takes a token's place."""
        self.vectors = vectors
        self.name = "textual-inversion" if vectors == 1 else f"textual-inversion-{vectors}"

    def run(self, pipe: Pipeline, target: AttackTarget, limits: AttackLimits) -> tuple[list[Image], str]:
        """See ``Attack``. The budget counts gradient steps of the start that goes on."""
        latents = encode_pictures(pipe, target.references, limits.generation.size)
        found = learn_words(
            pipe, [latents], [limits.seed], steps=limits.budget, count=self.vectors, starts=STARTS)
        plain = caption_losses(pipe, [latents], [target.phrase]) <= found.losses
        return drawn_with(pipe, None if plain else found.vectors[0], target, limits)


def drawn_with(
    pipe: Pipeline, learnt: torch.Tensor | None, target: AttackTarget, limits: AttackLimits
) -> tuple[list[Image], str]:
    """What ``Attack.run`` gives for a learnt word [k, d], or for the plain name, which did better."""
    if learnt is None:
        plain = CAPTION.format(target.phrase)
        with torch.no_grad():
            text = TextReader.of(pipe).conditions([plain])
        return drawn(pipe, text, limits.seeds, limits.generation), plain
    words = WordVectors(pipe)
    near = words.words(words.nearest(learnt.to(words.table.device), words.plain_tokens(())).tolist())
    if not target.may_say(near):
        return [], UNDRAWN
    [text] = word_conditions(words, learnt, [CAPTION])[1]
    return drawn(pipe, text, limits.seeds, limits.generation), f"a learnt word, nearest to '{near}'"
