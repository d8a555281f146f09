"""What lint says: every error of every file, counted, placed, and fit for a terminal."""

from __future__ import annotations

import cProfile
import pstats
from datetime import date
from pathlib import Path

import pytest
import yaml

from mace_gov.policy.lint import lint
from tests import factories
from tests.policy.samples import HEAD, POLICY

TODAY = date(2026, 11, 24)


def errors(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    found, _ = lint(path, TODAY)
    assert all(line.isprintable() for line in found)
    assert all(line.startswith(f"{path}:") for line in found), found
    return [line.removeprefix(f"{path}:") for line in found]


@pytest.mark.parametrize("day", [
    "2027-02-30", "0000-00-00", "99999-01-01", "1:00", "yes", "[]", "20270601", "9" * 5000,
])
def test_one_bad_date_hides_none_of_the_other_errors(tmp_path: Path, day: str) -> None:
    found = errors(tmp_path, HEAD.replace("2027-06-01", day).replace("version: 1.0.0", "version: 1").replace(
        "suite: direct", "suite: near").replace("severity: medium", "severity: dire").replace("atMost: 0.2",
                                                                                             "atMost: 0.2, atLeast: 1")
        + "      concepts: [{id: a, target: ship}, {id: a, target: Ship, anchor: a ship, synonym: []}]\n"
          "      neighbours: [The ship]\n")
    for expected in ("reviewBy: found", "version: found 1,", "presence is measured on", "give exactly one of atMost",
                     "'dire'", "'a' a second time", "'Ship' a second time", "the anchor 'a ship' is itself banned",
                     "unknown key 'synonym'", "'The ship' is banned and preserved"):
        assert sum(expected in line for line in found) == 1, expected
    assert len(found) == 10


def test_what_a_setting_says_of_itself_is_not_hidden_by_its_fields(tmp_path: Path) -> None:
    concepts = "      concepts: [{id: a, target: ship}]\n"
    method = ("  method: {refine: {ridge: 1, relativeRidge: x}, fuse: {ridge: -1, relativeRidge: 1},\n"
              "           lora: {window: {start: 5, end: 5, gamma: no}}}\n")
    found = errors(tmp_path, HEAD.replace("  categories:", f"{method}  categories:") + concepts)
    assert sum("ridge or relativeRidge, not both" in line for line in found) == 2
    assert any("start must be below end, found 5 and 5" in line for line in found) and len(found) == 6


def test_one_wrong_waiver_hides_no_other(tmp_path: Path) -> None:
    data = yaml.safe_load(factories.waivers_yaml(*[factories.waiver(id=f"WAIVER-00{i}") for i in range(6)]))
    for waiver, change in zip(data["spec"]["waivers"], (
        {"expiresAt": "2027-02-30"}, {"id": "WAIVER-000", "expiresAt": "2099-01-01"}, {"expiresAt": "2026-01-01"},
        {"approver": " Research\u200b", "atMost": 7}, {"atLeast": 0.1, "model": "x"},
        {"loosens": "mode", "reason": "no"},
    ), strict=True):
        waiver |= change
    found = errors(tmp_path, yaml.safe_dump(data, allow_unicode=True))
    for expected in ("waivers[0].expiresAt: found 2027-02-30", "waivers[1].id: found 'WAIVER-000' a second time",
                     "waivers[1].expiresAt: WAIVER-000 lasts until 2099-01-01", "WAIVER-002 ended on 2026-01-01",
                     "waivers[3]: 'research' is owner and approver at once", "waivers[3].atMost: found 7",
                     "waivers[4]: give exactly one of atMost", "waivers[4].model: found 'x'",
                     "waivers[5]: give exactly one of rule and loosens", "waivers[5].reason: found 'no'"):
        assert sum(expected in line for line in found) == 1, (expected, found)
    assert len(found) == 10


def test_a_reason_that_nobody_sees_is_none(tmp_path: Path) -> None:
    text = factories.waivers_yaml(factories.waiver()).decode()
    [found] = errors(tmp_path, text.replace("Synonyms are mended in the next release.", "soon" + 6 * "\u200b"))
    assert "reason: found 4 characters that can be seen, expected at least 10" in found


@pytest.mark.parametrize("text", [
    '"\\e[31mred": 1\n', 'spec: {"\\e]0;title\\a": 1, "\\e]0;title\\a": 2}\n', 'kind: "\\e[2J"\n', '"a\\nb\\rc": 1\n',
    '"\\u202etxt": 1\n', 'a: *"\\e"\n', "a: !<\x7f> 1\n",
    HEAD + '      concepts: [{id: a, target: "\\e[1m"}, {id: a}]\n',
    HEAD + '      concepts: [{id: a, target: "x\\e"}, {id: b, target: "x\\b"}]\n      neighbours: ["x\\0"]\n',
])
def test_what_would_steer_a_terminal_is_shown_as_an_escape(tmp_path: Path, text: str) -> None:
    assert errors(tmp_path, text)


@pytest.mark.parametrize("text", [
    "a: " + "[" * 100_000, "- " * 100_000, "{" * 100_000, "a:\n" + "".join(" " * i + "b:\n" for i in range(1, 300)),
    "a: 0x" + "f" * 100_000, "a: " + "9" * 100_000, "a: 1e" + "9" * 10_000, "? " * 100_000, "a: " + "!" * 100_000,
    "&a " * 1000, "a: &a [*a]", "spec: {categories: 99999999999999999999999999999999999999999999}",
    "x" * 100_000 + ": 1",
], ids=range(13))
def test_absurd_input_is_an_error_with_its_place(tmp_path: Path, text: str) -> None:
    found = errors(tmp_path, text)
    assert found and all(len(line) <= 1000 for line in found)


def test_the_number_of_steps_grows_with_the_number_of_concepts_and_not_with_its_square(tmp_path: Path) -> None:
    steps = []
    for count in (500, 1000):
        path = tmp_path / f"{count}.yaml"
        path.write_text(HEAD + "      concepts:\n" + "".join(
            f"        - {{id: c{i}, target: person {i}, anchor: somebody in place {i}, synonyms: [one {i}, two {i}]}}\n"
            for i in range(count)) + f"      neighbours: [{', '.join(f'thing {i}' for i in range(count))}]\n")
        profile = cProfile.Profile()
        assert profile.runcall(lint, path, TODAY) == ([], [])
        steps.append(pstats.Stats(profile).total_calls)
    assert steps[1] < 2.2 * steps[0], "twice as many concepts, more than twice the work"


@pytest.mark.parametrize(("old", "new", "said"), [
    ("ref: embedded", "ref: ''", "spec.model.ref: found '', expected at least 1 character"),
    ("detectors: [judge]", "detectors: []", "spec.categories[0].detectors: found [], expected at least 1 item"),
])
def test_what_is_too_short_is_counted_in_its_own_unit(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = errors(tmp_path, POLICY.replace(old, new))
    assert [line.partition(": ")[2] for line in found] == [said]


@pytest.mark.parametrize(("ref", "hub"), [
    ("runwayml/some-model", True), ("registry:things/1", False), ("./model", False), ("~/model", False),
])
def test_only_a_hub_model_can_change_without_a_revision(tmp_path: Path, ref: str, hub: bool) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.replace("ref: embedded", f"ref: {ref}"))
    _, warned = lint(path, TODAY)
    assert any("hub model without a revision" in line for line in warned) is hub
