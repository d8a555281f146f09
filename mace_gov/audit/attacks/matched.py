"""A learnt word whose keys and values on the attacked model are those of the name on the base.

The preimage needs to hand text states to the U-Net; here the attacker sets the embedding of one new word, which is what
a file of textual inversion does. Nothing goes through the U-Net and no picture is needed, so that it takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mace_gov.audit.attacks.attack_protocol import AttackLimits, AttackTarget
from mace_gov.audit.attacks.textual import drawn_with
from mace_gov.diffusion.learnt_words import BEGIN
from mace_gov.diffusion.matched_words import match_words, name_losses
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.attack import AttackTier

if TYPE_CHECKING:
    from PIL.Image import Image


class MatchedWord:
    """A word of one vector, found through the text encoder alone."""

    name = "matched-word"
    tier: AttackTier = "embeddings"
    source = "the preimage, as far as the embedding of one word reaches it"
    budget = 150
    version = "1"
    learns = False

    def run(self, pipe: Pipeline, target: AttackTarget, limits: AttackLimits) -> tuple[list[Image], str]:
        """See ``Attack``. The budget counts gradient steps."""
        if limits.base is None:
            raise ValueError("a matched word needs the base's projections")
        names, base = [(target.phrase, BEGIN)], limits.base()
        found = match_words(pipe, names, base, [limits.seed], steps=limits.budget)
        plain = name_losses(pipe, names, base) <= found.losses
        return drawn_with(pipe, None if plain else found.vectors[0], target, limits)
