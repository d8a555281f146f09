"""Face identity: does a picture's face resemble reference pictures of the banned person, by a face-embedding network?

The networks are the policy's own ONNX files. The one that embeds is in ArcFace's form (Deng et al., CVPR 2019): RGB of
112 x 112 as (x - 127.5) / 127.5, or as it is where the network begins by subtracting and multiplying, as SFace does;
one embedding out, compared by cosine. With one that detects beside it, every face is found and turned upright first.
Without it, or where no face is found, the whole picture and centred crops are compared, so that a small face far from
the centre is missed, and one that is turned scores low. Calibrate it on pictures of the kind that it will see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mace_gov.audit.decoding import read_picture
from mace_gov.audit.detectors.aligned_faces import SIDE, FaceFinder
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.onnx_file import normalises
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes, sha256_file
from mace_gov.core.environment import version_of
from mace_gov.core.errors import DetectorError, PolicyError
from mace_gov.core.files import read_file
from mace_gov.core.lazy import require
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.detector import DetectorCard

CROPS = (1.0, 0.75, 0.5)
"""Centred squares beside the whole picture, as shares of its shorter side."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What a reference may be; other files of its folder are left alone."""
LARGEST = 2 * 2**30
"""Bytes of a network: ONNX files are no larger."""
DETECTION, EMBEDDING = "detection.onnx", "embedding.onnx"
"""Files of a folder with both networks."""


class FaceDetector:
    """Best cosine similarity, negative ones as 0, between a picture's crops and the references of the named person."""

    name = "face"

    def __init__(
        self, *, threshold: float | None = None, classes: list[str] | None = None, model: str | None = None,
        references: str | None = None,
    ) -> None:
        """``model``: the ONNX file of the network that embeds, or a folder with both. ``references``: a folder with one
        folder of face pictures for each concept."""
        if classes is not None:
            raise PolicyError("detector face: found classes, expected none: it knows the people of its references")
        given = {"model": model, "references": references, "threshold": threshold}
        missing = [name for name, value in given.items() if value is None]
        if missing or threshold is None:
            raise PolicyError(
                f"detector face: found no {', no '.join(missing)}, expected all of: {', '.join(given)}",
                hint="In the policy: {name: face, model: networks, references: faces, threshold: 0.4}",
            )
        self.threshold = float(threshold)
        self._files = _reference_files(Path(str(references)).expanduser())
        place = Path(str(model)).expanduser()
        self._session, data = _load(place / EMBEDDING if place.is_dir() else place)
        self._plain = normalises(data)
        told: dict[str, object] = {"model": sha256_bytes(data), "references": {
            name: [sha256_file(path) for path in paths] for name, paths in self._files.items()}}
        self._finder: FaceFinder | None = None
        if place.is_dir():
            found = _read(place / DETECTION)
            self._finder, told["detection"] = FaceFinder(found, str(place / DETECTION)), sha256_bytes(found)
        self._digest = digest_of(told)
        self._known: dict[str, np.ndarray] = {}

    def looks_for(self, query: Query) -> bool:
        """People who are banned, and those who must survive where there are references of them."""
        known = all(phrase_key(phrase) in self._files for phrase in query.phrases)
        return query.facet == "subject" and (query.banned or known)

    def score(self, images: Sequence[Image.Image], queries: Sequence[Query]) -> list[float]:
        """The best similarity for each picture. Raises DetectorError for a concept without references."""
        wanted = [np.concatenate([self._references(phrase) for phrase in query.phrases]) for query in queries]
        seen = [np.stack([self._embedding(each) for each in self._faces(image.convert("RGB"))]) for image in images]
        return [min(1.0, max(0.0, float((ours @ theirs.T).max()))) for ours, theirs in zip(seen, wanted, strict=True)]

    def _faces(self, picture: Image.Image) -> list[Image.Image]:
        """What of an RGB picture is compared."""
        return (self._finder.faces(picture) if self._finder else []) or list(crops(picture))

    def _reference(self, path: Path) -> Image.Image:
        """What of a reference is compared: its largest face. Raises DetectorError where none is found."""
        picture = _open_reference(path).convert("RGB")
        if self._finder is None:
            return picture
        if not (faces := self._finder.faces(picture)):
            raise DetectorError(f"face: found no face in the reference {path}, expected one, with some room around it")
        return faces[0]

    def _references(self, phrase: str) -> np.ndarray:
        """Unit vectors [references, d] of a concept, embedded when it is first asked for."""
        name = phrase_key(phrase)
        if name not in self._files:
            raise DetectorError(f"face: found no references of '{phrase}', expected a folder of that name")
        if name not in self._known:
            self._known[name] = np.stack([self._embedding(self._reference(path)) for path in self._files[name]])
        return self._known[name]

    def _embedding(self, picture: Image.Image) -> np.ndarray:
        """Unit vector [d] of an RGB picture."""
        small = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pixels = np.asarray(small, dtype=np.float32)  # [112, 112, 3]
        pixels = pixels if self._plain else (pixels - 127.5) / 127.5
        try:
            outputs = self._session.run(None, {self._session.get_inputs()[0].name: pixels.transpose(2, 0, 1)[None]})
        except Exception as error:  # onnxruntime's exceptions share no base
            raise DetectorError(f"face: could not read a picture: {type(error).__name__}: {error}") from error
        vector = np.asarray(outputs[0], dtype=np.float64)
        if vector.ndim != 2 or len(vector) != 1:
            raise DetectorError(f"face: found an output of shape {list(vector.shape)}, expected [1, d]")
        length = np.linalg.norm(vector)
        if not np.isfinite(length) or length == 0:
            raise DetectorError("face: found an embedding that is zero or not finite, expected a direction")
        unit: np.ndarray = vector[0] / length
        return unit

    def card(self) -> DetectorCard:
        """The libraries' versions, one digest for networks and references; its quality has not been measured here."""
        version = f"onnxruntime {version_of('onnxruntime') or 'unknown'}"
        if self._finder is not None:
            version += f", opencv {version_of('opencv-python-headless') or 'unknown'}"
        return DetectorCard(name=self.name, version=version, weights_digest=self._digest, threshold=self.threshold)


