"""Token embeddings as variables: text-encoder states of prompts whose words are vectors, with gradients to them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mace_gov.core.phrases import phrase_key
from mace_gov.diffusion.text import TextReader


class WordVectors:
    """A pipeline's text encoder, fed with token ids of which some positions are replaced by vectors."""

    def __init__(self, pipe) -> None:
        self.reader = TextReader.of(pipe)
        self.encoder = self.reader.encoder
        self.table = self.encoder.get_input_embeddings().weight.detach()  # [vocabulary, d]

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
        known = torch.nn.functional.normalize(self.table[among], dim=-1)
        return among[(torch.nn.functional.normalize(vectors, dim=-1) @ known.T).argmax(-1)]

    def states(self, ids: torch.Tensor, vectors: torch.Tensor | None = None, at: int = 0) -> torch.Tensor:
        """States [n, L, d] of token ids [n, L]; ``vectors`` [k, d] stand at positions ``at`` .. ``at + k``."""
        if vectors is None:
            return self.encoder(ids)[0].float()

        def replace(module, arguments, embedded: torch.Tensor) -> torch.Tensor:
            middle = vectors.to(embedded.dtype).expand(len(embedded), -1, -1)
            return torch.cat([embedded[:, :at], middle, embedded[:, at + len(vectors):]], 1)

        hook = self.encoder.get_input_embeddings().register_forward_hook(replace)
        try:
            return self.encoder(ids)[0].float()
        finally:
            hook.remove()

    def words(self, ids: Sequence[int]) -> str:
        """Token ids as text."""
        return self.reader.tokenizer.decode(list(ids), skip_special_tokens=True).strip()
