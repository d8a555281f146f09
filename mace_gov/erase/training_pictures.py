"""The training pictures of stage 2: what the pristine base model draws for a concept, and where it looked meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load, save

from mace_gov.core.errors import IncompleteError
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.resources import asked
from mace_gov.core.store import Store
from mace_gov.diffusion.attention import AttentionRecord, record_attention
from mace_gov.diffusion.batching import BatchSize, batch_size_of
from mace_gov.diffusion.generate import sample
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import Conditions, TextReader
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.documents.reuse import derived_seed, pictures_key, training_templates


@dataclass(frozen=True)
class TrainingPictures:
    """n pictures of one concept. Latents are kept rather than pixels: that is what training reads."""

    latents: torch.Tensor
    """[n, c, h, w] float32, scaled as the U-Net reads them."""
    heat: torch.Tensor
    """[n, h, w] float32: attention to the concept's own tokens, mean over layers, heads and the middle steps."""


class _Kept(Mapping[str, TrainingPictures]):
    """Pictures by their target's id, read when they are asked for: of a thousand targets a batch's are in memory."""

    def __init__(self, store: Store, names: Mapping[str, str]) -> None:
        self._store, self._names = store, names

    def __getitem__(self, target: str) -> TrainingPictures:
        if (data := self._store.get(self._names[target])) is None:
            raise IncompleteError(f"the training pictures of '{target}' in {self._store.folder} are gone or changed, "
                                  "expected those that were just kept", hint="Run the command again.")
        return TrainingPictures(**load(data))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def training_pictures(
    pipe: Pipeline, plan: ErasurePlan, targets: Sequence[Target], cache: Path | None = None,
    advance: Callable[[int], None] = lambda _targets: None, progress: Progress | None = None,
) -> Mapping[str, TrainingPictures]:
    """Draw the training pictures of targets with the base model, or take them from ``cache``; by the target's id.

    ``advance`` is told of those that are drawn. Several targets share a batch. Those of a batch are kept once it is
    done, so that a run that was interrupted goes on with the batches that it would have drawn. With a cache they are
    read from there as they are asked for; without one all are in memory.
    """
    found: dict[str, TrainingPictures] = {}
    store, names = None if cache is None else Store(cache), {target.id: _name(plan, target) for target in targets}
    missing = [target for target in targets if store is None or store.get(names[target.id]) is None]
    if store is not None:
        store.tell(progress or Silent())
    for together, made in _groups(pipe, plan, missing):
        for target, pictures in zip(together, made, strict=True):
            if store is None:
                found[target.id] = pictures
            else:
                store.put(names[target.id], save({"latents": pictures.latents, "heat": pictures.heat}))
        advance(len(together))
    return found if store is None else _Kept(store, names)


def _groups(
    pipe: Pipeline, plan: ErasurePlan, missing: Sequence[Target]
) -> Iterator[tuple[Sequence[Target], list[TrainingPictures]]]:
    """Targets that share a batch, with their pictures, drawn here or by the run's workers."""
    fit, images = _fit(pipe, plan), max((target.lora.images for target in missing), default=1)
    if (workers := asked().workers) is not None:
        from mace_gov.erase.training_workers import pictures_by

        most = max(1, fit.size // images)
        groups = [missing[start:start + most] for start in range(0, len(missing), most)]
        yield from zip(groups, pictures_by(workers, plan, groups), strict=True)
        return
    while missing:
        most = max(1, fit.size // images)  # less, once memory ran out
        together, missing = missing[:most], missing[most:]
        yield together, drawn(pipe, plan, together)


def undrawn(plan: ErasurePlan, targets: Sequence[Target], cache: Path | None) -> int:
    """Of how many targets the pictures are still to be drawn, as far as the names in the cache tell."""
    return sum(cache is None or not (cache / _name(plan, target)).is_file() for target in targets)


def _name(plan: ErasurePlan, target: Target) -> str:
    return f"pictures/{pictures_key(plan, target)}.safetensors"


def _fit(pipe: Pipeline, plan: ErasurePlan) -> BatchSize:
    return batch_size_of(pipe, f"training pictures {plan.generation.size}", plan.generation.batch)


def drawn(pipe: Pipeline, plan: ErasurePlan, targets: Sequence[Target]) -> list[TrainingPictures]:
    """The pictures of each target, a batch at a time."""
    reader = TextReader.of(pipe)
    prompts, seeds = [], []
    for target in targets:
        own = [reader.fill(template, target.target) for template in training_templates(plan, target)]
        seed = derived_seed(plan.seed, target.id)
        prompts += own
        seeds += [seed + n for n in range(len(own))]
    empty, latents, heat = reader.conditions([""]), [], []

    def draw(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        positions = [prompt.positions for prompt in prompts[part]]
        return _draw(pipe, plan, reader.conditions(prompts[part]), empty, seeds[part], positions)

    for _, (made, looked) in _fit(pipe, plan).each(len(prompts), draw):
        latents.append(made)
        heat.append(looked)
    counts = [target.lora.images for target in targets]
    return list(map(TrainingPictures, torch.cat(latents).split(counts), torch.cat(heat).split(counts)))


def _draw(
    pipe: Pipeline, plan: ErasurePlan, text: Conditions, empty: Conditions, seeds: Sequence[int],
    positions: Sequence[list[int]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents [n, c, h, w] and heat [n, h, w], both float32 on the CPU."""
    first, last = plan.generation.steps // 3, max(2 * plan.generation.steps // 3, plan.generation.steps // 3 + 1)
    side = plan.generation.size // pipe.vae_scale_factor
    heat, passes = torch.zeros(len(positions), side, side, device=pipe.unet.device), 0

    def gather(record: AttentionRecord) -> None:
        for attention in record.maps.values():  # [2n or n, pixels, L]
            attention = attention[-len(positions):]
            own = torch.stack([a[:, p].sum(-1) for a, p in zip(attention, positions, strict=True)])  # [n, pixels]
            edge = round(own.shape[1] ** 0.5)
            grid = own.view(len(positions), 1, edge, edge)
            heat.add_(F.interpolate(grid, (side, side), mode="bilinear", align_corners=False)[:, 0])

    with record_attention(pipe.unet, mean=True) as record:
        def on_step(index: int, _latents: torch.Tensor) -> None:
            nonlocal passes
            if first < index <= last:  # the pass before this step was one of the middle ones
                gather(record)
                passes += len(record.maps)
            record.clear()

        latents = sample(pipe, text, empty, seeds, plan.generation, on_step=on_step)
        if passes == 0:  # so few steps that the last one is the middle one
            gather(record)
            passes = len(record.maps)
    return latents.float().cpu(), heat.cpu() / passes
