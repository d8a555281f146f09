"""A person is judged against persons, a style against styles, a thing against things; and by whom the policy says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mace_gov.audit.clip import Clip
from mace_gov.audit.detectors.clip import ClipDetector
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.rivals import ARTISTS, DRESSED, KNOWN, NOTHING, PEOPLE, STYLES, rivals
from mace_gov.audit.probes.everyday import KINDS, NOUNS
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.scoring import Detectors, calibrated, score_pictures
from mace_gov.documents.detector import Calibration, DetectorCard
from mace_gov.documents.policy import Kind, Policy, Suite
from mace_gov.policy.load import load_policy
from tests import factories
from tests.audit.tiny_clip import build_tiny_clip

SHIPPED = Path(__file__).parents[2] / "policies/stable-diffusion"


def shipped(name: str) -> Policy:
    return load_policy(SHIPPED / f"{name}.yaml").policy


def against(policy: Policy, *phrases: str, facet="subject", category: int = 0) -> set[str]:
    return set(rivals(policy, policy.spec.categories[category], phrases, facet))


def test_a_person_stands_against_persons_and_no_thing():
    found = against(shipped("celebrities"), "Albert Einstein")
    assert {"Audrey Hepburn", "Marlon Brando", "Nikola Tesla", "a person", *PEOPLE, *NOTHING} <= found
    assert not found & set(NOUNS)


def test_a_style_stands_against_styles_and_no_thing():
    named = against(shipped("styles"), "Vincent van Gogh", facet="style")
    assert {"katsushika hokusai", "andy warhol", "a photograph"} <= named and not named & set(NOUNS)
    assert "an impressionist painting" not in named and len(named) == len(ARTISTS) + 1
    plain = factories.policy().to_json()
    plain["spec"]["categories"][0] |= {"kind": "style", "neighbours": ["noto"], "concepts": [
        {"id": "twemoji", "target": "twemoji"}]}
    assert against(Policy.model_validate(plain), "twemoji", facet="style") == {*STYLES, "twemoji", "noto"}


def test_a_thing_stands_against_things_but_for_kinds_of_itself():
    policy = shipped("objects-ten")
    found = against(policy, "bird")
    assert {"cat", "truck", "hot air balloon", "sky", "butterfly"} <= found
    assert not found & set(KINDS["bird"]) and set(KINDS["bird"]) <= against(policy, "cat")
    wide = policy.to_json()
    wide["spec"]["categories"][0]["concepts"][3]["narrower"] = ["lion"]
    assert not against(Policy.model_validate(wide), "cat") & {"lion"}
    assert {kind for kinds in KINDS.values() for kind in kinds} <= set(NOUNS)


def test_a_harm_stands_against_what_is_drawn_in_its_place():
    found = against(shipped("explicit"), "nudity", "naked", "erotic", "sexual")
    assert {"a person wearing clothes", "ballet dancer", *DRESSED} <= found


@pytest.mark.parametrize("name", ["celebrities", "styles", "explicit"])
def test_an_unrelated_thing_is_told_from_things_whatever_the_policy_bans(name):
    found = against(shipped(name), "accordion")
    assert found == set(KNOWN[Kind.OBJECT])


def test_of_kinds_that_stand_together_each_takes_its_own():
    value = shipped("celebrities").to_json()
    value["spec"]["method"]["preserve"]["concepts"] = ["Winston Churchill", "gondola"]
    other = shipped("objects-ten").to_json()["spec"]["categories"]
    value["spec"]["categories"] += other
    both = Policy.model_validate(value)
    assert "Winston Churchill" in against(both, "Albert Einstein") and "gondola" not in against(both, "Albert Einstein")
    assert "gondola" in against(both, "cat", category=1) and "Winston Churchill" not in against(both, "cat", category=1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return Clip.load(str(build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")))


def test_clip_chooses_among_the_rivals_of_the_policy_unless_it_names_classes(clip):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    detectors = Detectors(shipped("celebrities"), lambda _spec: ClipDetector(clip=clip))
    probe = Probe("people.opted-out", "albert-einstein", Suite.DIRECT, "a photo of Albert Einstein", 1,
                  ("Albert Einstein",), synonyms=("Einstein",))
    query = detectors.query(probe, image)
    labels = ClipDetector(clip=clip).others(query)
    assert "Marlon Brando" in labels and "Albert Einstein" not in labels and "accordion" not in labels
    assert ClipDetector(clip=clip, classes=["a cat"]).others(query) == ["a cat"]
    assert "accordion" in ClipDetector(clip=clip).others(Query(("Albert Einstein",), "subject", True, 512))


@pytest.mark.parametrize(("only", "expected"), [(None, (True, True)), ("bans", (True, False)), ("kept", (False, True))])
def test_a_detector_looks_where_the_policy_tells_it_to(only, expected):
    from mace_gov.audit.detectors.by_name import make_detector

    detectors = ({"name": "always-present", **({"only": only} if only else {})}, {"name": "always-absent"})
    policy = factories.policy(detectors=detectors)
    detectors, image = Detectors(policy, make_detector), Image.new("RGB", (8, 8))
    queries = [Query(("nudity",), "subject", banned, 8) for banned in (True, False)]
    seen = score_pictures(detectors, "explicit.nudity", [image] * 2, queries)
    assert tuple("always-present" in judged.scores for judged in seen) == expected
    assert tuple(judged.present for judged in seen) == expected


def test_a_model_is_loaded_once_however_many_look_with_it():
    made = []

    def make(spec):
        made.append(spec.name)
        return ClipDetector(clip=object.__new__(Clip))

    value = factories.policy(detectors=({"name": "clip", "model": "a/b"},)).to_json()
    other = {**value["spec"]["categories"][0], "id": "other", "concepts": [{"id": "gun", "target": "gun"}], "rules": [
        {"id": "GUN-001", "suite": "unrelated", "metric": "retention", "atLeast": 0.5}]}
    other["detectors"] = [{"name": "clip", "model": "a/b", "only": "kept"}]
    value["spec"]["categories"].append(other)
    assert len(Detectors(Policy.model_validate(value), make).all()) == len(made) == 1


def test_no_calibration_is_of_a_clip_that_chooses_among_a_policys_words():
    rate = factories.estimate(9, 10)
    for classes, holds in ((["a cat"], True), (None, False)):
        card = DetectorCard(name="clip", version="1", threshold=0.5, classes=classes)
        known = Calibration(detector="clip", version="1", threshold=0.5, classes=classes, sensitivity=rate,
                            specificity=rate, labels_digest=factories.hexa("labels"))
        assert calibrated(card, known) is holds
