"""Pictures from outside: what people see is what the detectors see, and what may be seen in two ways is refused."""

import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms

from mace_gov.audit import decoding
from mace_gov.audit.decoding import FORMATS, decode, read_picture

LEVELS = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
PICTURE = Image.fromarray(LEVELS)
OTHER = PICTURE.transpose(Image.Transpose.ROTATE_180)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def png(width, height, bits, colour, rows, *chunks):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def rgb(*chunks):
    return png(48, 32, 8, 2, b"".join(b"\0" + row.tobytes() for row in LEVELS), *chunks)


def behind(*chunks):
    """The same with chunks between the picture and the end."""
    data = rgb()
    return data[:-12] + b"".join(chunks) + data[-12:]


GAMMA = chunk(b"gAMA", struct.pack(">I", 45455))
TURNED = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")


def primaries(*points):
    return chunk(b"cHRM", struct.pack(">8I", *(round(1e5 * point) for point in (0.3127, 0.329, *points))))


def with_alpha(value, corner=None):
    image = PICTURE.copy()
    image.putalpha(value)
    if corner is not None:
        image.putpixel((0, 0), (*image.getpixel((0, 0))[:3], corner))
    return image


@pytest.mark.parametrize(("data", "wanted"), [
    (encoded(PICTURE, "PNG"), LEVELS),
    (rgb(), LEVELS),
    (encoded(PICTURE, "WEBP", lossless=True), LEVELS),
    (encoded(with_alpha(255), "PNG"), LEVELS),
    (encoded(PICTURE.convert("L"), "PNG"), np.asarray(PICTURE.convert("L").convert("RGB"))),
    (encoded(PICTURE.convert("L").convert("LA"), "PNG"), np.asarray(PICTURE.convert("L").convert("RGB"))),
    (encoded(PICTURE.convert("1"), "PNG"), np.asarray(PICTURE.convert("1").convert("RGB"))),
    (encoded(PICTURE.quantize(16), "PNG"), np.asarray(PICTURE.quantize(16).convert("RGB"))),
    (encoded(PICTURE, "PNG", icc_profile=SRGB), LEVELS),
    (rgb(chunk(b"gAMA", struct.pack(">I", 45455))), LEVELS),
    (rgb(primaries(0.64, 0.33, 0.3, 0.6, 0.15, 0.06)), LEVELS),
    (rgb(chunk(b"cICP", bytes([1, 13, 0, 1]))), LEVELS),
], ids=["png", "plain-png", "webp", "opaque", "grey", "opaque-grey", "one-bit", "palette", "srgb", "usual-gamma",
        "usual-primaries", "usual-code-points"])
def test_a_plain_picture_comes_as_it_is(data, wanted):
    seen = decode(data)
    assert seen.mode == "RGB" and np.array_equal(np.asarray(seen), wanted)


def test_sixteen_bits_of_colour_are_scaled_to_eight():
    rows = b"".join(b"\0" + row.tobytes() for row in LEVELS.astype(">u2") * 257)
    assert np.array_equal(np.asarray(decode(png(48, 32, 16, 2, rows))), LEVELS)


