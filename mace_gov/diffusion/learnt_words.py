"""New words, learnt on a model from pictures by its own training loss with frozen weights, of several things at once.

After textual inversion (Gal et al., ICLR 2023, arXiv 2208.01618). Vectors take the place of plain words in a caption.
Adam works element by element and every caption has its own vectors and pictures, so each gets what it would get alone,
up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isnan

import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.denoising import denoising_losses, drawn_batch
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import Conditions, TextReader, Tokens

CAPTION = "a picture of {}"
"""What a new word is learnt in."""
PLACE = "a"
"""The word whose places the vectors take: one token in every vocabulary."""
BEGIN = "thing"
"""The word from whose embedding they start."""
BATCH = 4
"""Noised pictures of each thing in a step."""
CHECKS = 16
"""Noised pictures of each thing on which losses are compared."""
RATE = 0.3
"""Learning rate of AdamW at the first step, in units of the embeddings' own spread; it falls as a cosine to 0. A sixth
of it finds words by luck."""
TIMES = (0.03, 0.4)
"""Shares of the noise schedule between which pictures are noised: where it is settled what a thing looks like."""

OTHER_START = 500_000_000
"""Between the seeds of two starts of one search."""
STARTS = 4
"""Searches for one thing, of which the one with the lowest loss after a quarter of the steps goes on alone: some
end in a word that says nothing, and show it by then."""

Draws = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""See ``denoising.drawn_batch``."""


@dataclass(frozen=True)
class LearntWords:
    """One new word for each thing."""

    vectors: torch.Tensor
    """[n, k, d] float32 on the CPU."""
    losses: list[float]
    """Mean denoising loss of each thing's pictures, told the word."""


def learn_words(
    pipe: Pipeline, references: Sequence[torch.Tensor], seeds: Sequence[int], *, steps: int, count: int = 1,
    starts: int = 1, advance: Callable[[int], None] = lambda _steps: None,
) -> LearntWords:
    """A word of ``count`` vectors for each of n things, of which ``references`` [pictures, c, h, w] are the latents.

    starts: how many searches of each thing begin; see ``STARTS``. advance: told how many steps are done, each thing's
    counted, those of all starts. Raises ModelError for a tokenizer without plain words.
    """
    searches = [_Search(pipe, references, [seed + OTHER_START * start for seed in seeds], steps, count, advance)
                for start in range(starts)]
    best = searches[0]
    if starts > 1:
        for each in searches:
            each.go_on(_begun(steps))
        for thing, losses in enumerate(zip(*(each.losses() for each in searches), strict=True)):
            known = [inf if isnan(loss) else loss for loss in losses]
            best.take(thing, searches[known.index(min(known))])
    best.go_on(steps)
    return LearntWords(best.vectors().float().cpu(), best.losses())


def all_steps(steps: int, starts: int) -> int:
    """Those of all starts of a search of so many steps."""
    return steps + (starts - 1) * _begun(steps)


def _begun(steps: int) -> int:
    return steps // 4


