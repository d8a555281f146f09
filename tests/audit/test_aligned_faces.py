"""Faces are found and turned upright before they are compared; the finder takes every cell of pure red for a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mace_gov.audit.detectors.aligned_faces import TEMPLATE, FaceFinder, upright
from mace_gov.audit.detectors.by_name import make_detector
from mace_gov.audit.detectors.face import DETECTION, EMBEDDING
from mace_gov.audit.detectors.onnx_file import normalises
from mace_gov.audit.scoring import ConfiguredDetector
from mace_gov.core.errors import DetectorError, PolicyError
from mace_gov.documents.policy import DetectorSpec
from mace_gov.workflow.planning import plan_policy
from tests.audit.test_face import asks, person
from tests.audit.tiny_onnx import FRONTAL, finder, network
from tests.preflight.test_checks import written

pytest.importorskip("onnxruntime")
pytest.importorskip("cv2")
GREY = (90, 90, 90)
THRESHOLD = 0.9
CELLS = (TEMPLATE - TEMPLATE.mean(0)) / 16
"""Landmarks of an upright face of 112 pixels, in cells of 16 pixels, from its middle."""


def marked(face: Image.Image) -> Image.Image:
    """A face of 112 pixels with a cell of pure red whose upper left corner is the mean of its landmarks."""
    made = face.copy()
    left, top = np.round(TEMPLATE.mean(0)).astype(int)
    made.paste((255, 0, 0), (int(left), int(top), int(left) + 16, int(top) + 16))
    return made


def scene(face: Image.Image, middle: tuple[int, int] = (320, 160), side: int = 640) -> Image.Image:
    """A grey picture with the face in it, so that its landmarks' mean comes to lie at ``middle``."""
    picture = Image.new("RGB", (side, side), GREY)
    left, top = np.round(np.array(middle) - TEMPLATE.mean(0)).astype(int)
    picture.paste(face, (int(left), int(top)))
    return picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seed in (("Ada Lovelace", 1), ("Alan Turing", 3)):
        (tmp_path / "faces" / name).mkdir(parents=True)
        scene(marked(person(seed))).save(tmp_path / "faces" / name / "1.png")
        (tmp_path / "crops" / name).mkdir(parents=True)
        marked(person(seed)).save(tmp_path / "crops" / name / "1.png")
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / DETECTION).write_bytes(finder(CELLS))
    (tmp_path / "networks" / EMBEDDING).write_bytes(network("Flatten"))
    return tmp_path


def make(folder: Path, **changes):
    given = {"model": str(folder / "networks"), "references": str(folder / "faces"), "threshold": THRESHOLD}
    return make_detector(DetectorSpec(name="face", **{**given, **changes}))


def test_five_points_come_to_lie_on_the_template():
    turn = 30 * np.pi / 180
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    given = 2.5 * TEMPLATE @ rotation.T + (140, 60)
    picture = Image.new("RGB", (512, 512))
    for x, y in given:
        picture.paste((255, 255, 255), (round(x) - 2, round(y) - 2, round(x) + 3, round(y) + 3))
    levels = np.asarray(upright(picture, given).convert("L"), dtype=float)
    for x, y in TEMPLATE:
        box = levels[round(y) - 5:round(y) + 6, round(x) - 5:round(x) + 6]
        rows, columns = np.indices(box.shape)
        middle = np.array([(columns * box).sum(), (rows * box).sum()]) / box.sum() + (round(x) - 5, round(y) - 5)
        assert np.abs(middle - (x, y)).max() < 0.5


def test_an_upright_face_stays_as_it_is():
    face = person(7)
    assert np.abs(np.asarray(upright(face, TEMPLATE), dtype=int) - np.asarray(face)).max() <= 1


def test_landmarks_are_in_pixels_of_the_picture_whatever_its_size(monkeypatch):
    found = FaceFinder(finder(), "x")
    for side in (640, 1280):
        picture = Image.new("RGB", (side, side), GREY)
        cell = 16 * side // 640
        picture.paste((255, 0, 0), (20 * cell, 10 * cell, 21 * cell, 11 * cell))
        (points,) = found.landmarks(picture)
        assert points == pytest.approx(np.array(FRONTAL) * cell + (20 * cell, 10 * cell), abs=0.01)
    assert found.landmarks(Image.new("RGB", (640, 400), GREY)) == []


def test_a_face_too_large_for_one_look_is_found_in_the_other():
    picture = Image.new("RGB", (640, 640), GREY)
    picture.paste((255, 0, 0), (320, 320, 352, 352))  # a cell of 16 only at half the size; four of them at the whole
    assert len(FaceFinder(finder(), "x").landmarks(picture)) == 2


