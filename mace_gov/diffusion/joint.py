"""Text of models with joint attention (Stable Diffusion 3, FLUX): states in streams, read by the pipeline itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import Conditions, Tokens, own_tokens


@dataclass(frozen=True)
class Stream:
    """A stretch of positions that one tokenizer fills; encoders joined along the feature axis share theirs."""

    tokenizer: Any
    """Spells the prompt."""
    start: int
    """First position."""
    length: int
    """Positions."""
    begin: int
    """Tokens before the words: 1 for CLIP, 0 for T5."""


class JointReader:
    """Prompts as the transformer's context, by the pipeline's own ``encode_prompt``."""

    def __init__(self, pipe: Pipeline, *, batch: int = 8) -> None:
        self.pipe, self.batch = pipe, batch
        self.width = int(pipe.transformer.config.joint_attention_dim)
        if hasattr(pipe, "text_encoder_3"):
            self.streams = [Stream(pipe.tokenizer, 0, 77, 1)]
            if pipe.text_encoder_3 is not None:
                self.streams.append(Stream(pipe.tokenizer_3, 77, 256, 0))
        else:
            self.streams = [Stream(pipe.tokenizer_2, 0, 512, 0)]
        self.tokenizer = self.streams[0].tokenizer

    def tokens(self, prompt: str) -> str:
        """The prompt itself: the pipeline tokenises."""
        return prompt

    def own(self, template: str, phrase: str) -> list[tuple[Stream, Tokens]]:
        """The prompt in each stream, with the phrase's own tokens. Raises ModelError where it has none."""
        return [(s, own_tokens(s.tokenizer, template, phrase, s.length, s.begin)) for s in self.streams]

    @torch.no_grad()
    def conditions(self, prompts: Sequence[str]) -> Iterator[Conditions]:
        """What the transformer reads of the prompts, a batch at a time (float32, CPU).

        Raises ModelError when a state is not finite.
        """
        three = hasattr(self.pipe, "text_encoder_3")
        same = {"prompt_2": None, **({"prompt_3": None, "do_classifier_free_guidance": False} if three else {})}
        for start in range(0, len(prompts), self.batch):
            read = self.pipe.encode_prompt(list(prompts[start:start + self.batch]), **same)
            states, pooled = read[0], read[2 if three else 1]
            if not (torch.isfinite(states).all() and torch.isfinite(pooled).all()):
                raise ModelError("the text encoders give states that are not finite, expected finite numbers")
            yield Conditions(states.float().cpu(), pooled.float().cpu())

    def states(self, prompts: Sequence[str]) -> Iterator[torch.Tensor]:
        """States [L, d] of each prompt."""
        for part in self.conditions(prompts):
            yield from part.states

    def pooled(self, prompts: Sequence[str]) -> Iterator[torch.Tensor]:
        """Pooled text [1, p] of each prompt."""
        for part in self.conditions(prompts):
            if part.pooled is not None:
                yield from part.pooled.split(1)
