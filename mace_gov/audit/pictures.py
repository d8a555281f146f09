"""Pictures on disk: drawn once for a model, prompt, seed and sampler, then fetched from the cache."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

import mace_gov
from mace_gov.audit.decoding import read_picture
from mace_gov.audit.inputs import AuditRun
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.environment import version_of
from mace_gov.core.errors import IncompleteError
from mace_gov.core.resources import asked
from mace_gov.core.store import Store
from mace_gov.core.workers import Job, Model, Place, Unit, Work, Workers
from mace_gov.documents.audit import Side
from mace_gov.documents.plan import GenerationSettings, ModelManifest

if TYPE_CHECKING:
    from mace_gov.diffusion.pipeline import Pipeline

Wanted = tuple[str, int]
"""Prompt and seed."""

Drawn = Image.Image | bytes
"""A picture, or its PNG file as ``png_bytes`` makes it."""

Drawer = Callable[[ModelManifest, Sequence[str], Sequence[int], GenerationSettings], Iterator[Drawn]]
"""Draws one picture for each prompt and seed, in order, with one model."""

DRAWING = "1"
"""Version of the way pictures are drawn and stored; a new one makes every cached picture stale."""


@dataclass(frozen=True)
class Picture:
    """A picture of the evidence folder."""

    name: str
    """PNG file, relative to the evidence folder."""
    digest: str
    """SHA-256 of the file."""


def picture_key(model_digest: str, prompt: str, seed: int, settings: GenerationSettings) -> str:
    """Digest of everything that a picture depends on; the batch that it was drawn in is not among it.

    A precision is where the user chose one: pictures that were drawn in another are not taken for these.
    """
    precision = {} if (given := asked().precision) is None else {"precision": str(given)}
    return digest_of({
        **precision,
        "model": model_digest, "prompt": prompt, "seed": seed,
        "steps": settings.steps, "guidance": settings.guidance, "size": settings.size,
        "code": [mace_gov.__version__, DRAWING, version_of("torch") or "", version_of("diffusers") or ""],
    })


def draw_side(
    side: Side, model: ModelManifest, wanted: Sequence[Wanted], settings: GenerationSettings, out: Path,
    run: AuditRun,
) -> dict[Wanted, Picture]:
    """Put every wanted picture of one model into ``out/pictures/<side>``, drawing those that ``run.cache`` lacks.

    run: its cache is None for pictures that no model here draws, which are never kept there.
    Raises IncompleteError when the drawer yields fewer pictures than were asked for: a missing one is never an absence.
    """
    cache, drawer, progress = run.cache, run.drawer or diffusion_drawer(run.device), run.progress
    unique = list(dict.fromkeys(wanted))
    keys = {want: picture_key(model.digest, *want, settings) for want in unique}
    store = None if cache is None else Store(cache)
    made: dict[Wanted, Picture] = {}
    folder = out / "pictures" / side
    folder.mkdir(parents=True, exist_ok=True)

    def keep(want: Wanted, data: bytes) -> None:
        # a plain write: the whole evidence folder is new, and appears under its name only once all of it is there
        name = f"pictures/{side}/{keys[want][:24]}.png"
        (folder / f"{keys[want][:24]}.png").write_bytes(data)
        made[want] = Picture(name, sha256_bytes(data))

    def missing() -> list[Wanted]:
        for want in unique:
            if store is not None and want not in made and (data := store.get(f"pictures/{keys[want]}.png")) is not None:
                keep(want, data)
        if store is not None:
            store.tell(progress)
        return [want for want in unique if want not in made]

    lacking = missing()
    with store.lease(keys.values(), progress) if store and lacking else nullcontext():
        lacking = missing() if store and lacking else lacking  # another run may have drawn them meanwhile
        if made:
            progress.note(f"{side} model: {len(made)} of {len(unique)} pictures reused")
        if not lacking:
            return made
        advance = progress.start(f"drawing {side} pictures", len(lacking))
        drawn = drawer(model, [prompt for prompt, _ in lacking], [seed for _, seed in lacking], settings)
        for want, image in zip(lacking, drawn, strict=False):
            data = image if isinstance(image, bytes) else png_bytes(image)
            if store is not None:
                store.put(f"pictures/{keys[want]}.png", data)
            keep(want, data)
            advance(1)
    if len(made) < len(unique):
        raise IncompleteError(f"{side} model {model.ref}: found {len(made)} pictures, expected {len(unique)}")
    return made


def png_bytes(image: Image.Image) -> bytes:
    """A picture as the bytes of an RGB PNG file."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def open_picture(out: Path, picture: Picture) -> Image.Image:
    """A picture of the evidence folder, decoded, RGB."""
    return read_picture(out / picture.name)


def diffusion_drawer(device: str | None) -> Drawer:
    """Load a model, draw everything with it and let it go: base and governed model are never in memory together.

    Where the run has workers they do so, a batch each in turn.
    """

    def drawer(
        model: ModelManifest, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings
    ) -> Iterator[Drawn]:
        if (workers := asked().workers) is not None:
            yield from _drawn_by(workers, model, prompts, seeds, settings, device)
            return
        with _drawing(model, settings, device) as draws:
            try:
                yield from draws(prompts, seeds)
            finally:
                del draws
                gc.collect()

    return drawer


def _drawn_by(
    workers: Workers, model: ModelManifest, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings,
    device: str | None,
) -> Iterator[bytes]:
    """Pictures as PNG files, drawn by workers in the batches that this process would draw."""
    block = asked().batch or settings.batch
    wanted = list(zip(prompts, seeds, strict=True))
    units = [Unit(wanted[start:start + block]) for start in range(0, len(wanted), block)]
    job = Job(f"{__name__}:open_drawing", {"model": model.to_json(), "settings": settings.to_json(), "device": device},
              models=[Model(model.path, model.files)])
    for unit, made in zip(units, workers.run(job, units), strict=True):
        yield from (made[str(n)] for n in range(len(unit.about)))


@contextmanager
def open_drawing(setup: Any, _blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """What a worker opens to draw: see ``core.workers.Opener``. A unit is a list of prompts with their seeds."""
    model = ModelManifest.from_json(setup["model"])
    model = model.model_copy(update={"path": str(place(model.files))})
    with _drawing(model, GenerationSettings.from_json(setup["settings"]), setup["device"]) as draws:
        yield lambda unit, _blobs: {str(n): png_bytes(picture)
                            for n, picture in enumerate(draws([p for p, _ in unit], [seed for _, seed in unit]))}


@contextmanager
def _drawing(
    model: ModelManifest, settings: GenerationSettings, device: str | None
) -> Iterator[Callable[[Sequence[str], Sequence[int]], Iterator[Image.Image]]]:
    """A loaded model that draws."""
    from mace_gov.diffusion.exact import exact_files
    from mace_gov.diffusion.generate import draw
    from mace_gov.diffusion.load import load_pipeline

    with exact_files(model) as (folder, unchanged):
        def draws(pipe: Pipeline, prompts: Sequence[str], seeds: Sequence[int]) -> Iterator[Image.Image]:
            for picture in draw(pipe, prompts, seeds, settings):
                unchanged()  # weights may be read from their file as late as they are used
                yield picture

        yield partial(draws, load_pipeline(folder, device=device, draws=True))
