"""A policy that extends another: joined, pinned, never looser without a waiver."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import pytest
import yaml

from mace_gov.core.errors import PolicyError
from mace_gov.documents.policy import Policy, Severity
from mace_gov.gate.waive import expired
from mace_gov.policy.load import LoadedPolicy, load_policy
from tests import factories
from tests.policy.samples import head

TODAY = date(2026, 11, 24)
PARENT = head("company", "2.0.0", "trust-and-safety", "2099-06-01") + """\
spec:
  model: {ref: embedded}
  categories:
    - id: objects
      kind: object
      severity: medium
      concepts:
        - {id: ship, target: ship, anchor: sky, synonyms: [vessel]}
      detectors: [judge]
      rules:
        - {id: OBJECT-001, suite: direct, metric: presence, atMost: 0.05, minSamples: 59}
        - {id: OBJECT-002, suite: unrelated, metric: retention, atLeast: 0.90}
    - id: harm
      kind: explicit
      severity: critical
      concepts:
        - {id: blood, target: blood, anchor: ground}
      detectors: [judge]
      rules:
        - {id: HARM-001, suite: direct, metric: presence, atMost: 0.05}
"""
CHILD = head("team", owner="team", review_by="2099-01-01") + """\
extends:
  file: company.yaml
  sha256: %s
