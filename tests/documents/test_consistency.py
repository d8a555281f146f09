"""A policy that contradicts itself is refused, however its phrases are written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mace_gov.documents.consistency import SUMS, UNRELATED, WEIGHTS, inconsistencies
from mace_gov.documents.policy import Policy
from tests import factories

WRITTEN = ("fire truck", "Fire-Truck", "a fire truck", "The  fire\ttruck", "fire\u2011truck", "fire_truck",
           "fi\u200bre truck", "fire truck\ufe0f", "\uff46ire truck", " fire truck ", "fire\u00a0truck",
           "\u3164fire truck", "\u202efire truck", "\ufb01re truck")
"""One phrase."""
OTHERS = ("fire trucks", "truck", "fire engine", "trucks on fire")
"""Other phrases."""


def data(**category: Any) -> dict[str, Any]:
    """A policy with one concept; fields of the concept or of its category as told."""
    made = copy.deepcopy(factories.policy(neighbours=[]).to_json())
    place = made["spec"]["categories"][0]
    place["concepts"] = [{"id": "a", "target": "fire truck", "anchor": "sky", "synonyms": ["red engine"],
                          "narrower": ["ladder engine"]}]
    place |= category
    return made


def found(made: dict[str, Any]) -> list[str]:
    """The messages; a policy of the same data is refused, or not, as well."""
    messages = [message for _, message in inconsistencies(made)]
    if messages:
        with pytest.raises(ValueError, match="Policy"):
            Policy.from_json(made)
    else:
        Policy.from_json(made)
    return messages


@pytest.mark.parametrize("phrase", WRITTEN)
def test_one_target_in_two_spellings_is_there_twice(phrase: str) -> None:
    concepts = [{"id": "a", "target": "fire truck"}, {"id": "b", "target": phrase}]
    assert "expected a target that is unique" in found(data(concepts=concepts))[0]


@pytest.mark.parametrize("phrase", [*WRITTEN, "Red-Engine", "a ladder  engine"])
def test_what_is_banned_is_not_preserved_nor_an_anchor(phrase: str) -> None:
    assert "banned and preserved at once" in found(data(neighbours=[phrase]))[0]
    made = data()
    made["spec"]["method"] = {"preserve": {"concepts": [phrase]}}
    assert "banned and preserved at once" in found(made)[0]
    made = data()
    made["spec"]["categories"][0]["concepts"].append({"id": "b", "target": "owl", "anchor": phrase})
    assert "is itself banned" in found(made)[0]
    made = data()
    made["spec"]["categories"][0]["concepts"][0]["anchor"] = phrase
    assert "is itself banned" in found(made)[0]


def test_an_audit_s_subjects_are_named_nowhere_else() -> None:
    def asking(phrase: str) -> list[str]:
        made = data(neighbours=["lake"])
        made["spec"]["method"] = {"preserve": {"concepts": ["owl"]}}
        made["spec"]["audit"] = {"subjects": [phrase, "anvil", "ladle"]}
        return found(made)

    for phrase, other in (("Fire-truck", "(banned)"), ("big red engine", "(a word for 'fire truck')"),
                          ("the engine", "(a word for 'fire truck')"), ("blue sky", "(the anchor of 'fire truck')"),
                          ("a lake", "(a neighbour)"), ("snowy owl", "(preserved)")):
        [message] = asking(phrase)
        assert other in message and "expected a subject that is named nowhere else" in message
    assert asking("pear") == []


@pytest.mark.parametrize(("kind", "needed"), [("object", 3), ("style", 6)])
def test_as_many_prompts_are_asked_as_there_are_subjects(kind: str, needed: int) -> None:
    made = data(kind=kind)
    made["spec"]["audit"] = {"subjects": ["pear", "anvil", "ladle"], "unrelated": needed}
    assert found(made) == []
    made["spec"]["audit"]["unrelated"] = needed - 1
    assert found(made) == [f"found {needed - 1} prompts for 3 subjects, expected {needed} or more, that each is asked "
                           "for"]
    made["spec"]["audit"] = {"subjects": [f"thing{n}" for n in range(UNRELATED + 1)]}
    assert len(found(made)) == 1


@pytest.mark.parametrize("phrase", OTHERS)
def test_other_phrases_are_no_contradiction(phrase: str) -> None:
    made = data(neighbours=[phrase])
    made["spec"]["categories"][0]["concepts"].append({"id": "b", "target": "owl", "anchor": phrase})
    assert found(made) == []


@pytest.mark.parametrize("field", ["synonyms", "descriptions", "broader", "narrower"])
def test_a_word_twice_would_be_asked_twice_and_counted_twice(field: str) -> None:
    made = data()
    made["spec"]["categories"][0]["concepts"][0][field] = ["hook ladder", "Hook-ladder"]
    assert found(made) == ["found 'Hook-ladder' a second time, expected it once"]


def test_two_detectors_of_a_name_are_told_apart_by_their_settings() -> None:
    twice = [{"name": "clip", "model": "a"}, {"name": "clip", "model": "a"}]
    assert "same settings a second time" in found(data(detectors=twice))[0]
    assert found(data(detectors=["judge", "judge"]))
    twice[1]["threshold"] = 0.3
    assert found(data(detectors=twice)) == []


def test_phrases_are_stored_tidied_so_that_a_prompt_never_has_what_nobody_sees() -> None:
    made = data(neighbours=["  cafe\u0301 \u200b bar "])
    made["spec"]["categories"][0]["concepts"] = [{
        "id": "a", "target": "Fi\u200bre  Truck", "anchor": " the\tsky ", "synonyms": ["red\u00a0engine"],
        "descriptions": ["it\u202e burns"], "translations": {"de": "Feuer\u00adwehr"},
    }]
    made["metadata"]["owner"] = "trust\u200b and  safety"
    made["spec"]["audit"] = {"templates": ["a  photo\u200b of {}"]}
    policy = Policy.from_json(made)
    assert policy.spec.audit.templates == ["a photo of {}"]
    [category] = policy.spec.categories
    [concept] = category.concepts
    assert concept.phrases == ["Fire Truck", "red engine", "it burns", "Feuerwehr"]
    assert (concept.anchor, category.neighbours, policy.metadata.owner) == (
        "the sky", ["caf\u00e9 bar"], "trust and safety")


@pytest.mark.parametrize("phrase", ["", "  ", "\u200b", "\u3164\u00ad", "\u2800"])
def test_a_phrase_that_nobody_sees_is_none(phrase: str) -> None:
    with pytest.raises(ValueError, match="target"):
        Policy.from_json(data(concepts=[{"id": "a", "target": phrase}]))


def with_method(**method: Any) -> dict[str, Any]:
    made = data()
    made["spec"]["method"] = method
    return made


@pytest.mark.parametrize(("method", "names"), [
    ({"lora": {"stepSize": 0.1, "learningRate": 0.1}}, ["lora.stepSize", "lora.learningRate"]),
    ({"lora": {"stepSize": 0.1, "init": "normal"}}, ["lora.stepSize", "lora.init: normal"]),
    ({"lora": {"stepSize": 0.1, "init": "random"}}, ["lora.stepSize", "lora.init: random"]),
    ({"lora": {"stepSize": 0.1}, "preset": "paper"}, ["lora.stepSize", "preset: paper"]),
    ({"lora": {"stepSize": 0.1}, "preserve": {"scale": 1.0}}, ["lora.stepSize", "preserve.scale"]),
    ({"refine": {"ridge": 1.0, "relativeRidge": 0.1}}, ["ridge", "relativeRidge"]),
    ({"fuse": {"ridge": 1.0, "relativeRidge": 0.1}}, ["ridge", "relativeRidge"]),
    *[({"preset": "paper", "preserve": {weight: 0.5}}, ["preset: paper", f"preserve.{weight}"]) for weight in WEIGHTS],
    *[({"preserve": {weight: 0.5, scale: 1}}, [f"preserve.{weight}", f"preserve.{scale}"])
      for weight in WEIGHTS for scale in SUMS],
    ({"preserve": {"weight": 0.0, "conceptWeight": 0.0, "scale": 0.0}},
     ["preserve.weight and preserve.conceptWeight", "preserve.scale"]),
])
def test_settings_that_exclude_each_other_are_an_error_that_names_both(method: dict, names: list[str]) -> None:
    [message] = found(with_method(**method))
    assert all(name in message for name in names), message


@pytest.mark.parametrize("method", [
    {"lora": {"stepSize": 0.1}}, {"lora": {"stepSize": 0.1, "init": "focal"}}, {"lora": {"learningRate": 0.1}},
    {"lora": {"stepSize": 0.1, "init": "focal"}, "preset": "paper"}, {"preset": "paper", "preserve": {"scale": 1.0}},
    {"preserve": dict.fromkeys(WEIGHTS, 0.5)}, {"preserve": dict.fromkeys(SUMS, 1)}, {"preset": None},
    {"preset": "paper", "preserve": {"weight": None}, "lora": {"stepSize": None, "learningRate": 0.1}},
])
def test_settings_that_go_together_are_none(method: dict) -> None:
    assert found(with_method(**method)) == []


@pytest.mark.parametrize("rest", [
    None, [], {"spec": []}, {"spec": {"categories": {}}},
    {"spec": {"categories": [None, {"concepts": [3, {"target": 5}]}]}},
    {"spec": {"method": {"refine": 3, "lora": {"window": {"start": "a", "end": None}}}}},
    {"spec": {"method": {"preset": ["paper"], "preserve": [1], "lora": "stepSize"}}},
    {"spec": {"categories": [{"rules": [{"metric": ["presence"], "suite": {}, "atMost": 1}], "detectors": [3, []]}]}},
])
def test_data_that_is_wrong_in_other_ways_is_no_matter(rest: Any) -> None:
    assert inconsistencies(rest) == []


def test_a_caption_in_two_spellings_is_no_second_caption() -> None:
    made = data()
    made["spec"]["audit"] = {"templates": ["a drawing of {}", "A  Drawing of {}", "a drawing on which {} is"]}
    made["spec"]["method"] = {"refine": {"templates": ["a photo of {}", "a pho\u200bto of {}"]}}
    assert ["a second time" in message for message in found(made)] == [True, True]
