"""The face detector, with a network that knows a picture by its 4 x 4 colours."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mace_gov.audit import decoding
from mace_gov.audit.detectors import face
from mace_gov.audit.detectors.by_name import make_detector
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.scoring import ConfiguredDetector, presence
from mace_gov.core.errors import DetectorError, MissingExtraError, PolicyError
from mace_gov.documents.policy import DetectorSpec
from tests.audit.tiny_onnx import network

pytest.importorskip("onnxruntime")
THRESHOLD = 0.9


def person(seed: int, side: int = 112) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)


def asks(*phrases, banned=True, facet="subject"):
    return Query(phrases, facet, banned, 112)


@pytest.fixture
def settings(tmp_path):
    for name, seeds in (("ada-lovelace", (1, 2)), ("Alan Turing", (3,))):
        folder = tmp_path / "faces" / name
        folder.mkdir(parents=True)
        for seed in seeds:
            person(seed).save(folder / f"{seed}.png")
        (folder / "notes.txt").write_text("no picture")
    (tmp_path / "net.onnx").write_bytes(network("Flatten"))
    return {"model": str(tmp_path / "net.onnx"), "references": str(tmp_path / "faces"), "threshold": THRESHOLD}


def make(settings, **changes):
    return make_detector(DetectorSpec(name="face", **{**settings, **changes}))


def test_each_person_is_found_by_any_of_their_references_and_nobody_else_is(settings):
    made = make(settings)
    pictures = [person(1), person(2, 64), person(3), person(4)]
    ada = made.score(pictures, [asks("Ada Lovelace")] * 4)
    alan = made.score(pictures, [asks("alan turing")] * 4)
    assert [score >= THRESHOLD for score in ada] == [True, True, False, False]
    assert [score >= THRESHOLD for score in alan] == [False, False, True, False]
    # A product with more columns adds in another order on some processors.
    both = made.score(pictures, [asks("Ada Lovelace", "Alan Turing")] * 4)
    assert both == pytest.approx(np.maximum(ada, alan), abs=1e-12)
    assert all(0 <= score <= 1 for score in ada + alan)


def test_a_face_in_the_middle_of_a_wide_picture_is_found_by_a_crop_alone(settings, monkeypatch):
    wide = Image.new("RGB", (300, 200), (90, 140, 60))
    wide.paste(person(3, 100), (100, 50))
    made = make(settings)
    assert made.score([wide], [asks("Alan Turing")])[0] >= THRESHOLD
    monkeypatch.setattr(face, "CROPS", ())
    assert made.score([wide], [asks("Alan Turing")])[0] < THRESHOLD


def test_the_network_reads_red_green_blue_from_minus_one_to_one(settings, monkeypatch):
    made, given = make(settings), []

    class Spy:
        get_inputs = made._session.get_inputs

        def run(self, names, inputs):
            given.extend(inputs.values())
            return [np.ones((1, 4))]

    monkeypatch.setattr(made, "_session", Spy())
    made.score([Image.new("RGB", (64, 64), (255, 0, 51))], [asks("Alan Turing")])
    assert given[-1].shape == (1, 3, 112, 112) and given[-1].dtype == np.float32
    assert given[-1][0, :, 50, 50] == pytest.approx([1, -1, -0.6])


def test_someone_without_references_is_unscored_and_never_absent(settings):
    made = make(settings)
    configured = ConfiguredDetector(made)
    scores = configured.score([person(1)] * 3, [asks("Ada Lovelace"), asks("Grace Hopper"), asks("Alan Turing")])
    assert scores[0] >= THRESHOLD > scores[2] and scores[1] is None and configured.failures == 1
    assert presence({"face": scores[1]}, {"face": THRESHOLD}) is None
    assert any("no references of 'Grace Hopper'" in reason for reason in configured.reasons)


def test_it_looks_for_bans_and_for_survivors_whom_it_knows(settings):
    made = make(settings)
    assert made.looks_for(asks("Grace Hopper")) and made.looks_for(asks("Alan Turing", banned=False))
    assert not made.looks_for(asks("Grace Hopper", banned=False))
    assert not made.looks_for(asks("Alan Turing", facet="style"))


@pytest.mark.parametrize("data", [network("Flatten", shape=(1, 3, 96, 96)), network("Flatten", shape=(1, 112, 112, 3)),
                                  network("Flatten", outputs=2), b"no model", b""])
def test_a_model_of_another_form_does_not_load(settings, tmp_path, data):
    (tmp_path / "net.onnx").write_bytes(data)
    with pytest.raises(DetectorError, match="face: .*model"):
        make(settings)


@pytest.mark.parametrize(("operators", "said"), [(("Flatten", "Log"), "finite"), ((), "shape"),
                                                 (("Flatten", "Neg", "Relu"), "zero")])
def test_an_output_that_is_no_embedding_leaves_pictures_unscored(settings, tmp_path, operators, said):
    (tmp_path / "net.onnx").write_bytes(network(*operators))
    white = Image.new("RGB", (112, 112), "white")
    white.save(tmp_path / "faces/Alan Turing/3.png")
    pictures = [Image.new("RGB", (112, 112), "black")] if said == "finite" else [white]
    configured = ConfiguredDetector(make(settings))
    assert configured.score(pictures, [asks("Alan Turing")]) == [None]
    assert any(said in reason for reason in configured.reasons)


@pytest.mark.parametrize("missing", ["model", "references", "threshold"])
def test_every_setting_is_needed_and_named(settings, missing):
    with pytest.raises(PolicyError, match=f"found no {missing},"):
        make(settings, **{missing: None})


def test_what_is_not_there_is_an_error(settings, tmp_path, monkeypatch):
    with pytest.raises(DetectorError, match="does not load"):
        make(settings, model=str(tmp_path / "none.onnx"))
    with pytest.raises(DetectorError, match="no references"):
        make(settings, references=str(tmp_path / "none"))
    with pytest.raises(PolicyError, match="classes"):
        make(settings, classes=["face"])
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"mace-gov\[face\]"):
        make(settings)


def test_a_reference_may_not_lead_out_of_its_folder(settings, tmp_path):
    person(9).save(tmp_path / "secret.png")
    (tmp_path / "faces/Alan Turing/9.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DetectorError, match="leads out"):
        make(settings)


def test_a_reference_that_does_not_decode_or_is_too_large_costs_its_own_concept_alone(settings, tmp_path, monkeypatch):
    (tmp_path / "faces/Alan Turing/3.png").write_bytes(b"no picture")
    configured = ConfiguredDetector(make(settings))
    scores = configured.score([person(1)] * 2, [asks("Alan Turing"), asks("Ada Lovelace")])
    assert scores[0] is None and scores[1] >= THRESHOLD
    monkeypatch.setattr(decoding, "MOST_PIXELS", 100)
    with pytest.raises(DetectorError, match="pixels"):
        make(settings).score([person(1)], [asks("Ada Lovelace")])


def test_its_card_changes_with_network_and_references(settings, tmp_path):
    first = make(settings).card()
    assert first.threshold == THRESHOLD and first.version.startswith("onnxruntime ")
    assert make(settings).card() == first
    person(7).save(tmp_path / "faces/Alan Turing/7.png")
    second = make(settings).card()
    (tmp_path / "net.onnx").write_bytes(network("Flatten", "Neg"))
    assert len({first.weights_digest, second.weights_digest, make(settings).card().weights_digest}) == 3


def test_folders_of_references_are_found_however_their_system_spells_them(settings, tmp_path):
    folder = tmp_path / "faces" / "Zoe\u0308 O\u2019Hara"  # as macOS writes it
    folder.mkdir()
    person(5).save(folder / "1.png")
    [score] = make(settings).score([person(5)], [asks("Zo\u00eb O'Hara")])
    assert score >= THRESHOLD
