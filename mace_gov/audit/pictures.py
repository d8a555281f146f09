"""Pictures on disk: drawn once for a model, prompt, seed and sampler, then fetched from the cache."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import mace_gov
from mace_gov.audit.decoding import read_picture
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.environment import version_of
from mace_gov.core.errors import IncompleteError
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.resources import asked
from mace_gov.core.store import Store
from mace_gov.documents.audit import Side
from mace_gov.documents.plan import GenerationSettings, ModelManifest

Wanted = tuple[str, int]
"""Prompt and seed."""

Drawer = Callable[[ModelManifest, Sequence[str], Sequence[int], GenerationSettings], Iterator[Image.Image]]
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
    side: Side, model: ModelManifest, wanted: Sequence[Wanted], settings: GenerationSettings, out: Path, *,
    cache: Path | None, drawer: Drawer, progress: Progress | None = None,
) -> dict[Wanted, Picture]:
    """Put every wanted picture of one model into ``out/pictures/<side>``, drawing those that ``cache`` lacks.

    cache: folder of what was drawn before; None for pictures that no model here draws, which are never kept there.
    Raises IncompleteError when the drawer yields fewer pictures than were asked for: a missing one is never an absence.
    """
    progress = progress or Silent()
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

    for want in unique:
        if store is not None and (data := store.get(f"pictures/{keys[want]}.png")) is not None:
            keep(want, data)
    if store is not None:
        store.tell(progress)
    missing = [want for want in unique if want not in made]
    if made:
        progress.note(f"{side} model: {len(made)} of {len(unique)} pictures reused")
    if not missing:
        return made
    advance = progress.start(f"drawing {side} pictures", len(missing))
    drawn = drawer(model, [prompt for prompt, _ in missing], [seed for _, seed in missing], settings)
    for want, image in zip(missing, drawn, strict=False):
        data = png_bytes(image)
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
    """Load a model, draw everything with it and let it go: base and governed model are never in memory together."""

    def drawer(
        model: ModelManifest, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings
    ) -> Iterator[Image.Image]:
        from mace_gov.diffusion.exact import exact_files
        from mace_gov.diffusion.generate import draw
        from mace_gov.diffusion.load import load_pipeline

        with exact_files(model) as (folder, unchanged):
            pipe = load_pipeline(folder, device=device, draws=True)
            try:
                for picture in draw(pipe, prompts, seeds, settings):
                    unchanged()  # weights may be read from their file as late as they are used
                    yield picture
            finally:
                del pipe
                gc.collect()

    return drawer