def test_a_face_is_found_wherever_it_is_and_nobody_elses(folder):
    made = make(folder)
    picture = scene(marked(person(3)), (480, 512))
    alan, ada = made.score([picture] * 2, [asks("Alan Turing"), asks("Ada Lovelace")])
    assert alan >= THRESHOLD > ada
    alone = make(folder, model=str(folder / "networks" / EMBEDDING), references=str(folder / "crops"))
    assert alone.score([marked(person(3))], [asks("Alan Turing")])[0] >= THRESHOLD
    assert alone.score([picture], [asks("Alan Turing")])[0] < THRESHOLD  # without the other network it is missed


def test_a_face_that_is_turned_is_turned_back(folder):
    """The finder is told where the landmarks of a face on its side are; the references stand upright."""
    upright_one = make(folder)
    turned = scene(marked(person(3))).transpose(Image.Transpose.ROTATE_90)
    assert upright_one.score([turned], [asks("Alan Turing")])[0] < THRESHOLD
    wanted = upright_one._references("Alan Turing")
    x, y = CELLS.T
    (folder / "networks" / DETECTION).write_bytes(finder(np.stack([y, 1 - x], axis=1)))  # the cell's lower corner
    made = make(folder)
    made._known["alan turing"] = wanted
    assert made.score([turned], [asks("Alan Turing")])[0] >= THRESHOLD


def test_where_no_face_is_found_the_picture_and_its_crops_are_compared(folder):
    made = make(folder)
    wanted = made._references("Alan Turing")
    face = made._finder.faces(scene(marked(person(3))))[0]
    made._finder.faces = lambda _picture: []
    assert made.score([face], [asks("Alan Turing")])[0] >= THRESHOLD and len(wanted) == 1


def test_a_reference_without_a_face_leaves_its_person_unscored(folder):
    person(9).save(folder / "faces" / "Alan Turing" / "2.png")
    configured = ConfiguredDetector(make(folder))
    scores = configured.score([scene(marked(person(1)))] * 2, [asks("Alan Turing"), asks("Ada Lovelace")])
    assert scores[0] is None and scores[1] >= THRESHOLD
    assert any("no face in the reference" in reason for reason in configured.reasons)


@pytest.mark.parametrize("data", [b"", b"no network", network("Flatten")])
def test_a_network_that_finds_no_faces_does_not_load(folder, data):
    (folder / "networks" / DETECTION).write_bytes(data)
    with pytest.raises(DetectorError, match="face: the detection network .* does not load"):
        make(folder)


def test_places_that_are_not_finite_are_an_error_and_no_absence():
    picture = Image.new("RGB", (640, 640), GREY)
    picture.paste((255, 0, 0), (320, 160, 336, 176))
    with pytest.raises(DetectorError, match="finite"):
        FaceFinder(finder(broken=True), "x").landmarks(picture)


def test_a_folder_lacks_nothing_before_the_work(folder):
    (folder / "networks" / DETECTION).unlink()
    people = [{"id": "ada", "target": "Ada Lovelace", "anchor": "a person"}]
    face = {"name": "face", "model": str(folder / "networks"), "references": str(folder / "faces"), "threshold": 0.4}
    path = written(folder / "p.yaml", kind="celebrity", concepts=people, detectors=[face])
    with pytest.raises(PolicyError, match="found no detection.onnx in .*networks, expected detection.onnx and"):
        plan_policy(path, registry=folder / "registry")
    with pytest.raises(DetectorError, match=r"detection.onnx does not load: No such file"):
        make(folder)


def test_its_card_changes_with_the_finder(folder):
    first = make(folder).card()
    assert "opencv" in first.version
    (folder / "networks" / DETECTION).write_bytes(finder())
    assert make(folder).card().weights_digest != first.weights_digest


def test_a_network_that_makes_its_own_levels_gets_them_as_they_are(folder):
    plain, own = network("Flatten"), network("Flatten", own_levels=True)
    assert not normalises(plain) and normalises(own)
    made = make(folder)
    (folder / "networks" / EMBEDDING).write_bytes(own)
    other = make(folder)
    picture = scene(marked(person(1)))
    assert other.score([picture], [asks("Alan Turing")]) == pytest.approx(
        made.score([picture], [asks("Alan Turing")]), abs=1e-5)
    for data in (b"\x07", b"\x3a\xff", b"\x80"):
        with pytest.raises(DetectorError, match="no ONNX model"):
            normalises(data)
