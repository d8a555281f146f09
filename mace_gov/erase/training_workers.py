"""Training handed to workers: the pictures, adapters and words that this process would make, in the same batches."""

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
from mace_gov.diffusion.exact import Unchanged, exact_files
from mace_gov.diffusion.learnt_words import LearntWords, learn_words
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import ErasurePlan, HardenSettings, Target
from mace_gov.erase.lora import Training, train
from mace_gov.erase.refine import refined_weights
from mace_gov.erase.training_pictures import TrainingPictures, drawn


def pictures_by(
    workers: Workers, plan: ErasurePlan, groups: Sequence[Sequence[Target]]
) -> Iterator[list[TrainingPictures]]:
    """The training pictures of each group of targets, in order."""
    units = [Unit([target.id for target in group]) for group in groups]
    for group, made in zip(groups, workers.run(_job("training", workers, plan), units), strict=True):
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
    job = _job("training", workers, plan, refinement)
    for batch, made in zip(batches, workers.run(job, units), strict=True):
        yield [Training(weights=made[t.id], **json.loads(made[f"{t.id} course"])) for t in batch]


def learnt_by(
    workers: Workers, plan: ErasurePlan, settings: HardenSettings, parts: Sequence[Sequence[tuple[Target, int]]],
    pictures: Mapping[str, TrainingPictures], refinement: torch.Tensor,
) -> Iterator[LearntWords]:
    """What ``learn_words`` finds for each part's targets and seeds on the U-Net that ``refinement`` refined, in order.
    """
    def latents(target: str) -> bytes:
        return save({"latents": pictures[target].latents})

    units = [Unit({"targets": [target.id for target, _ in part], "seeds": [seed for _, seed in part],
                   "steps": settings.steps, "count": settings.vectors},
                  Late({target.id: partial(latents, target.id) for target, _ in part})) for part in parts]
    for made in workers.run(_job("learning", workers, plan, refinement), units):
        tensors = load(made["words"])
        yield LearntWords(tensors["vectors"], tensors["losses"].tolist())


def _job(opens: str, workers: Workers, plan: ErasurePlan, refinement: torch.Tensor | None = None) -> Job:
    return Job(f"{__name__}:open_{opens}", {"plan": plan.to_json(), "device": workers.device},
               models=[Model(plan.base.path, plan.base.files)],
               blobs={} if refinement is None else {"refinement": save({"matrix": refinement.contiguous()})})


@contextmanager
def open_training(setup: Any, blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """What a worker opens to train, or, without a refinement, to draw training pictures: see ``core.workers.Opener``.

    A unit is a list of targets' ids.
    """
    with _refined(setup, blobs, place) as (plan, pipe, unchanged):
        targets = {target.id: target for target in plan.targets}

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

        yield trains if "refinement" in blobs else draws


@contextmanager
def open_learning(setup: Any, blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """What a worker opens to learn words. A unit is a list of targets' ids and of seeds."""
    with _refined(setup, blobs, place) as (_, pipe, unchanged):
        def work(about: Any, own: Mapping[str, bytes]) -> dict[str, bytes]:
            latents = [load(own[each])["latents"] for each in about["targets"]]
            learnt = learn_words(pipe, latents, about["seeds"], steps=about["steps"], count=about["count"])
            unchanged()
            return {"words": save({"vectors": learnt.vectors, "losses": torch.tensor(learnt.losses)})}

        yield work


@contextmanager
def _refined(
    setup: Any, blobs: Mapping[str, bytes], place: Place
) -> Iterator[tuple[ErasurePlan, Pipeline, Unchanged]]:
    """The plan, and its base with the U-Net refined where there is a refinement."""
    plan = ErasurePlan.from_json(setup["plan"])
    base = plan.base.model_copy(update={"path": str(place(plan.base.files))})
    with exact_files(base) as (folder, unchanged):
        pipe = load_pipeline(Path(folder), device=setup["device"])
        matrix = load(blobs["refinement"])["matrix"] if "refinement" in blobs else None
        with nullcontext() if matrix is None else refined_weights(pipe.unet, matrix):
            yield plan, pipe, unchanged
