"""What an attack drew, kept by the digest of all that it depends on: an interrupted audit goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image as pillow

from mace_gov.audit.pictures import png_bytes
from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import canonical_json
from mace_gov.core.files import read_json

if TYPE_CHECKING:
    from PIL.Image import Image


def write_strike(folder: Path, pictures: Sequence[Image], text: str) -> None:
    """Write the pictures, then what was found; without the latter nothing counts as stored."""
    for i, picture in enumerate(pictures):
        write_bytes(folder / f"{i}.png", png_bytes(picture))
    write_bytes(folder / "found.json", canonical_json({"text": text}))


def read_strike(folder: Path, count: int) -> tuple[list[Image], str] | None:
    """The ``count`` pictures and the words of a folder, or None when anything is missing or cannot be read."""
    try:
        text = read_json(folder / "found.json")["text"]
        pictures = []
        for i in range(count):
            with pillow.open(folder / f"{i}.png") as image:
                pictures.append(image.convert("RGB"))
    except (OSError, ValueError, KeyError, SyntaxError):
        return None
    return pictures, text


def save_pictures(folder: Path, pictures: Sequence[Image]) -> None:
    """Put an attack's pictures into the evidence."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures):
        (folder / f"{i}.png").write_bytes(png_bytes(picture))