TURNS = {1: None, 2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
         7: "TRANSVERSE", 8: "ROTATE_90"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("orientation", TURNS)
def test_a_picture_is_turned_as_its_exif_data_says(form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS[orientation]
    plain = decode(encoded(PICTURE, form))
    wanted = plain if turn is None else plain.transpose(Image.Transpose[turn])
    assert np.array_equal(np.asarray(decode(encoded(PICTURE, form, exif=exif))), np.asarray(wanted))


def test_a_colour_profile_is_followed():
    bgr = bytearray(SRGB)  # a profile that swaps red and blue: what a viewer shows is not what the file's numbers say
    red, blue = bgr.index(b"rXYZ"), bgr.index(b"bXYZ")
    bgr[red:red + 4], bgr[blue:blue + 4] = b"bXYZ", b"rXYZ"
    seen = np.asarray(decode(encoded(PICTURE, "PNG", icc_profile=bytes(bgr)))).astype(int)
    assert np.abs(seen - LEVELS[..., ::-1]).max() <= 4


FRAMES = {"save_all": True, "append_images": [OTHER]}


@pytest.mark.parametrize(("data", "said"), [
    (encoded(PICTURE, "GIF"), "no picture in a format"),
    (encoded(PICTURE, "GIF", **FRAMES), "no picture in a format"),
    (encoded(PICTURE, "TIFF"), "no picture in a format"),
    (encoded(PICTURE, "TIFF", **FRAMES), "no picture in a format"),
    (encoded(PICTURE, "BMP"), "no picture in a format"),
    (encoded(PICTURE, "EPS"), "no picture in a format"),
    (encoded(PICTURE, "PDF"), "no picture in a format"),
    (b"", "no picture in a format"),
    (b"no picture", "no picture in a format"),
    (encoded(PICTURE, "PNG", **FRAMES), "found 2 frames"),
    (encoded(PICTURE, "PNG", default_image=True, **FRAMES), "frames, expected one"),
    (encoded(PICTURE, "WEBP", **FRAMES), "found 2 frames"),
    (encoded(PICTURE, "MPO", **FRAMES), "found 2 frames"),
    (encoded(Image.fromarray(LEVELS[..., 0].astype(np.uint16) * 257), "PNG"), "mode I;16"),
    (encoded(PICTURE.convert("CMYK"), "JPEG"), "mode CMYK"),
    (encoded(with_alpha(0), "PNG"), "transparent pixels"),
    (encoded(with_alpha(255, corner=254), "PNG"), "transparent pixels"),
    (encoded(with_alpha(254), "WEBP"), "transparent pixels"),
    (encoded(PICTURE.quantize(16), "PNG", transparency=3), "transparent colour"),
    (encoded(PICTURE, "PNG", transparency=(1, 2, 3)), "transparent colour"),
    (rgb(chunk(b"gAMA", struct.pack(">I", 1000))), "gamma of 0.01"),
    (rgb(primaries(0.15, 0.06, 0.3, 0.6, 0.64, 0.33)), "cHRM"),
    (rgb(chunk(b"tEXt", b"a\0b"), chunk(b"cICP", bytes([9, 16, 0, 1]))), "cICP"),
    (behind(GAMMA), "gAMA chunk behind the picture"),
    (behind(chunk(b"iCCP", b"x\0\0" + zlib.compress(SRGB))), "iCCP chunk behind the picture"),
    (behind(chunk(b"tRNS", bytes(6))), "tRNS chunk behind the picture"),
    (behind(TURNED), "eXIf chunk behind the picture"),
    (rgb(GAMMA, GAMMA), "gAMA chunk twice"),
    (encoded(PICTURE, "MPO", xmp=b'<x hdrgm:Version="1.0"/>', **FRAMES), "several pictures in one file"),
    (encoded(PICTURE, "PNG", icc_profile=b"no profile" * 20), "damaged"),
    (encoded(PICTURE, "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()),
     "does not fit"),
    (encoded(PICTURE, "PNG")[:2000], "damaged"),
    (encoded(PICTURE, "JPEG")[:900], "damaged"),
    (encoded(PICTURE, "WEBP")[:400], "damaged"),
    (png(60_000, 60_000, 8, 2, b""), "more pixels"),
    (png(10_000, 10_000, 8, 2, b""), "more pixels"),
    (png(8_000, 8_000, 8, 2, b""), "8000 x 8000 pixels"),
    (png(2, 4_000_000, 8, 0, b""), "2 x 4000000 pixels"),
    (png(400_000, 100, 8, 0, b""), "400000 x 100 pixels"),
    (encoded(Image.new("RGB", (1, 1)), "PNG"), "1 x 1 pixels"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_could_be_seen_in_two_ways_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        decode(data)


def test_what_pillow_warns_of_is_refused_and_nobody_elses_warnings_are_errors(monkeypatch):
    frames = rgb(chunk(b"acTL", bytes(8)))  # of no frame at all: read as a plain picture, with a warning
    check = decoding._check

    def beside(image):
        """What other threads of the process do meanwhile."""
        warnings.warn("of another library", DeprecationWarning, stacklevel=1)
        check(image)

    monkeypatch.setattr(decoding, "_check", beside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = list(warnings.filters)
        with pytest.raises(ValueError, match="damaged: UserWarning: Invalid APNG"):
            decode(frames)
        assert decode(encoded(PICTURE, "PNG")).size == PICTURE.size
        inside: list[int] = []

        def alone(image):
            inside.append(1)
            time.sleep(0.02)
            assert len(inside) == 1  # filters of two pictures would be put back in the wrong order
            inside.pop()

        monkeypatch.setattr(decoding, "_check", alone)
        with ThreadPoolExecutor(4) as threads:
            assert len(list(threads.map(decode, [encoded(PICTURE, "PNG")] * 8))) == 8
        assert warnings.filters == before


def test_a_file_that_is_too_large_or_not_there_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    with pytest.raises(ValueError, match="not readable"):
        read_picture(path)
    PICTURE.save(path)
    assert np.array_equal(np.asarray(read_picture(path)), LEVELS)
    monkeypatch.setattr(decoding, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="is larger than 100 bytes"):
        read_picture(path)


def test_no_other_program_is_started_for_a_picture(monkeypatch):
    import subprocess

    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_more: pytest.fail("started a program"))
    with pytest.raises(ValueError, match="no picture in a format"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n(x) run\nshowpage\n")
