"""Neurons in the text encoder: each name is recognised as a whole, and what must stay is not answered.

A linear edit of keys and values answers directions. A hundred people and whoever shares a first or a last name with
them lie in the same few, so that an edit which takes the hundred takes the others along. A neuron answers a threshold.
After Transformer-Patcher (Huang et al., ICLR 2023, arXiv 2301.09785), which mends one mistake of a language model with
one neuron of its last feed-forward layer. Here each name gets two pairs of neurons in the last layer that the pipeline
reads, one pair for the name's last token, where all of its tokens have been read, and one for what follows the prompt.

A pair reads s(h) = w h + c of a text state h before the layer and writes v times a ramp: 0 below t, 1 from u on,

    v (relu(k (s - t)) - relu(k (s - u))),  k = 1 / (u - t)

w is Fisher's discriminant of the name against general captions and all other names, with s = 1 at the name's mean, 0 at
the captions' and 0 at the name's own in the other place. t lies above the largest s of all that must stay, u below what
the name itself reaches. v leads from the name's state after the layer to its anchor's in the same place. Nothing is
trained. What must stay is what nobody banned: general captions, the vocabulary, concepts that the policy preserves,
other banned names, and names that are joined anew of banned ones. Names of one concept share a pair where they are read
alike.

Whoever puts back the base's text encoder, or learns a word, has the concept back: docs/methods.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.diffusion.neurons import Neurons, feed_forward_layers
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import TextReader, Tokens
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.terms import Kind
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about
from mace_gov.erase.namesakes import namesakes
from mace_gov.erase.preserve import prior_captions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WORDINGS, FEW = 10, 2
"""Templates in which a banned name stands, and in which one that must stay does."""
PADDING = (0, 1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64)
"""Places after the end of text at which padding is read; the U-Net reads it all."""
START, FULL = 0.15, 0.55
"""Where the ramp begins and where it has done its work, as shares of the way from the largest s of what must stay to
what nearly all of the name's own states reach."""
REACHED = 0.02
"""Share of a name's own states that may lie lower than that."""
SHRUNK = 0.02
"""Ridge of the discriminant, relative to the mean variance."""
STEEP = 60.0
"""Input of a neuron at the top of its ramp: there the encoder's smooth activation is a relu to within a thousandth."""
LEEWAY = 0.001
"""Share of what general captions read that may lie higher, where otherwise a name would not be told from them at all:
they hold its plural, and words that nobody listed for it."""
NARROW = 0.01
"""Least width of a ramp: its weights are the larger the narrower it is, and must not leave half precision's range."""


