"""Neurons in the text encoder: each name is recognised as a whole, and what must stay is not answered.

A linear edit of keys and values answers directions. A hundred people and whoever shares a first or a last name with
them lie in the same few, so that an edit which takes the hundred takes the others along. A neuron answers a threshold.
After Transformer-Patcher (Huang et al., ICLR 2023, arXiv 2301.09785), which mends one mistake of a language model with
one neuron of its last feed-forward layer. Here each name gets two pairs of neurons in the last layer that the pipeline
reads, one pair for the name's last token, where all of its tokens have been read, and one for what follows the prompt.

A pair reads s(h) = w h + c of a text state h before the layer and writes v times a ramp: 0 below t, 1 from u on,

    v (relu(k (s - t)) - relu(k (s - u))),  k = 1 / (u - t)

w is Fisher's discriminant of the name, or of largest margin where that leaves no room (``margin``). t lies above the
largest s of all that must stay, u below what the name itself reaches. v leads from the name's state after the layer to
its anchor's in the same place, and for styles past it. No picture is drawn, and no gradient of the model asked for.
What must stay is what nobody banned: general captions, the vocabulary, concepts that the policy preserves, other banned
names, names that are joined anew of banned ones, and strangers, banned names with some of their tokens exchanged. Names
of one concept share a pair where they are read alike.

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
from mace_gov.documents.reuse import derived_seed
from mace_gov.documents.terms import Kind
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about
from mace_gov.erase.methods.neuron_pairs import MACHINES, Group, States, joined, pairs
from mace_gov.erase.namesakes import namesakes
from mace_gov.erase.preserve import prior_captions
from mace_gov.erase.vocabulary import strangers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WORDINGS, FEW = 10, 2
"""Templates in which a banned name stands, and in which one that must stay does."""
PADDING = (0, 1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64)
"""Places after the end of text at which padding is read; the U-Net reads it all."""
STYLE_REACH = 1.5
"""How far a style is led, of the way to its anchor. A pair writes the mean of many ways, which differ with the
subject that the style is asked for on; what is left of one, guidance makes much of."""
STRANGERS, STRANGERS_OF_ALL = 200, 4000
"""Phrases that differ from a banned name in some tokens: of each name, and of all together."""


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


def neurons(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """Two pairs of neurons for each concept or name, in each text encoder. See ``EraseMethod``.

    Raises NumericalError where no state of a name tells it from what must stay.
    """
    clock, reader = Stopwatch(), TextReader.of(pipe)
    names = {target.id: (target.target, *(target.other_names or [])) for target in plan.targets}
    every = [name for each in names.values() for name in each]
    wordings = min(WORDINGS, len(plan.templates))
    templates = [plan.templates[n * len(plan.templates) // wordings] for n in range(wordings)]
    near = _staying(plan, every)
    people = [target.target for target in plan.targets if target.kind is Kind.CELEBRITY]
    each = min(STRANGERS, STRANGERS_OF_ALL // max(1, len(people)))
    nobody = [name for name in strangers(reader.tokenizer, people, each, derived_seed(plan.seed, "strangers"))
              if name not in {*every, *(plan.preserve.held_out or [])}]
    general = [reader.tokens(caption) for caption in prior_captions(plan, reader.tokenizer)]
    said = {
        **{phrase: [reader.fill(each, phrase) for each in templates]
           for phrase in [*every, *(t.anchor for t in plan.targets)]},
        **{phrase: [reader.fill(each, phrase) for each in templates[:FEW]] for phrase in near},
        **{phrase: [reader.fill(templates[n % len(templates)], phrase)] for n, phrase in enumerate(nobody)},
    }
    added: dict[str, Neurons] = {}
    unread: set[str] = set()  # at their last token
    weak: set[str] = set()  # there, or after the prompt
    with clock.stage("neurons"):
        encoders = _encoders(reader)
        advance = progress.start("reading what is erased and what must stay (prompts)",
                                 len(encoders) * (len(general) + sum(map(len, said.values()))))
        for encoder in encoders:
            states = {phrase: joined(list(_read(encoder, reader, prompts, advance)))
                      for phrase, prompts in said.items()}
            prior = joined(list(_read(encoder, reader, general, advance)))
            groups = [Group(tuple(states[name] for name in names[target.id]), states[target.anchor],
                            STYLE_REACH if target.kind is Kind.STYLE else 1.0) for target in plan.targets]
            staying = [states[phrase] for phrase in [*near, *nobody]]
            # what follows a prompt first: those pairs may answer the name's last token, too
            told = progress.start("telling names from what must stay (machines)", 2 * MACHINES * len(groups))
            after, apart_after = pairs(1, groups, staying, prior, told)
            own, apart = pairs(0, groups, staying, prior, told, after)
            for target, at_last, behind in zip(plan.targets, apart, apart_after, strict=True):
                unread |= set() if at_last else {target.id}
                weak |= set() if at_last and behind else {target.id}
            added[encoder.name] = Neurons(encoder.layer, *(torch.cat(each, axis) for each, axis in zip(
                zip(own, after, strict=True), (0, 0, 1), strict=True)))
    if len(unread) == len(plan.targets):
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
) -> Iterator[States]:
    """The states of each prompt; of a bare caption the begin and every word take the name's place."""
    for part, (read, given) in reader.fit.each(len(prompts), lambda part: encoder.inside(prompts[part])):
        for n, prompt in enumerate(prompts[part]):
            own = [prompt.own[1] - 1] if prompt.own else list(range(max(prompt.used - 1, 1)))
            after = [min(prompt.used - 1, reader.length - 1),
                     *(min(prompt.used + step, reader.length - 1) for step in PADDING)]
            yield States((read[n, own], read[n, after]), (given[n, own], given[n, after]))
        advance(len(prompts[part]))
