"""Prompts as tokens and as text-encoder states, with a record of where the concept's own tokens stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.batching import BatchSize
from mace_gov.diffusion.pipeline import Pipeline

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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
    def found(self) -> tuple[int, int]:
        """``own`` of a prompt that was filled. Raises ValueError for a bare one."""
        if self.own is None:
            raise ValueError("the prompt must know the concept's own tokens")
        return self.own

    @property
    def positions(self) -> list[int]:
        """Positions of the concept's own tokens."""
        return list(range(*self.own)) if self.own else []


@dataclass(frozen=True)
class Conditions:
    """All that a U-Net reads of n prompts."""

    states: torch.Tensor
    """[n, L, d]."""
    pooled: torch.Tensor | None = None
    """[n, p]: one vector for each prompt, added to the timestep's; SDXL alone reads it."""

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, part: slice | torch.Tensor) -> Conditions:
        return Conditions(self.states[part], None if self.pooled is None else self.pooled[part])

    def repeated(self, count: int) -> Conditions:
        """One prompt ``count`` times."""
        pooled = None if self.pooled is None else self.pooled.expand(count, -1)
        return Conditions(self.states.expand(count, -1, -1), pooled)

    def to(self, device: torch.device, dtype: torch.dtype) -> Conditions:
        """Elsewhere, or in another precision."""
        pooled = None if self.pooled is None else self.pooled.to(device, dtype)
        return Conditions(self.states.to(device, dtype), pooled)

    @staticmethod
    def joined(parts: Sequence[Conditions]) -> Conditions:
        """The prompts of several conditions as one batch, in order."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return Conditions(torch.cat([part.states for part in parts]), torch.cat(pooled) if pooled else None)


class TextReader:
    """Tokeniser and text encoder of a pipeline, as one thing.

    A second encoder (SDXL) reads the same tokens under its own padding; the states of both, each from before its last
    layer, stand side by side along the feature axis, and the second gives the pooled vector.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel, *,
        second: tuple[PreTrainedTokenizerBase, PreTrainedModel] | None = None, zero_empty: bool = False,
        batch: int = 32,
    ) -> None:
        """second: (tokenizer, encoder) of the second encoder. zero_empty: the empty prompt is all zeros to the U-Net.

        Raises ModelError when the two tokenizers do not share their vocabulary.
        """
        self.tokenizer, self.encoder = tokenizer, encoder
        self.fit = BatchSize(encoder.device, batch)
        self.length = int(min(tokenizer.model_max_length, encoder.config.max_position_embeddings))
        self.width = int(encoder.config.hidden_size)
        self.second: PreTrainedModel | None = None
        self.zero_empty = zero_empty
        if second is not None:
            words, self.second = second
            if words.get_vocab() != tokenizer.get_vocab():
                raise ModelError("the two tokenizers have different vocabularies, expected one for both encoders")
            self.second_padding = int(words.pad_token_id)
            self.width += int(self.second.config.hidden_size)

    @classmethod
    def of(cls, pipe: Pipeline) -> Self:
        """The reader of a loaded pipeline."""
        encoder = getattr(pipe, "text_encoder_2", None)
        if encoder is None:
            return cls(pipe.tokenizer, pipe.text_encoder)
        zero = bool(pipe.config.get("force_zeros_for_empty_prompt", False))
        return cls(pipe.tokenizer, pipe.text_encoder, second=(pipe.tokenizer_2, encoder), zero_empty=zero)

    def _words(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

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
        return own_tokens(self.tokenizer, template, phrase, self.length)

    def states(self, prompts: Sequence[Tokens]) -> Iterator[torch.Tensor]:
        """The encoder's states of each prompt, in order, one tensor [L, d] at a time (float32, the encoder's device).

        Raises ModelError when a state is not finite.
        """
        for part in self._parts(prompts):
            yield from part.states

    def phrase(self, phrase: str, templates: Sequence[str]) -> tuple[list[Tokens], torch.Tensor]:
        """``phrase`` in every template: tokens, and their states [templates, L, d] (float64, CPU), to be summed up."""
        prompts = [self.fill(template, phrase) for template in templates]
        return prompts, self.together(prompts).double()

    def together(self, prompts: Sequence[Tokens]) -> torch.Tensor:
        """States of these prompts as one tensor [n, L, d] (float32, CPU)."""
        return torch.stack(list(self.states(prompts))).cpu()

    def kept(
        self, what: Mapping[str, Any], make: Callable[[], dict[str, torch.Tensor]]
    ) -> dict[str, torch.Tensor]:
        """Tensors by name that ``make`` makes of this reader's states, told apart by ``what``; here nothing is kept."""
        return make()

    def pooled(self, prompts: Sequence[Tokens]) -> Iterator[torch.Tensor]:
        """The pooled text of each prompt, in order, [1, p] at a time; nothing for models that read none."""
        for part in self._parts(prompts):
            if part.pooled is not None:
                yield from part.pooled.split(1)

    def conditions(self, prompts: Sequence[str | Tokens]) -> Conditions:
        """What a U-Net reads of these prompts; the empty one as the pipeline has it."""
        tokens = [self.tokens(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        read = Conditions.joined(list(self._parts(tokens)))
        if self.zero_empty:
            for n, prompt in enumerate(prompts):
                if prompt == "":
                    read.states[n] = 0
                    if read.pooled is not None:
                        read.pooled[n] = 0
        return read

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """States of plain prompts as one tensor [n, L, d]."""
        return torch.stack(list(self.states([self.tokens(prompt) for prompt in prompts])))

    def _parts(self, prompts: Sequence[Tokens]) -> Iterator[Conditions]:
        """Conditions of a batch at a time."""
        for _, read in self.fit.each(len(prompts), lambda part: self._read(prompts[part])):
            if not torch.isfinite(read.states).all():
                raise ModelError("the text encoder gives states that are not finite, expected finite numbers")
            yield read

    @torch.no_grad()
    def _read(self, prompts: Sequence[Tokens]) -> Conditions:
        ids = torch.tensor([p.ids for p in prompts], device=self.encoder.device)
        return self.read(ids, torch.tensor([p.used for p in prompts], device=ids.device))

    def read(self, ids: torch.Tensor, used: torch.Tensor) -> Conditions:
        """Conditions of token ids [n, L], with gradients. used [n]: positions of each up to and with the end of text.
        """
        if self.second is None:
            return Conditions(self.encoder(ids)[0].float())  # [n, L, d]
        beyond = torch.arange(ids.shape[1], device=ids.device) >= used[:, None]
        padded = ids.masked_fill(beyond, self.second_padding)
        one = self.encoder(ids, output_hidden_states=True)
        other = self.second(padded.to(self.second.device), output_hidden_states=True)
        states = [each.hidden_states[-2].float() for each in (one, other)]
        return Conditions(torch.cat(states, dim=-1), other.text_embeds.float())


def own_tokens(
    tokenizer: PreTrainedTokenizerBase, template: str, phrase: str, length: int, begin: int = 1
) -> Tokens:
    """See TextReader.fill. begin: tokens before the words; one stands after them, then padding up to ``length``."""
    def words(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    head, _, tail = template.partition("{}")
    prompt = template.replace("{}", phrase, 1)
    ids = tuple(tokenizer(prompt, padding="max_length", truncation=True, max_length=length).input_ids)
    spelt = words(prompt)
    before = _common(spelt, words(head))
    after = _common(spelt[before:][::-1], words(tail)[::-1])
    start, stop = begin + before, min(begin + len(spelt) - after, length - 1)
    if stop <= start:
        raise ModelError(f"'{phrase}' has no token of its own in '{template}' within {length} positions",
                         hint="Shorten the template, or choose a phrase that the tokenizer can spell.")
    return Tokens(ids, min(length, len(spelt) + begin + 1), (start, stop))


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