@dataclass(frozen=True)
class _Encoder:
    """A text encoder, and the layer of it that gets the neurons."""

    name: str
    """Its folder."""
    model: PreTrainedModel
    layer: int
    """The last that the pipeline reads."""
    padding: int | None
    """What stands after the end of text, where that is not the tokenizer's own."""

    @torch.no_grad()
    def inside(self, prompts: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the layer's neurons read, and what the layer gives, both [n, L, d] float64 on the CPU."""
        layer = feed_forward_layers(self.model)[self.layer]
        seen: dict[str, torch.Tensor] = {}

        def reads(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            seen["read"] = inputs[0]

        def gives(_module: nn.Module, _inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            seen["given"] = output[0] if isinstance(output, tuple) else output

        hooks = [layer.get_submodule("mlp.fc1").register_forward_pre_hook(reads), layer.register_forward_hook(gives)]
        try:
            ids = torch.tensor([prompt.ids for prompt in prompts], device=self.model.device)
            if self.padding is not None:
                used = torch.tensor([prompt.used for prompt in prompts], device=ids.device)
                ids = ids.masked_fill(torch.arange(ids.shape[1], device=ids.device) >= used[:, None], self.padding)
            self.model(ids)
        finally:
            for hook in hooks:
                hook.remove()
        shape = (*ids.shape, -1)
        return seen["read"].double().cpu().view(shape), seen["given"].double().cpu().view(shape)


@dataclass(frozen=True)
class _States:
    """Of one name, or of a caption: at the name's last token, and from the end of text on."""

    read: tuple[torch.Tensor, torch.Tensor]
    """Before the layer, [n, d] each."""
    given: tuple[torch.Tensor, torch.Tensor]
    """After it."""


def neurons(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """Two pairs of neurons for each concept or name, in each text encoder. See ``EraseMethod``.

    Raises NumericalError where no state of a name tells it from what must stay.
    """
    clock, reader = Stopwatch(), TextReader.of(pipe)
    names = {target.id: (target.target, *(target.other_names or [])) for target in plan.targets}
    every = [name for each in names.values() for name in each]
    wordings = min(WORDINGS, len(plan.templates))
    templates = [plan.templates[n * len(plan.templates) // wordings] for n in range(wordings)]
    stay = _staying(plan, every)
    general = [reader.tokens(caption) for caption in prior_captions(plan, reader.tokenizer)]
    said = {phrase: [reader.fill(each, phrase) for each in templates[:count]]
            for phrases, count in ((dict.fromkeys([*every, *(t.anchor for t in plan.targets)]), WORDINGS), (stay, FEW))
            for phrase in phrases}
    added, weak = {}, set()
    with clock.stage("neurons"):
        encoders = _encoders(reader)
        advance = progress.start("reading what is erased and what must stay (prompts)",
                                 len(encoders) * (len(general) + sum(map(len, said.values()))))
        for encoder in encoders:
            states = {phrase: _joined(list(_read(encoder, reader, prompts, advance)))
                      for phrase, prompts in said.items()}
            prior = _joined(list(_read(encoder, reader, general, advance)))
            parts = []
            for place in (0, 1):
                groups = [_Group(tuple(states[name] for name in names[target.id]), states[target.anchor])
                          for target in plan.targets]
                made, apart = _pairs(place, groups, [states[phrase] for phrase in stay], prior)
                parts.append(made)
                weak |= {target.id for target, own in zip(plan.targets, apart, strict=True) if not own and place == 0}
            added[encoder.name] = Neurons(encoder.layer, *(torch.cat(each, axis) for each, axis in zip(
                zip(*parts, strict=True), (0, 0, 1), strict=True)))
    if len(weak) == len(plan.targets):
        raise NumericalError("neurons: no name's text states lie apart from those of what must stay",
                             hint="Erase with another method.")
    warnings = [f"neurons: a name of {concept} is read much like what must stay, so that it may still be drawn"
                for concept in sorted(weak)]
    width = reader.width
    delta = ErasureDelta(torch.eye(width, dtype=torch.float64), about=about(plan, "none"), neurons=added)
    return Erasure(delta, [], [], clock.seconds, warnings)


def _encoders(reader: TextReader) -> list[_Encoder]:
    """One or two; two are read before their last layer (Stable Diffusion XL)."""
    before = 1 if reader.second is None else 2
    found = [_Encoder("text_encoder", reader.encoder, len(feed_forward_layers(reader.encoder)) - before, None)]
    if reader.second is not None:
        found.append(_Encoder("text_encoder_2", reader.second, len(feed_forward_layers(reader.second)) - before,
                              reader.second_padding))
    return found


def _staying(plan: ErasurePlan, names: Sequence[str]) -> list[str]:
    """Phrases that must stay as they are and are near to what goes: preserved ones, and people who share names."""
    people = [target.target for target in plan.targets if target.kind is Kind.CELEBRITY]
    left_out = {*names, *(plan.preserve.held_out or [])}
    return [phrase for phrase in dict.fromkeys([*plan.preserve.concepts, *namesakes(people)]) if phrase not in left_out]


def _read(
    encoder: _Encoder, reader: TextReader, prompts: Sequence[Tokens], advance: Callable[[int], None]
) -> Iterator[_States]:
    """The states of each prompt; of a bare caption the begin and every word take the name's place."""
    for part, (read, given) in reader.fit.each(len(prompts), lambda part: encoder.inside(prompts[part])):
        for n, prompt in enumerate(prompts[part]):
            own = [prompt.own[1] - 1] if prompt.own else list(range(max(prompt.used - 1, 1)))
            after = [min(prompt.used - 1, reader.length - 1),
                     *(min(prompt.used + step, reader.length - 1) for step in PADDING)]
            yield _States((read[n, own], read[n, after]), (given[n, own], given[n, after]))
        advance(len(prompts[part]))


def _joined(states: Sequence[_States]) -> _States:
    return _States((torch.cat([s.read[0] for s in states]), torch.cat([s.read[1] for s in states])),
                   (torch.cat([s.given[0] for s in states]), torch.cat([s.given[1] for s in states])))


@dataclass(frozen=True)
class _Group:
    """Names of a concept that one pair of neurons answers, and where it leads them."""

    names: tuple[_States, ...]
    anchor: _States

    def at(self, place: int) -> torch.Tensor:
        """All of their states in one place, before the layer [n, d]."""
        return torch.cat([name.read[place] for name in self.names])


Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""read [n, d], bias [n] and write [d, n] of n neurons."""


def _pairs(
    place: int, concepts: Sequence[_Group], stay: Sequence[_States], prior: _States
) -> tuple[Parts, list[bool]]:
    """Pairs for concepts in one place, and of each concept whether all of its names lie apart from what stays.

    A concept's names share a pair, since synonyms are read alike; where together they are not apart, each gets its own.
    """
    parts, together = _solved(place, concepts, stay, prior)
    single = [[_Group((name,), concept.anchor) for name in concept.names]
              if not apart and len(concept.names) > 1 else [concept]
              for concept, apart in zip(concepts, together, strict=True)]
    if all(len(each) == 1 for each in single):
        return parts, together
    parts, each = _solved(place, [group for groups in single for group in groups], stay, prior)
    found = iter(each)
    return parts, [min(next(found) for _ in groups) for groups in single]


def _solved(
    place: int, groups: Sequence[_Group], stay: Sequence[_States], prior: _States
) -> tuple[Parts, list[bool]]:
    """A pair for each group, and which of them lie apart from what stays and from one another."""
    own, kept, general = [group.at(place) for group in groups], [s.read[place] for s in stay], prior.read[place]
    elsewhere = [group.at(1 - place) for group in groups]
    middle = general.mean(0)
    spread, named = general - middle, torch.cat([*own, *kept]) - middle
    within = torch.cat([states - states.mean(0) for states in (*own, *kept)])  # what wording alone changes
    covariance = (spread.T @ spread / len(spread) + named.T @ named / len(named)) / 2 + within.T @ within / len(within)
    covariance.diagonal().add_(SHRUNK * float(covariance.diagonal().mean()))
    at = torch.stack([torch.stack([each.mean(0) - middle for each in both])
                      for both in zip(own, elsewhere, strict=True)])  # m and m' [n, 2, d]
    reads = torch.linalg.solve(covariance, at.mT)  # [n, d, 2]
    read = torch.linalg.solve(reads.mT @ at.mT, reads.mT)[:, 0]  # w with w m = 1 and w m' = 0 [n, d]
    bias = -read @ middle
    reached = torch.stack([(states @ read[n] + bias[n]).quantile(REACHED) for n, states in enumerate(own)])

    def answers(states: Sequence[_States]) -> torch.Tensor:
        # a neuron reads every place of a prompt, whichever it was made for
        return torch.cat([one @ read.T + bias for each in states for one in each.read])

    others = torch.stack([answers(group.names).amax(0) for group in groups]).fill_diagonal_(-torch.inf)
    itself = torch.stack([(states @ read[n] + bias[n]).max() for n, states in enumerate(elsewhere)])
    near = torch.cat([others, itself[None], *(answers([states]).amax(0)[None] for states in stay)]).amax(0)
    captions = answers([prior]).sort(0, descending=True).values
    few = captions[int(LEEWAY * len(captions))]
    highest = torch.maximum(near, torch.where(reached > captions[0], captions[0], few))
    apart = reached > highest
    gap = (reached - highest).clamp_min(0)  # what is not apart is left to what lies above all that must stay
    start = highest + START * gap
    full = torch.maximum(highest + FULL * gap, start + NARROW)
    steep = STEEP / (full - start)
    write = torch.stack([group.anchor.given[place].mean(0) - torch.cat([n.given[place] for n in group.names]).mean(0)
                         for group in groups]) / STEEP
    return (torch.cat([read * steep[:, None]] * 2), torch.cat([(bias - start) * steep, (bias - full) * steep]),
            torch.cat([write, -write]).T.contiguous()), apart.tolist()
