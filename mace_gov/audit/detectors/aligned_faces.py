"""Faces in a picture, found by a detection network and turned upright: what a face-embedding network was trained on.

The network is the policy's own ONNX file in YuNet's form (Wu et al., Machine Intelligence Research 2023), as OpenCV
runs it: a box and five landmarks for each face.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from mace_gov.core.errors import DetectorError
from mace_gov.core.lazy import require

SIDE = 112
"""Side of a face-embedding network's input."""
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
"""Where ArcFace (Deng et al., CVPR 2019) wants the eyes, the nose and the corners of the mouth, from left to right in
the picture, [5, 2]."""
SURE = 0.6
"""Score from which a box counts as a face."""
APART = 0.3
"""Overlap of two boxes above which the weaker is dropped."""
LOOKS = (640, 320)
"""Longer sides that a picture is looked at in. YuNet finds faces of 10 to 300 pixels: larger ones show when small."""


class FaceFinder:
    """A loaded detection network."""

    def __init__(self, data: bytes, name: str) -> None:
        """``data``: the ONNX file; ``name``: of it, for messages. Raises MissingExtraError, DetectorError."""
        self._opencv = require("cv2", "face")
        self._opencv.utils.logging.setLogLevel(2)  # errors alone: it warns of every target that it does without
        try:
            self._network = self._opencv.FaceDetectorYN.create(
                "onnx", np.frombuffer(data, np.uint8), np.empty(0, np.uint8), (SIDE, SIDE), SURE, APART)
            self.landmarks(Image.new("RGB", (SIDE, SIDE)))
        except (self._opencv.error, DetectorError) as error:
            raise DetectorError(f"face: the detection network {name} does not load: {_first(error)}",
                                hint="Give an ONNX file in YuNet's form.") from error

    def faces(self, picture: Image.Image) -> list[Image.Image]:
        """Every face of an RGB picture, the largest first, upright in SIDE x SIDE pixels. One may come twice."""
        found = sorted(self.landmarks(picture), key=lambda points: -np.ptp(points, axis=0).max())
        return [upright(picture, points) for points in found]

    def landmarks(self, picture: Image.Image) -> list[np.ndarray]:
        """Five points of each face, [5, 2], in pixels of the picture. Raises DetectorError when the network fails."""
        found = []
        for longer in LOOKS:
            scale = longer / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            levels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))[:, :, ::-1]  # blue, green, red
            try:
                self._network.setInputSize(size)
                _, rows = self._network.detect(np.ascontiguousarray(levels))
            except self._opencv.error as error:
                raise DetectorError(f"face: could not look for faces in a picture: {_first(error)}") from error
            for row in () if rows is None else rows:  # box, five points, score
                if not np.isfinite(row).all():
                    raise DetectorError("face: found a face at no finite place, expected numbers")
                found.append(row[4:14].reshape(5, 2).astype(np.float64) / scale)
        return found


def upright(picture: Image.Image, points: np.ndarray) -> Image.Image:
    """The picture turned, scaled and moved so that five points [5, 2] come to lie where TEMPLATE has them.

    The least-squares similarity from the template to the points; as complex numbers it is p = a t + b.
    """
    wanted, given = (each[:, 0] + 1j * each[:, 1] + 0.5 + 0.5j for each in (TEMPLATE, points))  # pixels' middles
    spread = wanted - wanted.mean()
    a = complex((spread.conj() @ (given - given.mean())) / (np.abs(spread) ** 2).sum())
    b = complex(given.mean() - a * wanted.mean())
    matrix = (a.real, -a.imag, b.real, a.imag, a.real, b.imag)
    return picture.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["nothing said"])[0]
