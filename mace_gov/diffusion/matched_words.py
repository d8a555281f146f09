"""New words whose keys and values on an edited model are those that names give the base. No picture has a part in it.

With W* the edited cross-attention projections, W the base's, all stacked, and e(v) the states of a caption with the
word v, the search is for

    argmin over v   |W* e(v) - W e(name)|^2 / |W e(anchor) - W e(name)|^2

over the word's last position and those after it, which an encoder that reads from left to right lets say what the word
is: the preimage (``audit.attacks.preimage``) as far as a word can reach it. It goes through the text encoder alone,
which makes a step some forty times as cheap as one of ``learnt_words`` on the embedded model. As rounds of search
(``erase.harden``) such words stopped next to nothing when that was tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.learnt_words import BEGIN, CAPTION, RATE, LearntWords, placed
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader

AFTER = 6
"""Positions of padding that count beside the word's last and the end of text; those after them say little else."""
SPREAD = 0.5
"""How far from the embedding of ``learnt_words.BEGIN`` a search begins, in units of the embeddings' own spread."""


def match_words(
    pipe: Pipeline, names: Sequence[tuple[str, str]], base: Mapping[str, torch.Tensor], seeds: Sequence[int], *,
    steps: int,
) -> LearntWords:
    """A word of one vector for each of n (name, anchor), on the pipeline as it is.

    base: the base's projections [out, d] by name. ``losses`` are what is left of the way from the name to the anchor,
    of squares: 0 the name's own keys and values, 1 as far from them as the anchor's. Raises ModelError for a tokenizer
    without plain words.
    """
    words, (edited, original) = WordVectors(pipe), _stacked(pipe, base)
    reader, table = words.reader, words.table
    prompt, fill = placed(reader, CAPTION, 1), reader.fill(CAPTION, BEGIN)
    last, used = prompt.positions[-1], min(prompt.used + AFTER, len(prompt.ids))
    with torch.no_grad():
        wanted, instead = (_after(reader, phrases, original, used - last) for phrases in zip(*names, strict=True))
        way = _way(wanted, instead)
    ids = torch.tensor(prompt.ids[:used], device=table.device).expand(len(names), -1)
    begin = table[fill.ids[fill.positions[-1]]]
    moved = torch.stack([torch.randn(1, table.shape[1], generator=torch.Generator().manual_seed(seed))
                         for seed in seeds]).to(table.device).mul_(SPREAD).requires_grad_(True)

    def left() -> torch.Tensor:
        states = words.conditions(ids, begin + words.spread * moved, at=prompt.positions[0]).states[:, last:].float()
        return (states @ edited.T - wanted).square().sum((1, 2)) / way

    optimizer = torch.optim.AdamW([moved], lr=RATE, weight_decay=0.0)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        left().sum().backward()
        optimizer.step()
        falling.step()
    with torch.no_grad():
        return LearntWords((begin + words.spread * moved).float().cpu(), left().tolist())


@torch.no_grad()
def name_losses(
    pipe: Pipeline, names: Sequence[tuple[str, str]], base: Mapping[str, torch.Tensor]
) -> list[float]:
    """Of the names themselves on the pipeline as it is, what ``LearntWords.losses`` of ``match_words`` are."""
    edited, original = _stacked(pipe, base)
    reader = TextReader.of(pipe)
    phrases, anchors = zip(*names, strict=True)
    asked, wanted, instead = (_after(reader, each, weights, 2 + AFTER) for each, weights in (
        (phrases, edited), (phrases, original), (anchors, original)))
    return ((asked - wanted).square().sum((1, 2)) / _way(wanted, instead)).tolist()


def _stacked(pipe: Pipeline, base: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """W* and W, turned so that lengths stay, with no more rows than both have columns [at most 2 d, d]."""
    own = {name: layer.weight.detach().cpu().double() for name, layer in projections(pipe.unet).items()}
    both = torch.cat([torch.cat([own[name], base[name].cpu().double()], 1) for name in sorted(own)])
    turned = torch.linalg.qr(both, mode="r").R.float().to(pipe.unet.device)
    edited, original = turned.split(turned.shape[1] // 2, 1)
    return edited, original


def _way(wanted: torch.Tensor, instead: torch.Tensor) -> torch.Tensor:
    """|W e(anchor) - W e(name)|^2 [n]."""
    return (wanted - instead).square().sum((1, 2)).clamp_min(torch.finfo(wanted.dtype).tiny)


def _after(reader: TextReader, phrases: Sequence[str], original: torch.Tensor, count: int) -> torch.Tensor:
    """W e of each phrase in the caption, at its last position and after it [n, count, rows]."""
    prompts = [reader.fill(CAPTION, phrase) for phrase in phrases]
    states = reader.conditions(prompts).states.float()
    length = states.shape[1]
    places = torch.tensor([[min(p.positions[-1] + k, length - 1) for k in range(count)] for p in prompts],
                          device=states.device)
    return torch.gather(states, 1, places[..., None].expand(-1, -1, states.shape[2])) @ original.T
