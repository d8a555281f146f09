"""One search: the attacked model, loaded when it is needed, and what is found there, here or by the run's workers."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mace_gov.audit.attacks.attack_protocol import Attack, AttackLimits, AttackTarget
from mace_gov.audit.attacks.by_tier import ATTACKS
from mace_gov.audit.decoding import decode
from mace_gov.audit.pictures import png_bytes
from mace_gov.core.workers import Job, Model, Place, Unit, Work, Workers
from mace_gov.documents.plan import GenerationSettings, ModelManifest

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from mace_gov.diffusion.pipeline import Pipeline

Found = tuple[list["Image"], str, float]
"""One picture for each seed, what was found, in words, and the seconds that it took."""


@dataclass(frozen=True)
class Search:
    """An attack on a concept, from one seed."""

    attack: Attack
    """Which."""
    target: AttackTarget
    """What it searches for."""
    limits: AttackLimits
    """What it may spend."""


class BaseWeights:
    """The base's cross-attention projections, read when an attack first asks for them."""

    def __init__(self, manifest: ModelManifest, device: str | None) -> None:
        self.manifest, self.device = manifest, device
        self._weights: dict[str, torch.Tensor] | None = None

    def __call__(self) -> Mapping[str, torch.Tensor]:
        """[out, d] by name, float32 on the CPU."""
        if self._weights is None:
            from mace_gov.diffusion.projections import projections

            with Loaded(self.manifest, scrambled=False, device=self.device) as loaded:
                layers = projections(loaded.pipe().unet)
                self._weights = {name: layer.weight.detach().float().cpu() for name, layer in layers.items()}
                loaded.unchanged()
        return self._weights


class Loaded:
    """A model that is loaded when its first picture has to be drawn."""

    def __init__(self, manifest: ModelManifest, scrambled: bool, device: str | None) -> None:
        self.manifest, self.scrambled, self.device = manifest, scrambled, device
        self._pipe: Pipeline | None = None
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pipe = None
        self._files.close()
        gc.collect()

    @property
    def digest(self) -> str:
        """What the pictures depend on."""
        return f"scrambled {self.manifest.digest}" if self.scrambled else self.manifest.digest

    def pipe(self) -> Pipeline:
        """The pipeline; the control's U-Net has fresh random weights."""
        if self._pipe is None:
            from mace_gov.diffusion.exact import exact_files
            from mace_gov.diffusion.load import load_pipeline
            from mace_gov.diffusion.variants import scramble

            folder, self.unchanged = self._files.enter_context(exact_files(self.manifest))
            self._pipe = load_pipeline(folder, device=self.device)
            if self.scrambled:
                scramble(self._pipe, seed=0)
        return self._pipe


def find(loaded: Loaded, search: Search) -> Found:
    """What a search finds on a model."""
    pipe, start = loaded.pipe(), time.perf_counter()
    pictures, text = search.attack.run(pipe, search.target, search.limits)
    seconds = round(time.perf_counter() - start, 3)  # as it is kept: what is read again is what was found
    loaded.unchanged()
    return pictures, text, seconds


def found_by(workers: Workers, loaded: Loaded, base: ModelManifest, searches: Sequence[Search]) -> Iterator[Found]:
    """What ``find`` finds for each search, in order, on a model that each worker loads for itself."""
    job = Job(f"{__name__}:open_searching", {"model": loaded.manifest.to_json(), "scrambled": loaded.scrambled,
                                             "base": base.to_json(), "device": loaded.device},
              models=[Model(each.path, each.files) for each in (loaded.manifest, base)])
    targets = {id(each.target): each.target for each in searches}
    pictures = {key: _png_files(target.references) for key, target in targets.items()}  # its searches share them
    units = [Unit(_about(each), pictures[id(each.target)]) for each in searches]
    for made in workers.run(job, units):
        said = json.loads(made.pop("said"))
        yield [decode(made[str(n)]) for n in range(len(made))], said["text"], said["seconds"]


@contextmanager
def open_searching(setup: Any, _blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """What a worker opens to search: see ``core.workers.Opener``. A unit is a search, with its pictures."""
    model, base = (ModelManifest.from_json(setup[name]) for name in ("model", "base"))
    model, base = (each.model_copy(update={"path": str(place(each.files))}) for each in (model, base))
    weights = BaseWeights(base, setup["device"])
    with Loaded(model, setup["scrambled"], setup["device"]) as loaded:
        def work(about: Any, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
            pictures, text, seconds = find(loaded, _search(about, blobs, weights))
            return {**_png_files(pictures), "said": json.dumps({"text": text, "seconds": seconds}).encode("ascii")}

        yield work


def _png_files(pictures: Sequence[Image]) -> dict[str, bytes]:
    return {str(n): png_bytes(picture) for n, picture in enumerate(pictures)}


def _about(search: Search) -> dict[str, Any]:
    """A search as JSON, but for its pictures."""
    target, limits = search.target, search.limits
    return {
        "attack": search.attack.name,
        "target": [target.category, target.concept, target.phrase, target.words],
        "limits": [limits.seeds, limits.budget, limits.seed, limits.generation.to_json()],
    }


def _search(about: Any, blobs: Mapping[str, bytes], weights: BaseWeights) -> Search:
    """A search as it arrives."""
    category, concept, phrase, words = about["target"]
    seeds, budget, seed, generation = about["limits"]
    return Search(
        next(attack for attack in ATTACKS if attack.name == about["attack"]),
        AttackTarget(category, concept, phrase, tuple(words), tuple(decode(blobs[str(n)]) for n in range(len(blobs)))),
        AttackLimits(tuple(seeds), budget, seed, GenerationSettings.from_json(generation), weights),
    )
