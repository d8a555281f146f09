"""Prompts as tokens and as text-encoder states, with a record of where the concept's own tokens stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from mace_gov.core.errors import ModelError


@dataclass(frozen=True)
class Tokens:
    """One prompt, tokenised: begin, words, end, padding up to the encoder's length."""

    ids: tuple[int, ...]
    """Token ids, length L."""
    used: int
    """Positions up to and with the end of text; the rest is padding."""
    own: tuple[int, int] | None = None
    """First position of the concept's own tokens and the one after the last; absent for a bare prompt."""

    @property
    def positions(self) -> list[int]:
        """Positions of the concept's own tokens."""
        return list(range(*self.own)) if self.own else []


class TextReader:
    """Tokeniser and text encoder of a pipeline, as one thing."""

    def __init__(self, tokenizer, encoder, *, batch: int = 32) -> None:
        self.tokenizer, self.encoder, self.batch = tokenizer, encoder, batch
        self.length = int(min(tokenizer.model_max_length, encoder.config.max_position_embeddings))
        self.width = int(encoder.config.hidden_size)

    @classmethod
    def of(cls, pipe) -> TextReader:
        """The reader of a loaded pipeline."""
        return cls(pipe.tokenizer, pipe.text_encoder)

    def _words(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def tokens(self, prompt: str) -> Tokens:
        """Tokenise a prompt; what is over the encoder's length is cut off, as the pipeline does."""
        encoded = self.tokenizer(prompt, padding="max_length", truncation=True, max_length=self.length)
        ids = tuple(encoded.input_ids)
        return Tokens(ids, used=min(self.length, len(self._words(prompt)) + 2))

    def fill(self, template: str, phrase: str) -> Tokens:
        """Tokenise ``template`` with ``phrase`` in place of ``{}`` and find the phrase's own tokens.

        They are what is left when the tokens common with the template's head and tail are taken away, so a phrase that
        merges with its neighbours in the template still has its place. Raises ModelError when nothing is left.
        """
        head, _, tail = template.partition("{}")
        prompt = self.tokens(template.replace("{}", phrase, 1))
        words = self._words(template.replace("{}", phrase, 1))
        before = _common(words, self._words(head))
        after = _common(words[before:][::-1], self._words(tail)[::-1])
        start, stop = 1 + before, 1 + len(words) - after
        stop = min(stop, self.length - 1)
        if stop <= start:
            raise ModelError(f"'{phrase}' has no token of its own in '{template}' within {self.length} positions",
                             hint="Shorten the template, or choose a phrase that the tokenizer can spell.")
        return Tokens(prompt.ids, prompt.used, (start, stop))

    @torch.no_grad()
    def states(self, prompts: Sequence[Tokens]) -> Iterator[torch.Tensor]:
        """The encoder's states of each prompt, in order, one tensor [L, d] at a time (float32, the encoder's device).

        Raises ModelError when a state is not finite.
        """
        for start in range(0, len(prompts), self.batch):
            ids = torch.tensor([p.ids for p in prompts[start:start + self.batch]], device=self.encoder.device)
            states = self.encoder(ids)[0].float()  # [n, L, d]
            if not torch.isfinite(states).all():
                raise ModelError("the text encoder gives states that are not finite, expected finite numbers")
            yield from states

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """States of plain prompts as one tensor [n, L, d]."""
        return torch.stack(list(self.states([self.tokens(prompt) for prompt in prompts])))


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
