"""Training handed to workers: the same pictures and adapters as this process would make, in the same batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from mace_gov.core.workers import Job, Late, Model, Place, Unit, Work, Workers
from mace_gov.diffusion.exact import exact_files
from mace_gov.diffusion.load import load_pipeline
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.erase.lora import Training, train
from mace_gov.erase.refine import refined_weights
from mace_gov.erase.training_pictures import TrainingPictures, drawn


def pictures_by(
    workers: Workers, plan: ErasurePlan, groups: Sequence[Sequence[Target]]
) -> Iterator[list[TrainingPictures]]:
    """The training pictures of each group of targets, in order."""
    units = [Unit([target.id for target in group]) for group in groups]
    for group, made in zip(groups, workers.run(_job(workers, plan), units), strict=True):
        yield [TrainingPictures(**load(made[target.id])) for target in group]


def trained_by(
    workers: Workers, plan: ErasurePlan, batches: Sequence[Sequence[Target]], pictures: Mapping[str, TrainingPictures],
    directions: Mapping[str, torch.Tensor], refinement: torch.Tensor,
) -> Iterator[list[Training]]:
    """What ``lora.train`` gives for each batch of targets on the U-Net that ``refinement`` [d, d] refined, in order.

    directions: of those targets that begin with one.
    """
    def drawn(target: str) -> bytes:
        return save(vars(pictures[target]))

    def direction(target: str) -> bytes:
        return save({"a": directions[target].contiguous()})

    units = [Unit([target.id for target in batch], Late({
        **{f"pictures {t.id}": partial(drawn, t.id) for t in batch},
        **{f"direction {t.id}": partial(direction, t.id) for t in batch if t.id in directions},
    })) for batch in batches]
    job = _job(workers, plan, {"refinement": save({"matrix": refinement.contiguous()})})
    for batch, made in zip(batches, workers.run(job, units), strict=True):
        yield [Training(weights=made[t.id], **json.loads(made[f"{t.id} course"])) for t in batch]


def _job(workers: Workers, plan: ErasurePlan, blobs: Mapping[str, bytes] | None = None) -> Job:
    return Job(f"{__name__}:open_training", {"plan": plan.to_json(), "device": workers.device},
               models=[Model(plan.base.path, plan.base.files)], blobs=blobs or {})


@contextmanager
def open_training(setup: Any, blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """What a worker opens to train, or, without a refinement, to draw training pictures: see ``core.workers.Opener``.

    A unit is a list of targets' ids.
    """
    plan = ErasurePlan.from_json(setup["plan"])
    base = plan.base.model_copy(update={"path": str(place(plan.base.files))})
    targets = {target.id: target for target in plan.targets}
    with exact_files(base) as (folder, unchanged):
        pipe = load_pipeline(Path(folder), device=setup["device"])
        matrix = load(blobs["refinement"])["matrix"] if "refinement" in blobs else None

        def draws(ids: list[str], _own: Mapping[str, bytes]) -> dict[str, bytes]:
            made = zip(ids, drawn(pipe, plan, [targets[each] for each in ids]), strict=True)
            found = {each: save(vars(pictures)) for each, pictures in made}
            unchanged()
            return found

        def trains(ids: list[str], own: Mapping[str, bytes]) -> dict[str, bytes]:
            pictures = {each: TrainingPictures(**load(own[f"pictures {each}"])) for each in ids}
            directions = {each: load(data)["a"] for each in ids if (data := own.get(f"direction {each}")) is not None}
            made = zip(ids, train(pipe, plan, [targets[each] for each in ids], pictures, directions or None),
                       strict=True)
            found: dict[str, bytes] = {}
            for each, trained in made:
                course = {name: value for name, value in vars(trained).items() if name != "weights"}
                found |= {each: trained.weights, f"{each} course": json.dumps(course).encode("ascii")}
            unchanged()
            return found

        with nullcontext() if matrix is None else refined_weights(pipe.unet, matrix):
            yield draws if matrix is None else trains