def crops(picture: Image.Image) -> Iterator[Image.Image]:
    """The whole picture, then its centred squares."""
    yield picture
    for share in CROPS:
        side = max(1, round(share * min(picture.size)))
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        yield picture.crop((left, top, left + side, top + side))


def _reference_files(folder: Path) -> dict[str, list[Path]]:
    """Reference pictures by concept, named as its folder is. Raises DetectorError where there are none, or outside."""
    root = folder.resolve()
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        if not path.resolve().is_relative_to(root):
            raise DetectorError(f"face: the reference {path} leads out of {folder}, expected a picture below it")
        found.setdefault(phrase_key(path.parent.name), []).append(path)
    if not found:
        raise DetectorError(f"face: found no references in {folder}, expected CONCEPT/PICTURE.png for each concept")
    return found


def _open_reference(path: Path) -> Image.Image:
    """A reference, decoded as any picture from outside. Raises DetectorError when it is none, or no plain one."""
    try:
        return read_picture(path)
    except ValueError as error:
        raise DetectorError(f"face: the reference {path} does not load: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return read_file(path, LARGEST)
    except OSError as error:
        raise DetectorError(f"face: the model {path} does not load: {error.strerror}",
                            hint=f"Give one ONNX file, or a folder with {DETECTION} and {EMBEDDING}.") from error


def _load(path: Path) -> tuple[Any, bytes]:
    """A session for the network that embeds, and the bytes of its file, which it is from. Raises DetectorError."""
    runtime, data = require("onnxruntime", "face"), _read(path)
    try:
        session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base; none may cross the border
        raise DetectorError(f"face: the model {path} does not load: {type(error).__name__}: {error}",
                            hint="Give one self-contained ONNX file of a face-embedding network.") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = [list(each.shape) for each in inputs]
    # a name or None stands for a size that may vary
    fits = len(shapes) == 1 and len(shapes[0]) == 4 and all(
        not isinstance(size, int) or size == wanted for size, wanted in zip(shapes[0], (1, 3, SIDE, SIDE), strict=True))
    if not fits or inputs[0].type != "tensor(float)" or len(outputs) != 1:
        raise DetectorError(
            f"face: found a model {path} of inputs {shapes} ({', '.join(each.type for each in inputs)}) and "
            f"{len(outputs)} outputs, expected one input [1, 3, {SIDE}, {SIDE}] (tensor(float)) and one output"
        )
    return session, data
