"""Pictures from outside, decoded as a viewer shows them; what could be shown in more than one way is refused."""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from mace_gov.core.files import read_file

FORMATS = ("PNG", "JPEG", "WEBP")
"""Of all that Pillow reads; some of the others run a program (EPS) or are no single picture (PDF, GIF)."""
MOST_BYTES = 200_000_000
"""Of a file."""
MOST_PIXELS = 50_000_000
"""Of a picture; a larger one is refused before it is decoded."""
SIDES = 8, 16_384
"""Pixels that a side may have: no detector reads a line, and enlarging one takes all memory."""
PLAIN = {"1", "L", "P", "RGB"}
"""Modes of eight bits or fewer that mean one colour for each pixel."""
WITH_ALPHA = {"LA": "L", "RGBA": "RGB"}
"""Modes whose alpha must be opaque, and what is left without it."""
GAMMA, NEAR = 0.45455, 0.01
"""The gamma that every viewer assumes, and how far from it a PNG's own may be."""
PNG = b"\x89PNG\r\n\x1a\n"
PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
"""White, red, green and blue of sRGB, as a PNG's cHRM chunk gives them."""
CODE_POINTS = bytes([1, 13, 0, 1])
"""sRGB as a PNG's cICP chunk says it, which goes before a profile; Pillow does not read it."""

ONCE_BEFORE = (b"PLTE", b"tRNS", b"acTL", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf")
"""A PNG's chunks that say how the picture is shown."""

_WARNINGS = threading.Lock()


def read_picture(path: Path) -> Image.Image:
    """A file's one picture, upright, RGB. Raises ValueError that says why it is none; see ``decode``."""
    return decode(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """A picture's file as bytes. Raises ValueError when it cannot be read, or is too large to be a picture."""
    try:
        return read_file(path, MOST_BYTES)
    except OSError as error:
        raise ValueError(f"not readable: {error.strerror or error}") from error


def decode(data: bytes) -> Image.Image:
    """The one picture that ``data`` holds, turned as its EXIF data says, in sRGB.

    Raises ValueError for other formats, several frames, transparency, more than eight bits in a grey picture, CMYK and
    the like, odd sizes, and files that are damaged: the detectors must see what people will see.
    """
    try:
        # Filters are the whole process's: other libraries' warnings in other threads may not become errors, nor may two
        # pictures' filters be put back in the wrong order.
        with _WARNINGS, warnings.catch_warnings():
            warnings.filterwarnings("error", module=r"PIL\.")  # Pillow warns of what it leaves out
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check(image)
                _check_chunks(data)
                image.load()
                return _plain(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise ValueError(f"found no picture in a format that is read here: {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"found more pixels than the {MOST_PIXELS} that a picture may have") from error
    except _Odd as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # decoders' exceptions share no base; none may cross the border
        raise ValueError(f"damaged: {type(error).__name__}: {error}") from error


class _Odd(Exception):
    """A picture that is no plain one."""


def _check(image: Image.Image) -> None:
    """Raise _Odd where the header says that a viewer could show the picture in more than one way."""
    if (frames := getattr(image, "n_frames", 1)) != 1 or getattr(image, "is_animated", False):
        raise _Odd(f"found {frames} frames, expected one: the others would go unseen")
    if image.format == "JPEG" and "mp" in image.info:  # Pillow reads one of them where another is a gain map
        raise _Odd("found several pictures in one file (MPF), expected one: the others would go unseen")
    least, most = SIDES
    if not all(least <= side <= most for side in image.size) or image.width * image.height > MOST_PIXELS:
        raise _Odd(f"found {image.width} x {image.height} pixels, expected sides of {least} to {most} and at most "
                   f"{MOST_PIXELS} in all")
    if image.mode not in PLAIN | WITH_ALPHA.keys():
        raise _Odd(f"found a picture of mode {image.mode}, expected eight bits of grey or of red, green and blue")
    if "transparency" in image.info:
        raise _Odd("found a transparent colour, expected none: what is seen depends on what lies below")
    colours = {"icc_profile", "srgb"} & image.info.keys()
    if not colours and abs(image.info.get("gamma", GAMMA) - GAMMA) > NEAR:
        raise _Odd(f"found a gamma of {image.info['gamma']}, expected {GAMMA} or none")
    primaries = image.info.get("chromaticity", PRIMARIES)
    if not colours and any(abs(own - usual) > NEAR for own, usual in zip(primaries, PRIMARIES, strict=True)):
        raise _Odd("found colours of its own (cHRM), expected those of sRGB or none")


def _check_chunks(data: bytes) -> None:
    """Raises _Odd for a PNG whose chunks viewers read otherwise than Pillow does.

    A cICP chunk that says another colour space than sRGB, which goes before a profile; and what Pillow takes from
    behind the picture or from a second chunk, where others keep to the first one before it.
    """
    at, before, seen = len(PNG), True, set[bytes]()
    while data.startswith(PNG) and (kind := data[at + 4:at + 8]):
        size = int.from_bytes(data[at:at + 4], "big")
        if kind == b"cICP" and data[at + 8:at + 8 + size] != CODE_POINTS:
            raise _Odd("found colours of its own (cICP), expected those of sRGB or none")
        before = before and kind != b"IDAT"
        if kind in ONCE_BEFORE and (kind in seen or not before):
            where = "twice" if kind in seen else "behind the picture"
            raise _Odd(f"found its {kind.decode()} chunk {where}, expected it once and before: viewers differ")
        seen.add(kind)
        at += size + 12


def _plain(image: Image.Image) -> Image.Image:
    """RGB in sRGB. Raises _Odd where pixels are not opaque."""
    if image.mode in WITH_ALPHA:
        if image.getchannel("A").getextrema() != (255, 255):
            raise _Odd("found transparent pixels, expected none: what is seen depends on what lies below")
        image = image.convert(WITH_ALPHA[image.mode])
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    known = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    flat = image.convert("L" if known.profile.xcolor_space.strip() == "GRAY" else "RGB")
    try:
        seen = ImageCms.profileToProfile(flat, known, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError as error:
        raise _Odd(f"found a colour profile that does not fit the picture: {error}") from error
    if seen is None:  # only where it is asked to change the picture in place
        raise _Odd("found a colour profile that gives no picture")
    return seen
