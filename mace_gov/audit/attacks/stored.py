"""What an attack drew, kept by the digest of all that it depends on: an interrupted audit goes on from there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.audit.decoding import decode
from mace_gov.audit.pictures import png_bytes
from mace_gov.core.canonical import canonical_json
from mace_gov.core.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image


def store_attack(store: Store, key: str, pictures: Sequence[Image], text: str, seconds: float) -> None:
    """Keep the pictures, then what was found and how long it took; without the latter nothing counts as stored."""
    for i, picture in enumerate(pictures):
        store.put(f"attacks/{key}/{i}.png", png_bytes(picture))
    store.put(f"attacks/{key}/found.json", canonical_json({"text": text, "seconds": seconds}))


def load_attack(store: Store, key: str, count: int) -> tuple[list[Image], str, float] | None:
    """The ``count`` pictures, the words and the seconds kept under a key; None when any is missing or not as kept."""
    found = store.get(f"attacks/{key}/found.json")
    pictures = [store.get(f"attacks/{key}/{i}.png") for i in range(count)] if found is not None else [None]
    if found is None or None in pictures:
        return None
    kept = json.loads(found)
    return [decode(data) for data in pictures if data is not None], kept["text"], kept["seconds"]


def save_pictures(folder: Path, pictures: Sequence[Image]) -> None:
    """Put an attack's pictures into the evidence."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures):
        (folder / f"{i}.png").write_bytes(png_bytes(picture))
