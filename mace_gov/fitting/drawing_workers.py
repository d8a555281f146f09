"""Pictures of a base whose projections are edited: drawn here, or by the run's workers, the same either way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load, save

from mace_gov.audit.decoding import decode
from mace_gov.audit.pictures import png_bytes
from mace_gov.core.resources import asked
from mace_gov.core.workers import Job, Model, Place, Unit, Work, Workers
from mace_gov.diffusion.exact import exact_files
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import pooled_projection, projections
from mace_gov.documents.plan import ErasurePlan, GenerationSettings, ModelManifest
from mace_gov.erase.delta import ErasureDelta

Edit = Mapping[str, torch.Tensor]
"""``matrix`` [d, d], and ``pooled`` [p, p] where the base reads the pooled text; empty for the base as it is."""


class Edited:
    """A loaded base that draws as edits of its projections ask. They stay as the last one left them."""

    def __init__(self, pipe: Pipeline) -> None:
        self._pipe, self._pooled = pipe, pooled_projection(pipe.unet)
        self._layers = projections(pipe.unet) | self._pooled
        self._pristine = {name: layer.weight.detach().cpu().clone() for name, layer in self._layers.items()}

    def draw(
        self, edit: Edit, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings
    ) -> Iterator[Image.Image]:
        """One picture for each prompt and seed, in order."""
        weights = self._pristine
        if edit:
            pooled = dict.fromkeys(self._pooled, edit["pooled"]) if "pooled" in edit else {}
            weights = ErasureDelta(edit["matrix"], pooled=pooled).apply(self._pristine)
        for name, layer in self._layers.items():
            layer.weight.data.copy_(weights[name])
        yield from draw(self._pipe, prompts, seeds, settings)


def drawn_by(
    workers: Workers, plan: ErasurePlan, edit: Edit, prompts: Sequence[str], seeds: Sequence[int]
) -> Iterator[Image.Image]:
    """What ``Edited.draw`` draws of the plan's base, by workers, in the batches that this process would draw."""
    job = Job(f"{__name__}:open_edited", {"base": plan.base.to_json(), "settings": plan.generation.to_json(),
                                          "device": workers.device}, models=[Model(plan.base.path, plan.base.files)])
    own = {"edit": save({name: each.contiguous() for name, each in edit.items()})} if edit else {}
    wanted, block = list(zip(prompts, seeds, strict=True)), asked().batch or plan.generation.batch
    units = [Unit(wanted[start:start + block], own) for start in range(0, len(wanted), block)]
    for unit, made in zip(units, workers.run(job, units), strict=True):
        yield from (decode(made[str(n)]) for n in range(len(unit.about)))


@contextmanager
def open_edited(setup: Any, _blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """What a worker opens to draw with edits: see ``core.workers.Opener``. A unit is prompts with seeds."""
    base = ModelManifest.from_json(setup["base"])
    base = base.model_copy(update={"path": str(place(base.files))})
    settings = GenerationSettings.from_json(setup["settings"])
    with exact_files(base) as (folder, unchanged):
        model = Edited(load_pipeline(Path(folder), device=setup["device"]))

        def work(unit: Any, own: Mapping[str, bytes]) -> dict[str, bytes]:
            edit = load(own["edit"]) if own else {}
            drawn = model.draw(edit, [prompt for prompt, _ in unit], [seed for _, seed in unit], settings)
            made = {str(n): png_bytes(picture) for n, picture in enumerate(drawn)}
            unchanged()
            return made

        yield work