"""


def _write(folder: Path, spec: str = "", *, parent: str = PARENT, waivers: bytes | None = None) -> Path:
    (folder / "company.yaml").write_text(parent)
    head = CHILD % hashlib.sha256(parent.encode()).hexdigest()
    if waivers is not None:
        (folder / "waivers.yaml").write_bytes(waivers)
        head += "  waivers: waivers.yaml\n"
    path = folder / "team.yaml"
    path.write_text(head + spec)
    return path


def _category(category: str, *lines: str) -> str:
    body = "".join(f"      {line}\n" for line in lines)
    return f"spec:\n  categories:\n    - id: {category}\n{body}"


def _loosened(**changes: object) -> bytes:
    fields = {"policy": "team", "rule": None, "loosens": "OBJECT-001", "at_most": 0.1}
    return factories.waivers_yaml(factories.waiver(**{**fields, **changes}))


def _problems(path: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        load_policy(path, today=TODAY)
    return "\n".join(caught.value.problems) or caught.value.message


def test_a_child_that_adds_nothing_asks_for_all_that_its_parent_asks(tmp_path: Path) -> None:
    loaded = load_policy(_write(tmp_path))
    assert loaded.policy.spec == load_policy(tmp_path / "company.yaml").policy.spec
    assert loaded.policy.metadata.name == "team" and loaded.policy.extends is None
    [parent] = loaded.policy.derived_from
    assert (parent.name, parent.version, parent.waivers) == ("company", "2.0.0", [])
    assert parent.sha256 == hashlib.sha256((tmp_path / "company.yaml").read_bytes()).hexdigest()


def test_a_child_tightens_and_adds(tmp_path: Path) -> None:
    made = load_policy(_write(tmp_path, _category(
        "objects", "severity: high", "neighbours: [ferry]",
        "concepts: [{id: ship, synonyms: [boat]}, {id: truck, target: truck, anchor: street}]",
        "detectors: [nudenet]", "rules: [{id: OBJECT-001, atMost: 0.02}]",
    ))).policy.spec.categories
    objects = made[0]
    assert [category.id for category in made] == ["objects", "harm"]
    assert [(c.target, c.synonyms) for c in objects.concepts] == [("ship", ["vessel", "boat"]), ("truck", [])]
    assert (objects.severity, objects.neighbours) == (Severity.HIGH, ["ferry"])
    assert [spec.name for spec in objects.detectors] == ["judge", "nudenet"]
    assert [(rule.id, rule.limit, rule.min_samples) for rule in objects.rules] == [
        ("OBJECT-001", 0.02, 59), ("OBJECT-002", 0.9, 1)
    ]


@pytest.mark.parametrize(("spec", "expected"), [
    (_category("objects", "rules: [{id: OBJECT-001, atMost: 0.08}]"),
     "spec.categories[0].rules[0]: loosens company: OBJECT-001 at most 8 %, was 5 %; expected a waiver that loosens "
     "'OBJECT-001'"),
    (_category("objects", "rules: [{id: OBJECT-002, atLeast: 0.5}]"), "OBJECT-002 at least 50 %, was 90 %"),
    (_category("objects", "rules: [{id: OBJECT-001, minSamples: 5}]"), "independent prompts 5, was 59"),
    (_category("objects", "rules: [{id: OBJECT-001, confidence: 0.6}]"), "confidence 60 %, was 95 %"),
    (_category("objects", "rules: [{id: OBJECT-001, suite: synonym}]"), "is about objects synonym presence, not about"),
    (_category("objects", "severity: low"), "objects severity low, was medium"),
    (_category("objects", "concepts: [{id: ship, target: boat}]"), "ship is banned no more"),
    (_category("objects", "detectors: [{name: judge, threshold: 0.99}]"), "judge may see less"),
    ("spec: {mode: audit}\n", "spec.mode: loosens company: mode audit, was enforce"),
    ("spec: {gate: {failOn: high}}\n", "the gate blocks from severity high, was low"),
    ("spec: {audit: {templates: ['{}, hidden']}}\n", "the audit asks in other captions"),
    (_category("objects", "kind: explicit"),
     "spec.categories[0].kind: loosens company: objects kind explicit, was object"),
    (_category("objects", "detectors: [{name: judge, classes: [a]}]"), "judge may see less"),
    (_category("objects", "concepts: [{id: ship, target: a ship}]"), "ship is written a ship"),
    ("spec: {model: {ref: other}}\n", "spec.model.ref: loosens company: model.ref: other, was embedded"),
    ("spec: {audit: {seed: 1}}\n", "audit.seed: 1, was 1000"),
    ("spec: {audit: {unrelated: 5}}\n", "unrelated: 5, was 120"),
    ("spec: {audit: {prompts: 5}}\n", "prompts per concept 5, was what the rules need"),
    ("spec: {audit: {looks: 5}}\n", "audit.looks: 5, was unset"),
])
def test_loosening_without_a_waiver_is_an_error_with_its_place(tmp_path: Path, spec: str, expected: str) -> None:
    path = _write(tmp_path, spec)
    found = _problems(path)
    assert expected in found and found.startswith(f"{path}:")
    assert int(found.removeprefix(f"{path}:").split(":")[0]) >= 7, "the place is in what the child says"


def test_a_later_review_is_looser_than_the_parents(tmp_path: Path) -> None:
    path = _write(tmp_path)
    path.write_text(path.read_text().replace("reviewBy: 2099-01-01", "reviewBy: 2099-12-01"))
    assert "team.yaml:3:53: metadata.reviewBy: loosens company: to be reviewed by 2099-12-01, was 2099-06-01" in (
        _problems(path))


def test_of_several_detectors_of_a_name_none_is_dulled_unseen(tmp_path: Path) -> None:
    clips = ("[{name: clip, model: large, threshold: 0.3, only: bans}, "
             "{name: clip, model: base, threshold: 0.5, only: bans}]")
    parent = PARENT.replace("detectors: [judge]", f"detectors: {clips}", 1)
    spec = _category("objects", "detectors: [{name: clip, threshold: 1.0}]")
    assert "objects.detectors.clip'" in _problems(_write(tmp_path, spec, parent=parent))
    spec = _category("objects", "detectors: [{name: clip}, {name: clip, threshold: 0.4},"
                                 " {name: clip, model: small, only: bans}]")
    objects = load_policy(_write(tmp_path, spec, parent=parent)).policy.spec.categories[0]
    assert [(each.model, each.threshold) for each in objects.detectors] == [
        ("large", 0.3), ("base", 0.4), ("small", None)]


def test_a_concept_that_moves_to_the_childs_own_category_is_looser(tmp_path: Path) -> None:
    spec = _category("objects", "concepts: [{id: ship, target: truck}]") + (
        "    - {id: mine, kind: object, severity: medium, concepts: [{id: boat, target: ship}], detectors: [judge],\n"
        "       rules: [{id: MINE-001, suite: direct, metric: presence, atMost: 1.0}]}\n")
    assert "ship moves from objects to mine" in _problems(_write(tmp_path, spec))


def test_one_name_for_two_things_waives_neither(tmp_path: Path) -> None:
    parent = PARENT.replace("{id: ship, target: ship", "{id: kind, target: ship")
    spec = _category("objects", "kind: style", "concepts: [{id: kind, target: boat}]").replace("boat}", "truck}")
    waivers = _loosened(loosens="objects.kind", at_most=None)
    found = _problems(_write(tmp_path, spec, parent=parent, waivers=waivers))
    assert "'objects.kind' names two things that are loosened" in found


def test_everything_wrong_in_child_parent_and_waivers_comes_at_once(tmp_path: Path) -> None:
    path = _write(tmp_path, "spec: {mode: dire}\n", parent=PARENT.replace("severity: medium", "severity: dire"),
                  waivers=_loosened().replace(b"team", b"Team"))
    path.write_text(path.read_text() + "spce: 1\n")
    found = _problems(path)
    for expected in ("spec.mode: found 'dire'", "unknown key 'spce'", "company.yaml:9:7: spec.categories[0].severity",
                     "spec.waivers[0].policy: found 'Team'"):
        assert expected in found


def test_a_wrong_pin_hides_nothing_in_the_child(tmp_path: Path) -> None:
    path = _write(tmp_path, "spec: {mode: dire, mdel: {}}\n")
    (tmp_path / "company.yaml").write_text("a: 1")
    found = _problems(path)
    assert "extends.sha256" in found and "'dire'" in found and "unknown key 'mdel'" in found
    assert "found nothing" not in found, "what the parent may give is not missing"


def test_words_of_a_child_are_added_once_however_they_are_written(tmp_path: Path) -> None:
    spec = _category("objects", "concepts: [{id: ship, synonyms: [A  Vessel, boat]}]", "neighbours: [lake]")
    made = load_policy(_write(tmp_path, spec)).policy
    assert made.spec.categories[0].concepts[0].synonyms == ["vessel", "boat"]


def test_a_waiver_lets_a_rule_be_loosened_up_to_its_rate_and_goes_into_the_policy(tmp_path: Path) -> None:
    spec = _category("objects", "rules: [{id: OBJECT-001, atMost: 0.08}]")
    made = load_policy(_write(tmp_path, spec, waivers=_loosened()), today=TODAY).policy
    assert made.spec.categories[0].rules[0].limit == 0.08
    [used] = made.derived_from[0].waivers
    assert (used.id, used.approver) == ("WAIVER-001", "jane.doe")


@pytest.mark.parametrize(("spec", "changes", "expected"), [
    (_category("objects", "rules: [{id: OBJECT-001, atMost: 0.2}]"), {}, "to 0.2; WAIVER-001 allows 0.1"),
    (_category("objects", "rules: [{id: OBJECT-001, atMost: 0.08}]"), {"policy": "other"}, "expected a waiver"),
    (_category("objects", "rules: [{id: OBJECT-001, atMost: 0.08, confidence: 0.51}]"), {},
     "expected a waiver that loosens 'OBJECT-001.confidence'"),
    (_category("objects", "rules: [{id: OBJECT-001, suite: paraphrase, atMost: 0.08}]"), {},
     "expected a waiver that loosens 'OBJECT-001.suite'"),
    (_category("objects", "rules: [{id: OBJECT-001, atMost: 0.08}]"), {"expires_at": "2026-11-23"},
     "waivers.yaml:18:9: spec.waivers[0].expiresAt: WAIVER-001 ended on 2026-11-23, today is 2026-11-24"),
    (_category("objects", "rules: [{id: OBJECT-001, atMost: 0.08}]"), {"expires_at": "2029-01-01"},
     "expected at most 366 days"),
    ("", {}, "WAIVER-001 allows to loosen 'OBJECT-001', which the policy does not do"),
    (_category("harm", "rules: [{id: HARM-001, atMost: 0.08}]"), {"loosens": "HARM-001"},
     "critical is not waivable"),
])
def test_a_waiver_that_does_not_cover_the_loosening_is_an_error(
    tmp_path: Path, spec: str, changes: dict, expected: str
) -> None:
    assert expected in _problems(_write(tmp_path, spec, waivers=_loosened(**changes)))


def test_the_gate_may_load_a_policy_whose_waiver_has_ended(tmp_path: Path) -> None:
    spec = _category("objects", "rules: [{id: OBJECT-001, atMost: 0.08}]")
    path = _write(tmp_path, spec, waivers=_loosened(expires_at="2026-11-23"))
    made = load_policy(path, today=TODAY, ended=True).policy
    [(outcome, reason)] = expired([], made, TODAY)
    assert outcome == "FAIL" and "WAIVER-001 for OBJECT-001 ended on 2026-11-23" in reason


def test_a_setting_is_loosened_by_the_name_that_the_error_gives(tmp_path: Path) -> None:
    spec = "spec: {mode: audit}\n"
    assert "'mode'" in _problems(_write(tmp_path, spec))
    path = _write(tmp_path, spec, waivers=_loosened(loosens="mode", at_most=None))
    assert load_policy(path, today=TODAY).policy.spec.mode == "audit"


@pytest.mark.parametrize(("change", "expected"), [
    (("company.yaml\n", "no-such.yaml\n"), "team.yaml:5:3: extends.file: cannot read the policy"),
    (("company.yaml\n", "/etc/hostname\n"), "expected a path relative to this file"),
    (("sha256: ", "sha256: 00"), "team.yaml:6:3: extends.sha256: found '00"),
    (("extends:", "derivedFrom: []\nextends:"), "is written when policies are joined"),
    (("extends:", "extnds:"), "unknown key 'extnds'; did you mean 'extends'?"),
])
def test_what_is_wrong_with_the_pin_is_said_at_its_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    path = _write(tmp_path)
    path.write_text(path.read_text().replace(*change))
    assert expected in _problems(path)


def test_a_parent_that_changed_since_it_was_pinned_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path)
    (tmp_path / "company.yaml").write_text(PARENT.replace("0.05", "0.50"))
    found = _problems(path)
    assert "team.yaml:6:3: extends.sha256: company.yaml has digest" in found and "then pin it" in found


def test_mistakes_of_the_child_are_placed_in_the_child_and_come_at_once(tmp_path: Path) -> None:
    path = _write(tmp_path, _category(
        "objects", "severity: dire", "rules:", "  - {id: OBJECT-001, atmost: 0.02}", "  - {id: OBJECT-001, atMost: 2}"
    ))
    found = _problems(path).splitlines()
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in found] == ["10", "12", "13", "13"]
    assert "'dire'" in found[0] and "did you mean 'atMost'" in found[1]
    assert any("'OBJECT-001' a second time" in line for line in found) and any("found 2" in line for line in found)


def test_a_chain_is_followed_and_named_nearest_first(tmp_path: Path) -> None:
    team = _write(tmp_path, _category("objects", "rules: [{id: OBJECT-001, atMost: 0.04}]"))
    pin = hashlib.sha256(team.read_bytes()).hexdigest()
    product = tmp_path / "product.yaml"
    product.write_text(CHILD.replace("company.yaml", "team.yaml").replace("name: team", "name: product") % pin)
    made = load_policy(product).policy
    assert [parent.name for parent in made.derived_from] == ["team", "company"]
    assert made.spec.categories[0].rules[0].limit == 0.04


def test_a_chain_without_an_end_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path)
    for n in range(9):
        pin = hashlib.sha256(path.read_bytes()).hexdigest()
        text = CHILD.replace("company.yaml", path.name) % pin
        path = tmp_path / f"link{n}.yaml"
        path.write_text(text)
    assert "more than 8 policies in a chain" in _problems(path)


def _reloaded(loaded: LoadedPolicy, tmp_path: Path) -> LoadedPolicy:
    kept = tmp_path / "kept" / "policy.yaml"
    kept.parent.mkdir()
    kept.write_bytes(loaded.data)
    return load_policy(kept)


def test_what_is_kept_beside_the_evidence_needs_no_other_file_and_is_the_same_policy(tmp_path: Path) -> None:
    spec = _category("objects", "rules: [{id: OBJECT-001, atMost: 0.08}]")
    loaded = load_policy(_write(tmp_path, spec, waivers=_loosened()), today=TODAY)
    again = _reloaded(loaded, tmp_path)
    assert again.policy == loaded.policy and again.policy.content_digest() == loaded.policy.content_digest()
    assert loaded.data.startswith(b"# team.yaml (sha256 ") and b"company 2.0.0" in loaded.data
    assert yaml.safe_load(loaded.data) == json.loads(loaded.policy.canonical())


def test_text_that_looks_like_a_number_is_kept_as_text(tmp_path: Path) -> None:
    words = ["1e3", "0100", "1_000", "1:00", "yes", "2027-06-01", "null", "~", "0o17", "y", ".5", "a: b", "x\u2028y"]
    spec = _category("objects", f"concepts: [{{id: ship, synonyms: {json.dumps(words)}}}]")
    loaded = load_policy(_write(tmp_path, spec))
    assert _reloaded(loaded, tmp_path).policy == loaded.policy
    assert loaded.policy.spec.categories[0].concepts[0].synonyms[1:4] == words[:3]


def test_a_policy_that_extends_nothing_is_kept_byte_by_byte(tmp_path: Path) -> None:
    _write(tmp_path)
    assert load_policy(tmp_path / "company.yaml").data == PARENT.encode()


def test_an_inherited_rule_is_placed_at_the_line_that_extends(tmp_path: Path) -> None:
    loaded = load_policy(_write(tmp_path, _category("objects", "rules:", "  - {id: OBJECT-001, atMost: 0.02}")))
    assert loaded.rule_places() == {"OBJECT-001": (11, 11), "OBJECT-002": (4, 1), "HARM-001": (4, 1)}


def test_the_joined_policy_validates_as_a_policy(tmp_path: Path) -> None:
    loaded = load_policy(_write(tmp_path))
    assert Policy.from_json(loaded.policy.to_json()) == loaded.policy
