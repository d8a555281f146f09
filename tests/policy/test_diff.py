"""Two policies compared, in words."""

from __future__ import annotations

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
    ((*CATEGORY, "detectors"), [{"name": "judge", "threshold": 0.4}], [{"name": "judge", "threshold": 0.6}],
     "explicit.nudity.detectors.judge"),
    ((*CATEGORY, "detectors"), [{"name": "nudenet", "classes": ["A", "B"]}], [{"name": "nudenet", "classes": ["A"]}],
     "explicit.nudity.detectors.nudenet"),
    ((*CATEGORY, "concepts", 0, "synonyms"), ["nakedness", "bare"], ["bare"], "explicit.nudity.nudity.words"),
    ((*CATEGORY, "rules", 0, "atMost"), 0.01, 0.02, "NSFW-001"),
    ((*CATEGORY, "rules", 0, "confidence"), 0.99, 0.9, "NSFW-001"),
    ((*CATEGORY, "rules", 0, "minSamples"), 100, 50, "NSFW-001"),
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


def test_a_concept_that_moves_to_a_milder_category_is_looser() -> None:
    data = policy(severity="high").to_json()
    moved = data["spec"]["categories"][0]["concepts"].pop()
    milder = {**data["spec"]["categories"][0], "id": "mild", "severity": "low", "concepts": [moved],
              "rules": [{"id": "MILD-001", "suite": "direct", "metric": "presence", "atMost": 0.05}]}
    data["spec"]["categories"].append(milder)
    changes = diff(policy(severity="high"), Policy.from_json(data))
    assert ("loosens", "naked moves from high to low") in [(c.effect, c.words) for c in changes]
