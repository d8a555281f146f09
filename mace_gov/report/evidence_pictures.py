"""The evidence folder's pictures, checked and embedded. Only a picture that was signed for is shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError

PNG_MAGIC, JPEG_MAGIC = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
LARGEST = 8 << 20
"""Bytes; a thumbnail beyond this is not embedded."""


@dataclass(frozen=True)
class EvidencePicture:
    """One picture for the page: a data URI with its size in pixels, or the reason why there is none."""

    uri: str | None
    """``data:image/png;base64,...``, or the same of WebP or JPEG."""
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


def _absent(problem: str) -> EvidencePicture:
    return EvidencePicture(uri=None, width=0, height=0, problem=problem)


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


def read_evidence_picture(folder: Path, name: str, files: Mapping[str, str]) -> EvidencePicture:
    """Read one PNG, WebP or JPEG of the evidence folder as a data URI.

    ``files`` are the digests that the evidence lists. A picture that is missing, unlisted, too large or of another kind
    gives a placeholder; one whose digest differs from the list raises IntegrityError.
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
    readers = {"png": _png_size, "webp": _webp_size, "jpeg": _jpeg_size}
    kind, size = next(((kind, size) for kind, read in readers.items() if (size := read(data))), ("", None))
    if size is None:
        return _absent("not a PNG, WebP or JPEG file")
    return EvidencePicture(f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", *size, None)


def _png_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24 or not data.startswith(PNG_MAGIC) or data[12:16] != b"IHDR":
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from a lossy key frame's header (RFC 6386, 9.1); None for what is none."""
    if len(data) < 30 or data[:4] + data[8:16] != b"RIFFWEBPVP8 " or data[23:26] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header (ITU-T T.81, B.2.2); None for what is no JPEG."""
    at = 2 if data.startswith(JPEG_MAGIC) else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7:at + 9], "big"), int.from_bytes(data[at + 5:at + 7], "big")
        at += 2 + max(length, 2)
    return None
