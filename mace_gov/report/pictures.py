"""The evidence folder's pictures, checked and embedded. Only a picture that was signed for is shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
LARGEST = 8 << 20
"""Bytes; a thumbnail beyond this is not embedded."""


@dataclass(frozen=True)
class Picture:
    """One picture for the page: a data URI with its size in pixels, or the reason why there is none."""

    uri: str | None
    """``data:image/png;base64,...``"""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    problem: str | None
    """Why it is not shown, in words."""

    @property
    def enlarged(self) -> bool:
        """Small pictures are enlarged with hard pixel edges: nothing is invented between them."""
        return 0 < self.width <= 64


def _absent(problem: str) -> Picture:
    return Picture(uri=None, width=0, height=0, problem=problem)


def confined(folder: Path, name: str) -> Path:
    """``folder/name``, resolved. Raises IntegrityError when the name or a link in it leads out of the folder."""
    pure = PurePosixPath(name)
    parts = pure.parts
    if not parts or pure.is_absolute() or ".." in parts or ":" in parts[0] or "\\" in name or "\x00" in name:
        raise IntegrityError(f"picture name {name!r} leads out of the evidence folder; expected a relative path in it")
    root = folder.resolve()
    path = (root / pure).resolve()
    if not path.is_relative_to(root):
        raise IntegrityError(f"picture {name!r} is a link that leads out of the evidence folder {folder}")
    return path


def read_picture(folder: Path, name: str, files: Mapping[str, str]) -> Picture:
    """Read one PNG of the evidence folder as a data URI.

    ``files`` are the digests that the evidence lists. A picture that is missing, unlisted, too large or no PNG gives a
    placeholder; one whose digest differs from the list raises IntegrityError.
    """
    path = confined(folder, name)
    expected = files.get(name)
    if expected is None:
        return _absent("not in the list of signed files")
    if not path.is_file():
        return _absent("missing from the evidence folder")
    if path.stat().st_size > LARGEST:
        return _absent(f"larger than {LARGEST >> 20} MiB")
    data = path.read_bytes()
    if (found := sha256_bytes(data)) != expected:
        raise IntegrityError(f"picture {name!r} has digest {found}, the evidence lists {expected}")
    if len(data) < 24 or not data.startswith(PNG_MAGIC) or data[12:16] != b"IHDR":
        return _absent("not a PNG file")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    return Picture(f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}", width, height, None)
