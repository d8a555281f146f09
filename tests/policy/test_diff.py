"""Two policies compared, in words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mace_gov.documents.policy import Policy
from mace_gov.policy.diff import diff, headline
from tests.factories import policy

Path = tuple[str | int, ...]
CATEGORY = ("spec", "categories", 0)


def _with(path: Path, value: Any) -> Policy:
    data = policy(severity="medium").to_json()
    place = data
    for part in path[:-1]:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    place[path[-1]] = value
    return Policy.from_json(data)


def _concepts(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "target": name, "anchor": "a person"} for name in names]


def test_the_same_policy_changes_nothing() -> None:
    assert diff(policy(), policy()) == [] and headline([]) == "bans the same, loosens nothing"


def test_the_headline_counts() -> None:
    before, more = _with((*CATEGORY, "concepts"), _concepts("a")), _with((*CATEGORY, "concepts"), _concepts(*"abcd"))
    assert headline(diff(before, more)) == "bans 3 more, loosens nothing"
    assert headline(diff(more, before)) == "bans 3 fewer, loosens 3"
    other = _with((*CATEGORY, "concepts"), _concepts("a", "x"))
    assert headline(diff(more, other)) == "bans 1 more and 3 fewer, loosens 3"


@pytest.mark.parametrize(("path", "tight", "loose", "subject"), [
    (("spec", "mode"), "enforce", "audit", "mode"),
    (("spec", "gate", "failOn"), "low", "high", "gate.failOn"),
    (("spec", "gate", "onUncertain"), "fail", "review", "gate.onUncertain"),
    (("spec", "gate", "notWaivable"), ["high"], [], "gate.notWaivable"),
    ((*CATEGORY, "severity"), "critical", "low", "explicit.nudity.severity"),
    ((*CATEGORY, "neighbours"), ["swimwear", "a vest"], ["swimwear"], "explicit.nudity.neighbours"),
    ((*CATEGORY, "detectors"), [{"name": "judge"}, {"name": "nudenet"}], [{"name": "judge"}],
     "explicit.nudity.detectors.nudenet"),
    ((*CATEGORY, "detectors"), [{"name": "judge", "threshold": 0.4, "only": "bans"}],
     [{"name": "judge", "threshold": 0.6, "only": "bans"}], "explicit.nudity.detectors.judge"),
    ((*CATEGORY, "detectors"), [{"name": "nudenet", "classes": ["A", "B"]}], [{"name": "nudenet", "classes": ["A"]}],
     "explicit.nudity.detectors.nudenet"),
    ((*CATEGORY, "concepts", 0, "synonyms"), ["nakedness", "bare"], ["bare"], "explicit.nudity.nudity.words"),
    ((*CATEGORY, "rules", 0, "atMost"), 0.01, 0.02, "NSFW-001"),
    ((*CATEGORY, "rules", 0, "confidence"), 0.99, 0.9, "NSFW-001.confidence"),
    ((*CATEGORY, "rules", 0, "minSamples"), 100, 50, "NSFW-001.minSamples"),
    ((*CATEGORY, "rules", 2, "atLeast"), 0.95, 0.5, "NSFW-003"),
    (("spec", "method", "preserve", "concepts"), ["a cat"], [], "method.preserve.concepts"),
])
def test_each_setting_has_a_tight_side(path: Path, tight: Any, loose: Any, subject: str) -> None:
    one, other = _with(path, tight), _with(path, loose)
    assert [(c.subject, c.effect) for c in diff(one, other)] == [(subject, "loosens")]
    assert [(c.subject, c.effect) for c in diff(other, one)] == [(subject, "tightens")]


def test_a_rule_that_is_gone_loosens_and_a_new_one_tightens() -> None:
    rules = policy().to_json()["spec"]["categories"][0]["rules"]
    fewer = _with((*CATEGORY, "rules"), rules[:2])
    assert [(c.effect, c.words) for c in diff(policy(severity="medium"), fewer)] == [
        ("loosens", "NSFW-003 is gone: retention on unrelated at least 90 %")
    ]
    assert [c.effect for c in diff(fewer, policy(severity="medium"))] == ["tightens"]


@pytest.mark.parametrize(("path", "value"), [
    ((*CATEGORY, "detectors"), [{"name": "judge", "threshold": 0.4}]),
    ((*CATEGORY, "rules", 0, "suite"), "synonym"),
    (("spec", "audit", "templates"), ["a photo of {}"]),
    (("spec", "audit", "seed"), 7), (("spec", "audit", "looks"), 3),
    (("spec", "model", "ref"), "CompVis/stable-diffusion-v1-4"), ((*CATEGORY, "kind"), "object"),
])
def test_what_cannot_be_told_apart_counts_as_looser_both_ways(path: Path, value: Any) -> None:
    one, other = policy(severity="medium"), _with(path, value)
    assert all(any(c.looser for c in diff(*pair)) for pair in ((one, other), (other, one)))


@pytest.mark.parametrize("change", [{"model": "b"}, {"references": "b"}, {"revision": "b"}])
def test_a_detector_that_reads_with_something_else_may_see_less(change: dict[str, str]) -> None:
    spec = {"name": "face", "threshold": 0.5, "model": "a", "references": "a", "revision": "a"}
    one, other = (_with((*CATEGORY, "detectors"), [each]) for each in (spec, {**spec, **change}))
    assert all(any(c.looser for c in diff(*pair)) for pair in ((one, other), (other, one)))


@pytest.mark.parametrize(("path", "value"), [
    (("spec", "method", "seed"), 7), (("metadata", "version"), "2.0.0"), ((*CATEGORY, "concepts", 0, "anchor"), "sky"),
    (("metadata", "description"), "Other words."), ((*CATEGORY, "concepts", 0, "id"), "nude"),
])
def test_what_is_neither_tighter_nor_looser_is_said(path: Path, value: Any) -> None:
    [change] = diff(policy(severity="medium"), _with(path, value))
    assert change.effect == "changes"
    assert headline([change]) == "bans the same, loosens nothing, changes 1 otherwise"


@pytest.mark.parametrize(("severity", "words"), [
    ("low", "naked moves from high to low"), ("high", "naked moves from explicit.nudity to mild"),
    ("critical", "naked moves from high to critical"),
])
def test_a_concept_that_moves_to_another_category_is_looser(severity: str, words: str) -> None:
    data = policy(severity="high").to_json()
    moved = data["spec"]["categories"][0]["concepts"].pop()
    other = {**data["spec"]["categories"][0], "id": "mild", "severity": severity, "concepts": [moved],
             "rules": [{"id": "MILD-001", "suite": "direct", "metric": "presence", "atMost": 1.0}]}
    data["spec"]["categories"].append(other)
    changes = diff(policy(severity="high"), Policy.from_json(data))
    assert ("loosens", words) in [(c.effect, c.words) for c in changes]


def _clips(*settings: dict[str, Any]) -> Policy:
    return _with((*CATEGORY, "detectors"), [{"name": "clip", **each} for each in settings])


EASIER = ", and what must stay is found more easily (`only: bans` would ask no less)"
LARGE, BASE = ({"model": model, "threshold": threshold, "only": "bans"} for model, threshold in (
    ("large", 0.3), ("base", 0.5)))


@pytest.mark.parametrize(("before", "after", "told"), [
    ([LARGE, BASE], [BASE], [("detectors.clip", "loosens", "clip looks no more")]),
    ([LARGE, BASE], [LARGE], [("detectors.clip#2", "loosens", "clip#2 looks no more")]),
    ([LARGE, BASE], [BASE, LARGE], []),
    ([LARGE, BASE], [BASE, {**LARGE, "threshold": 0.9}], [("detectors.clip", "loosens", "clip may see less")]),
    ([LARGE, BASE], [{**LARGE, "threshold": 0.2}, BASE], [("detectors.clip", "tightens", "clip sees more")]),
    ([LARGE], [LARGE, BASE], [("detectors.clip#2", "tightens", "clip#2 looks too")]),
    ([{**LARGE, "only": None}], [{**LARGE, "only": "kept"}], [("detectors.clip", "loosens", "clip may see less")]),
    ([LARGE], [{**LARGE, "only": "kept"}], [("detectors.clip", "loosens", "clip may see less")]),
    ([{**LARGE, "only": "kept"}], [{**LARGE, "only": None}], [("detectors.clip", "tightens", "clip sees more")]),
    ([LARGE], [{**LARGE, "only": None}], [("detectors.clip", "loosens", f"clip sees more{EASIER}")]),
    ([LARGE], [LARGE, {**BASE, "only": "kept"}], [("detectors.clip#2", "loosens", f"clip#2 looks too{EASIER}")]),
    ([{**LARGE, "only": None}], [{**LARGE, "only": None, "threshold": 0.2}],
     [("detectors.clip", "loosens", f"clip sees more{EASIER}")]),
    ([LARGE, BASE], [{**LARGE, "threshold": 1.0}, {**BASE, "threshold": 1.0}],
     [("detectors.clip", "loosens", "clip may see less"), ("detectors.clip#2", "loosens", "clip#2 may see less")]),
])
def test_detectors_of_one_name_are_compared_one_by_one(before: Any, after: Any, told: Any) -> None:
    changes = diff(_clips(*before), _clips(*after))
    assert [(c.subject.removeprefix("explicit.nudity."), c.effect, c.words) for c in changes] == told


def test_a_detector_that_cannot_answer_what_must_stay_is_one_more() -> None:
    one, other = (_with((*CATEGORY, "detectors"), each) for each in (["judge"], ["judge", "nudenet", "opennsfw"]))
    assert [c.effect for c in diff(one, other)] == ["tightens", "tightens"]


def test_a_neighbour_that_is_preserved_by_name_is_held_out_no_more() -> None:
    data = copy.deepcopy(_with((*CATEGORY, "neighbours"), ["swimwear", "a vest"]).to_json())
    data["spec"]["method"]["preserve"] = {"concepts": ["vest"]}
    changes = diff(_with((*CATEGORY, "neighbours"), ["swimwear", "a vest"]), Policy.from_json(data))
    assert ("explicit.nudity.neighbours", "loosens") in [(c.subject, c.effect) for c in changes]
    assert "a vest is preserved by name" in " ".join(c.words for c in changes)


def test_words_behind_others_that_are_asked_first_are_asked_no_more() -> None:
    few = policy().to_json()
    few["spec"]["audit"]["prompts"] = 1
    one, other = copy.deepcopy(few), copy.deepcopy(few)
    for data, words in ((one, ["nakedness", "bareness"]), (other, ["bareness", "nakedness"])):
        data["spec"]["categories"][0]["concepts"][0]["synonyms"] = words
    [change] = diff(Policy.from_json(one), Policy.from_json(other))
    assert change.looser and change.words.startswith("nakedness is no more among the first")
    for data in (one, other):
        data["spec"]["audit"]["prompts"] = 2
    assert not diff(Policy.from_json(one), Policy.from_json(other))


def test_captions_that_the_erasure_takes_are_asked_no_more() -> None:
    one, other = (_with(("spec", "method"), {"refine": {"templates": [each]}}) for each in ("a {}", "a drawing of {}"))
    assert ("method.refine.templates", "loosens") in [(c.subject, c.effect) for c in diff(one, other)]
    own = {"templates": ["a figure of {}"]}
    one, other = (Policy.from_json({**each.to_json(), "spec": {**each.to_json()["spec"], "audit": own}})
                  for each in (one, other))
    assert [c.effect for c in diff(one, other)] == ["changes"]


def test_a_concept_that_nobody_may_draw_any_more_is_asked_less() -> None:
    data = policy().to_json()
    data["spec"]["categories"].append({
        "id": "people", "kind": "celebrity", "severity": "low", "detectors": ["judge"],
        "concepts": [{"id": "x", "target": "xenia nakedness", "synonyms": ["nakedness person"]}],
        "rules": [{"id": "PEOPLE-001", "suite": "direct", "metric": "presence", "atMost": 1.0}]})
    one = policy().to_json()
    one["spec"]["categories"][0]["concepts"][0]["target"] = "a nakedness person"
    data["spec"]["categories"][0]["concepts"][0]["target"] = "a nakedness person"
    changes = diff(Policy.from_json(one), Policy.from_json(data))
    assert "a nakedness person may not be drawn any more, so nobody looks" in [c.words for c in changes if c.looser]


@pytest.mark.parametrize("name", ["clip", "judge", "face", "their_package.module:Detector", "opennsfw"])
@pytest.mark.parametrize("pair", [(["a"], ["a", "b"]), (["a", "b"], ["a"]), (None, ["a"])])
def test_more_classes_may_be_more_rivals(name: str, pair: tuple[Any, Any]) -> None:
    name = name.replace(":", ".").lower()
    one, other = ([{"name": name, **({"classes": each} if each else {})}] for each in pair)
    changes = diff(_with((*CATEGORY, "detectors"), one), _with((*CATEGORY, "detectors"), other))
    assert [c.effect for c in changes] == ["loosens"]


@pytest.mark.parametrize(("before", "after", "effect"), [
    (None, 200, "tightens"), (200, None, "loosens"), (None, 5, "loosens"), (5, None, "tightens"),
])
def test_prompts_are_compared_with_what_the_rules_need(before: Any, after: Any, effect: str) -> None:
    one, other = (_with(("spec", "audit"), {"prompts": each} if each else {}) for each in (before, after))
    assert [(c.subject, c.effect) for c in diff(one, other)] == [("audit.prompts", effect)]


@pytest.mark.parametrize(("field", "before", "after"), [
    ("synonyms", ["bare"], []), ("descriptions", ["it is bare"], ["it is"]), ("broader", ["a", "b"], ["b"]),
    ("narrower", ["c", "d"], ["c"]), ("translations", {"de": "nackt"}, {"fr": "nackt"}),
    ("translations", {"de": "nackt"}, {"de": "kahl"}),
])
def test_each_list_of_words_counts_for_itself(field: str, before: Any, after: Any) -> None:
    at = (*CATEGORY, "concepts", 0, field)
    changes = diff(_with(at, before), _with(at, after))
    assert ("explicit.nudity.nudity.words", "loosens") in [(c.subject, c.effect) for c in changes]


def test_a_word_that_moves_to_another_list_is_asked_less_by_one_suite() -> None:
    at = (*CATEGORY, "concepts", 0)
    data = _with((*at, "synonyms"), ["bare", "nakedness"]).to_json()
    moved = _with((*at, "narrower"), ["bare"])
    assert any(c.looser for c in diff(Policy.from_json(data), moved))


@pytest.mark.parametrize(("written", "effect"), [("NUDITY", "changes"), ("a nudity", "loosens")])
def test_a_target_in_another_spelling_is_no_other_target(written: str, effect: str) -> None:
    [change] = diff(policy(severity="medium"), _with((*CATEGORY, "concepts", 0, "target"), written))
    assert (change.effect, change.words) == (effect, f"nudity is written {written}")


@pytest.mark.parametrize(("before", "after", "effect"), [
    (None, "abc", "tightens"), ("abc", None, "loosens"), ("abc", "def", "loosens"),
])
def test_a_pinned_model_is_tighter_than_an_open_one(before: Any, after: Any, effect: str) -> None:
    one, other = (_with(("spec", "model"), {"ref": "a/b", **({"revision": each} if each else {})})
                  for each in (before, after))
    assert [(c.subject, c.effect) for c in diff(one, other)] == [("model.revision", effect)]


def test_a_joined_policy_that_drops_its_parent_or_its_waivers_is_looser() -> None:
    parent = {"name": "company", "version": "1.0.0", "sha256": "0" * 64}
    other = {**parent, "name": "group"}
    alone, joined, chain = (_with(("derivedFrom",), each) for each in ([], [parent], [other, parent]))
    assert [c.looser for c in diff(alone, joined)] == [False] == [c.looser for c in diff(joined, chain)]
    assert [c.looser for c in diff(joined, alone)] == [True] == [c.looser for c in diff(chain, joined)]
