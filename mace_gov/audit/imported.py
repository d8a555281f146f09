"""Pictures made elsewhere, so that a model that cannot be run here can still be judged.

A CSV beside the prompts' columns names each row's picture in ``file`` and, where the base drew one, in ``base_file``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from mace_gov.audit.calibrate import inside
from mace_gov.audit.pictures import Drawer
from mace_gov.audit.probes.outside import Outside
from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import UsageError
from mace_gov.documents.audit import Side
from mace_gov.documents.plan import GenerationSettings, ModelManifest

PICTURES = "pictures"
"""Stands for the pipeline's class in the manifest of a model that is known by its pictures alone."""


def picture_manifest(name: str, folder: Path, base: ModelManifest) -> ModelManifest:
    """The manifest of a model that ``folder`` holds pictures of: what is signed is the pictures. Raises UsageError."""
    files = folder_files(folder) if folder.is_dir() else {}
    if not files:
        raise UsageError(f"--images {folder}: found no files, expected a folder of pictures")
    return base.model_copy(update={
        "ref": name, "path": str(folder.resolve()), "revision": None, "digest": folder_digest(files), "files": files,
        "pipeline": PICTURES, "embedded": False, "text_width": 0, "image_size": 0,
    })


def importing(folder: Path, outside: Outside, draw: Drawer, governed: ModelManifest) -> Drawer:
    """A drawer that takes the governed model's pictures from ``folder``, and the base's where every row names one.

    Raises UsageError when a picture is missing, lies outside the folder or does not open.
    """
    given = outside.pictures.values()
    sides: tuple[Side, ...] = ("governed", "base") if all("base" in names for names in given) else ("governed",)

    def drawer(
        model: ModelManifest, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings
    ) -> Iterator[Image.Image]:
        side: Side = "governed" if model.digest == governed.digest else "base"
        if side not in sides:
            yield from draw(model, prompts, seeds, settings)
            return
        for want in zip(prompts, seeds, strict=True):
            name = outside.pictures[want][side]
            try:
                with Image.open(inside(folder, name)) as image:
                    yield image.convert("RGB")
            except (OSError, ValueError, SyntaxError) as error:
                raise UsageError(f"--images: the picture of '{want[0]}': {error}") from error

    return drawer
