"""Detectors from outside, by entry point and by --plugin."""

from pathlib import Path

import pytest
from PIL import Image

from mace_gov.audit.detectors import plugin
from mace_gov.audit.detectors.by_name import DETECTORS, known_detectors, make_detector
from mace_gov.audit.detectors.plugin import CallableDetector, load, parse
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.documents.policy import DetectorSpec
from tests.audit import planted

SOURCE = Path(__file__).with_name("plugin_detector.py")


def test_a_callable_from_a_file_is_a_detector(tmp_path):
    known = known_detectors([f"bright={SOURCE}:bright"])
    made = make_detector(DetectorSpec(name="bright", threshold=0.7), known=known)
    assert made.score([Image.new("RGB", (8, 8), (255, 255, 255))], [None]) == [1.0]
    card = made.card()
    assert (card.name, card.threshold, card.weights_digest) == ("bright", 0.7, sha256_file(SOURCE))
    policy = planted.small_policy(policy={"detectors": ("bright",)})
    result = planted.run(tmp_path / "out", planted.erased, policy=policy,
                         detector=lambda spec: make_detector(spec, known=known))
    assert result.detectors[0].name == "bright" and not result.unscored


def test_a_class_and_a_module_serve_as_well():
    known = known_detectors(["dark=tests.audit.plugin_detector:Dark"])
    assert make_detector(DetectorSpec(name="dark"), known=known).name == "dark"


def test_installed_packages_offer_detectors_by_entry_point(monkeypatch):
    point = type("Point", (), {"name": "dark", "value": "tests.audit.plugin_detector:Dark"})
    monkeypatch.setattr(plugin, "entry_points", lambda group: [point] if group == "mace_gov.detectors" else [])
    assert make_detector(DetectorSpec(name="dark")).name == "dark"
    with pytest.raises(PolicyError, match="dark"):
        make_detector(DetectorSpec(name="nobody"))


@pytest.mark.parametrize("text", ["bright", "bright=module", "Bright=module:attr", "=module:attr", "x=module:9"])
def test_a_plugin_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="expected NAME=module:attr"):
        parse([text])


def test_no_plugin_takes_the_place_of_a_detector():
    with pytest.raises(UsageError, match="'judge' is taken"):
        known_detectors(["judge=tests.audit.plugin_detector:bright"])
    assert known_detectors() == DETECTORS


@pytest.mark.parametrize("target", ["nowhere.at_all:x", "tests.audit.plugin_detector:absent", "/no/such/file.py:x"])
def test_a_plugin_that_does_not_load_is_named(target):
    with pytest.raises(UsageError, match="does not load"):
        load(target)


def test_settings_that_a_detector_does_not_take_are_refused():
    for name in ("judge", "nudenet", "always-absent"):
        with pytest.raises(PolicyError, match="model"):
            make_detector(DetectorSpec(name=name, model="some/model"))
    with pytest.raises(PolicyError, match="callable"):
        make_detector(DetectorSpec(name="bright", model="x"), known={"bright": f"{SOURCE}:bright"})


def test_a_callable_without_a_source_has_no_digest():
    class Look:
        def __call__(self, images, queries):
            return [0.0] * len(images)

    made = CallableDetector("look", Look())
    assert made.card().weights_digest is None and made.score([None], [None]) == [0.0]


def test_one_name_for_two_detectors_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="found 'mine' for a:one and for b:two"):
        known_detectors(["mine=a:one", "mine=b:two"])
    assert known_detectors(["mine=a:one", "mine=a:one"])["mine"] == "a:one"
    monkeypatch.setattr(plugin, "installed", lambda: [("theirs", "a:one"), ("theirs", "b:two")])
    with pytest.raises(UsageError, match="the name 'theirs' is taken by a:one"):
        known_detectors()
