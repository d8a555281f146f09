"""Token embeddings as variables: what a U-Net reads of prompts whose words are vectors, with gradients to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from mace_gov.core.phrases import phrase_key
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import Conditions, TextReader


class WordVectors:
    """A pipeline's text encoders, fed with token ids of which some positions are replaced by vectors.

    A word's vector is its embeddings in all encoders, side by side: d is the sum of their widths.
    """

    def __init__(self, pipe: Pipeline) -> None:
        self.reader = TextReader.of(pipe)
        self.encoders = [each for each in (self.reader.encoder, self.reader.second) if each is not None]
        tables = [each.get_input_embeddings().get_parameter("weight").detach() for each in self.encoders]
        self.widths = [table.shape[1] for table in tables]
        self.table = torch.cat(tables, 1)  # [vocabulary, d]
        self.spread = torch.cat([table.std().expand(table.shape[1]) for table in tables])
        """[d]: how far apart words are, in each encoder's own measure."""

    def ids(self, prompt: str) -> torch.Tensor:
        """Token ids [L] of a prompt, with begin, end and padding."""
        return torch.tensor(self.reader.tokens(prompt).ids, device=self.table.device)

    def plain_tokens(self, without: Sequence[str]) -> torch.Tensor:
        """Ids of tokens that end a word, special ones apart, and none that spells one of the words in ``without``."""
        tokenizer = self.reader.tokenizer
        special = set(tokenizer.all_special_ids)
        banned = {part for phrase in without for part in phrase_key(phrase).split() if len(part) > 2}
        names = {index: token.removesuffix("</w>") for token, index in tokenizer.get_vocab().items()
                 if token.endswith("</w>")}
        kept = [
            index for index, name in sorted(names.items())
            if index not in special and name.isascii() and name.isalpha()
            and not any(len(name) > 2 and (name in word or word in name) for word in banned)
        ]
        return torch.tensor(kept, device=self.table.device)

    def nearest(self, vectors: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
        """Ids [n] of the tokens in ``among`` whose embeddings are nearest to vectors [n, d], by cosine."""
        known = torch.nn.functional.normalize(self.table[among] / self.spread, dim=-1)
        return among[(torch.nn.functional.normalize(vectors / self.spread, dim=-1) @ known.T).argmax(-1)]

    def conditions(self, ids: torch.Tensor, vectors: torch.Tensor | None = None, at: int = 0) -> Conditions:
        """What a U-Net reads of token ids [n, L]; ``vectors`` stand at positions ``at`` .. ``at + k``.

        They are [k, d] for all prompts, or [n, k, d] for each its own.
        """
        ended = ids == self.reader.tokenizer.eos_token_id  # the end of text, and padding where it is the same token
        used = torch.where(ended.any(1), ended.int().argmax(1) + 1, ids.shape[1])
        with self._replaced(vectors, at) if vectors is not None else nullcontext():
            return self.reader.read(ids, used)

    def words(self, ids: Sequence[int]) -> str:
        """Token ids as text."""
        return str(self.reader.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    @contextmanager
    def _replaced(self, vectors: torch.Tensor, at: int) -> Iterator[None]:
        """Each encoder reads its own part of the vectors in the place of its embeddings."""
        def replacing(own: torch.Tensor) -> Callable[[nn.Module, Any, torch.Tensor], torch.Tensor]:
            def replace(_module: nn.Module, _arguments: Any, embedded: torch.Tensor) -> torch.Tensor:
                middle = own.to(embedded.device, embedded.dtype).expand(len(embedded), -1, -1)
                return torch.cat([embedded[:, :at], middle, embedded[:, at + middle.shape[1]:]], 1)

            return replace

        with ExitStack() as hooks:
            for encoder, own in zip(self.encoders, vectors.split(self.widths, -1), strict=True):
                hooks.callback(encoder.get_input_embeddings().register_forward_hook(replacing(own)).remove)
            yield