class _Search:
    """One word for each thing, as far as it is learnt."""

    def __init__(
        self, pipe: Pipeline, references: Sequence[torch.Tensor], seeds: Sequence[int], steps: int, count: int,
        advance: Callable[[int], None],
    ) -> None:
        self.pipe, self.references, self.advance, self.done = pipe, references, advance, 0
        self.words = WordVectors(pipe)
        table, fill = self.words.table, self.words.reader.fill(CAPTION, BEGIN)
        prompt = placed(self.words.reader, CAPTION, count)
        self.ids = torch.tensor(prompt.ids, device=table.device).expand(len(references), -1)
        self.at = prompt.positions[0]
        self.begin = table[fill.ids[fill.positions[-1]]]
        self.moved = torch.zeros(len(references), count, table.shape[-1], device=table.device, requires_grad=True)
        self.optimizer = torch.optim.AdamW([self.moved], lr=RATE, weight_decay=0.0)
        self.falling = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        self.chances = [torch.Generator().manual_seed(seed) for seed in seeds]

    def vectors(self) -> torch.Tensor:
        """[n, k, d]."""
        return self.begin + self.words.spread * self.moved.detach()

    def go_on(self, until: int) -> None:
        """Take steps until so many are done."""
        for _ in range(self.done, until):
            self.optimizer.zero_grad()
            drawn = [drawn_batch(self.pipe, own, BATCH, chance, TIMES)
                     for own, chance in zip(self.references, self.chances, strict=True)]
            _losses(self.pipe, self.references, self._read(), drawn).sum().backward()
            self.optimizer.step()
            self.falling.step()
            self.advance(len(self.references))
        self.done = max(self.done, until)

    @torch.no_grad()
    def losses(self) -> list[float]:
        """Of each thing, on the draws that all losses are compared on."""
        return _losses(self.pipe, self.references, self._read(), _checks(self.pipe, self.references)).tolist()

    @torch.no_grad()
    def take(self, thing: int, other: _Search) -> None:
        """Go on with another's word of a thing, which is as far."""
        self.moved[thing] = other.moved[thing]
        self.chances[thing] = other.chances[thing]
        mine, others = self.optimizer.state[self.moved], other.optimizer.state[other.moved]
        for name in ("exp_avg", "exp_avg_sq"):
            if name in mine:
                mine[name][thing] = others[name][thing]

    def _read(self) -> Conditions:
        return self.words.conditions(self.ids, self.begin + self.words.spread * self.moved, at=self.at)


@torch.no_grad()
def caption_losses(
    pipe: Pipeline, references: Sequence[torch.Tensor], phrases: Sequence[str]
) -> list[float]:
    """Mean denoising loss of each thing's pictures, told a phrase: of the draws that ``LearntWords.losses`` are of."""
    reader = TextReader.of(pipe)
    text = reader.conditions([reader.fill(CAPTION, phrase) for phrase in phrases])
    return _losses(pipe, references, text, _checks(pipe, references)).tolist()


@torch.no_grad()
def word_conditions(
    words: WordVectors, vectors: torch.Tensor, templates: Sequence[str]
) -> tuple[list[Tokens], list[Conditions]]:
    """A word of vectors [k, d] in every template: tokens, and what a U-Net reads of each."""
    prompts, device = [placed(words.reader, template, len(vectors)) for template in templates], words.table.device
    return prompts, [words.conditions(torch.tensor([prompt.ids], device=device), vectors.to(device),
                                      at=prompt.positions[0]) for prompt in prompts]


def word_states(
    words: WordVectors, vectors: torch.Tensor, templates: Sequence[str]
) -> tuple[list[Tokens], torch.Tensor]:
    """The same, of the states alone [templates, L, d] (float64, CPU)."""
    prompts, read = word_conditions(words, vectors, templates)
    return prompts, torch.cat([each.states for each in read]).double().cpu()


def placed(reader: TextReader, template: str, count: int) -> Tokens:
    """A template with ``count`` plain words in the place of ``{}``. Raises ModelError where those are not as many
    tokens."""
    prompt = reader.fill(template, " ".join([PLACE] * count))
    if len(prompt.positions) != count:
        raise ModelError(f"'{PLACE}' is not one token in '{template}', expected one for each vector of a learnt word")
    return prompt


def _checks(pipe: Pipeline, references: Sequence[torch.Tensor]) -> list[Draws]:
    return [drawn_batch(pipe, own, CHECKS, torch.Generator().manual_seed(0), TIMES) for own in references]


def _losses(
    pipe: Pipeline, references: Sequence[torch.Tensor], text: Conditions,
    drawn: Sequence[Draws],
) -> torch.Tensor:
    """Mean loss of each thing [n], told a prompt each, of the same number of draws."""
    device, each = pipe.unet.device, len(drawn[0][0])
    latents = torch.cat([own.to(device)[picked.to(device)]
                         for own, (picked, _, _) in zip(references, drawn, strict=True)])
    steps, noise = (torch.cat([draw[part].to(device) for draw in drawn]) for part in (1, 2))
    told = text[torch.arange(len(references), device=text.states.device).repeat_interleave(each)]
    return denoising_losses(pipe, latents, told, steps, noise).view(len(references), each).mean(1)
