"""What would end the work late is said before it, everything at once, with its place; and a good policy passes."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
import yaml

from mace_gov.audit.detectors.by_name import DETECTORS
from mace_gov.core.errors import IncompleteError, MissingExtraError, PolicyError, UsageError
from mace_gov.diffusion.lengths import too_long
from mace_gov.documents.detector_info import INFOS, NUDENET_LABELS
from mace_gov.plan.build import make_plan
from mace_gov.policy.lint import lint
from mace_gov.policy.load import load_policy
from mace_gov.preflight import checks
from mace_gov.preflight.checks import Ahead
from mace_gov.workflow.planning import plan_policy
from tests import factories

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 1)
RULE = {"id": "THING-001", "suite": "direct", "metric": "presence", "atMost": 0.5}


def written(path: Path, *, spec=None, concepts=None, **category) -> Path:
    """A policy on the embedded model, with one category of which everything may be changed."""
    own = {"id": "things", "kind": "object", "severity": "low", "detectors": ["judge"], "rules": [RULE],
           "concepts": concepts or [{"id": "ship", "target": "ship", "anchor": "sky"}], **category}
    value = {"apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
             "metadata": {"name": "things", "version": "1.0.0", "owner": "me", "reviewBy": "2099-01-01"},
             "spec": {"model": {"ref": "embedded"}, "categories": [own], **(spec or {})}}
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return path


def refusal(path: Path, tmp_path: Path, **options) -> str:
    """What plan says against a policy."""
    with pytest.raises(PolicyError) as told:
        plan_policy(path, registry=tmp_path / "registry", **options)
    return str(told.value)


WRONG = {
    "an unknown name": ("nudnet", "did you mean 'nudenet'"),
    "a name in capitals": ({"name": "opennsfv"}, "did you mean 'opennsfw'"),
    "clip without a model": ("clip", "no model"),
    "face with nothing": ("face", "no model, no references, no threshold"),
    "face without a threshold": ({"name": "face", "model": "x", "references": "y"}, "no threshold"),
    "classes for the judge": ({"name": "judge", "classes": ["a"]}, "expected none"),
    "classes for opennsfw": ({"name": "opennsfw", "classes": ["a"]}, "expected none"),
    "a class that nudenet has not": ({"name": "nudenet", "classes": ["FACE_FEMALES"]}, "did you mean 'FACE_FEMALE'"),
    "a threshold below nudenet's floor": ({"name": "nudenet", "threshold": 0.2}, "0.25 or more"),
    "a model for nudenet": ({"name": "nudenet", "model": "x"}, "no such setting"),
    "a revision for the judge": ({"name": "judge", "revision": "x"}, "no such setting"),
    "references for clip": ({"name": "clip", "model": "a/b", "references": "x"}, "it takes model, revision"),
}


@pytest.mark.parametrize("spec,told", WRONG.values(), ids=WRONG)
def test_a_detector_that_cannot_be_made_is_an_error_of_lint_and_of_plan_with_its_line(tmp_path, spec, told):
    path = written(tmp_path / "p.yaml", detectors=["judge", spec])
    errors, _ = lint(path, TODAY)
    assert len(errors) == 1 and told in errors[0] and errors[0].startswith(f"{path}:")
    assert int(errors[0].split(":")[1]) > 1 and "detectors[1]" in errors[0]
    assert told in refusal(path, tmp_path)


@pytest.mark.parametrize("name", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_policies_that_ship_are_ready(name, tmp_path):
    assert lint(name, TODAY) == ([], [])


def test_the_table_knows_the_detectors_that_the_audit_makes_and_no_other():
    assert INFOS.keys() == DETECTORS.keys()
    assert DETECTORS["judge"] == checks.JUDGE and len(set(NUDENET_LABELS)) == 18


def test_a_plugin_is_known_where_it_is_given_and_nowhere_else(tmp_path, run):
    path = written(tmp_path / "p.yaml", detectors=["mine"])
    assert lint(path, TODAY)[0] and lint(path, TODAY, ["mine"]) == ([], [])
    assert run("policy", "lint", path)[0] == 2
    assert run("policy", "lint", path, "--plugin", "mine=mine.py:Mine")[0] == 0
    assert run("policy", "lint", path, "--plugin", "mine")[0] == 2
    assert "'mine'" in refusal(path, tmp_path)


def test_all_errors_come_at_once(tmp_path):
    path = written(
        tmp_path / "p.yaml", detectors=["nudnet", "clip", {"name": "nudenet", "threshold": 0.1}],
        spec={"method": {"refine": {"templates": ["one {}"]}}, "audit": {"templates": ["The  One-{}"]}})
    told = refusal(path, tmp_path)
    assert told.startswith(f"{path}: 4 errors")
    for part in ("nudnet", "clip has no model", "0.25 or more", "audit.templates[0]"):
        assert part in told


def test_files_that_a_detector_needs_are_looked_for_before_the_work(tmp_path):
    faces = tmp_path / "faces"
    (faces / "anna lund").mkdir(parents=True)
    (faces / "anna lund" / "1.png").write_bytes(b"")
    people = [{"id": "anna", "target": "Anna Lund", "anchor": "a person"},
              {"id": "kit", "target": "kit duskwater", "anchor": "a person"}]
    face = {"name": "face", "model": str(tmp_path / "no.onnx"), "references": str(faces), "threshold": 0.4}
    told = refusal(written(tmp_path / "p.yaml", kind="celebrity", concepts=people, detectors=[face]), tmp_path)
    assert "no.onnx" in told and "no pictures of kit duskwater" in told and "Anna" not in told
    clip = {"name": "clip", "model": str(tmp_path / "clip")}
    assert "no CLIP model" in refusal(written(tmp_path / "p.yaml", detectors=[clip]), tmp_path)


def test_a_word_that_the_judge_does_not_know_is_named_with_the_rule_that_it_keeps_from_passing(tmp_path):
    concepts = [{"id": name, "target": name, "anchor": "sky"} for name in ("ship", "zeppelin")]
    path = written(tmp_path / "p.yaml", concepts=concepts, neighbours=["bus", "gondola"],
                   spec={"audit": {"subjects": ["owl", "espresso machine", "noto"]}})
    told = refusal(path, tmp_path)
    assert "audit.subjects[1]: the judge does not know 'espresso machine', so its pictures have no score" in told
    assert "audit.subjects[2]: the judge does not know 'noto'" in told
    assert "concepts[1].target: the judge does not know 'zeppelin', so THING-001 cannot pass" in told
    assert "neighbours[1]: the judge does not know 'gondola'" in told
    assert not any(f"'{each}'" in told for each in ("ship", "bus", "owl"))
    _, plan, _ = plan_policy(path, registry=tmp_path, ahead=Ahead(asks=False, judges=False))
    assert [target.id for target in plan.targets] == ["ship", "zeppelin"]
    other = written(tmp_path / "p.yaml", concepts=concepts, detectors=["always-absent"])
    assert plan_policy(other, registry=tmp_path)[1].targets


def test_pictures_that_somebody_else_judges_may_show_what_the_judge_does_not_know(tmp_path, run):
    path = written(tmp_path / "p.yaml", concepts=[{"id": "zeppelin", "target": "zeppelin", "anchor": "sky"}])
    assert run("plan", path, "--registry", tmp_path)[0] == 2
    assert run("probes", path, "--out", tmp_path / "probes.csv", "--registry", tmp_path)[0] == 0


def test_prompts_that_run_out_are_an_error_before_the_work(tmp_path):
    path = written(tmp_path / "p.yaml", spec={"audit": {"prompts": 20, "templates": ["see {}"]}})
    plan_policy(path, registry=tmp_path)
    path = written(tmp_path / "p.yaml", spec={"audit": {"prompts": 900, "templates": ["see {}"]}})
    assert "spec.audit" in refusal(path, tmp_path)


@pytest.mark.parametrize("field", ["target", "anchor", "synonyms", "descriptions", "neighbours", "preserved"])
def test_words_beyond_the_encoders_length_are_an_error_with_their_place(tmp_path, field):
    long = " ".join(["qx"] * 39)  # two letters that are two tokens
    concept = {"id": "ship", "target": "ship", "anchor": "sky"}
    more: dict = {}
    if field in ("target", "anchor"):
        concept[field] = long
    elif field in ("synonyms", "descriptions"):
        concept[field] = ["vessel", long]
    elif field == "neighbours":
        more = {"neighbours": [long]}
    else:
        more = {"spec": {"method": {"preserve": {"concepts": [long]}}}}
    path = written(tmp_path / "p.yaml", concepts=[concept], detectors=["always-absent"], **more)
    told = refusal(path, tmp_path)
    assert "tokens in" in told and "expected at most 77" in told and told.count("\n") == 1
    assert ("preserve.concepts[0]" if field == "preserved" else field) in told


def test_short_words_never_load_a_tokenizer(monkeypatch):
    from mace_gov.diffusion import lengths
    from mace_gov.diffusion.manifest import read_manifest

    monkeypatch.setattr(lengths, "require", lambda *_names: pytest.fail("loaded"))
    policy = load_policy(ROOT / "policies/nsfw.yaml").policy
    plan = make_plan(policy, read_manifest("embedded"))
    assert too_long(plan, policy, ["a picture of nudity"]) == []


def test_erase_only_concepts_are_named_by_lint_and_plan_with_their_rule(tmp_path, run):
    concepts = [{"id": "naked", "target": "naked", "anchor": "a person"},
                {"id": "one", "target": "brindle yewstone naked", "anchor": "a person"}]
    path = written(tmp_path / "p.yaml", kind="explicit", concepts=concepts, detectors=["always-absent"])
    _, told = lint(path, TODAY)
    assert any("concepts[1]" in line or "one of things is erase-only by the rule never-draw/named-person" in line
               for line in told)
    code, out, _ = run("plan", path, "--registry", tmp_path, "--no-calibrate")
    assert code == 0 and "erase-only: one, by the rule never-draw/named-person" in out
    assert "one: none, no picture of it may ever be made (never-draw/named-person)" in out
    alone = written(tmp_path / "p.yaml", kind="explicit", concepts=concepts[1:], detectors=["always-absent"])
    assert any("THING-001: every concept of things is erase-only" in line for line in lint(alone, TODAY)[1])
    esd = written(tmp_path / "p.yaml", kind="explicit", concepts=concepts, spec={"method": {"name": "esd"}})
    assert any("esd draws what it erases" in line for line in lint(esd, TODAY)[0])


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    policy = factories.policy(detectors=["judge", "nudenet"])
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"nudenet.*mace-gov\[nudenet\]"):
        checks.check_machine(policy)
    assert any("nudenet" in note for note in checks.plan_notes(policy, factories.plan()))
    checks.check_machine(None)


def test_folders_that_cannot_hold_the_work_are_refused_before_it(tmp_path, monkeypatch):
    checks.check_machine(None, tmp_path / "new" / "registry")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        checks.check_machine(None, tmp_path / "file")
    with pytest.raises(UsageError, match="is a file"):
        checks.check_machine(None, tmp_path / "file" / "registry")
    with pytest.raises(IncompleteError, match="MB free"):
        checks.check_machine(None, tmp_path, needs=10**18)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be written"):
        checks.check_machine(None, tmp_path)
    assert not (tmp_path / "new").exists()


def test_captions_that_the_erasure_trains_on_are_named_in_one_line(tmp_path):
    path = written(tmp_path / "policy.yaml", spec={"audit": {"templates": ["a photo of {}"]}})
    told = refusal(path, tmp_path)
    assert "expected none; spec.audit.templates: 'a photo of {}'" in told and "\\u000a" not in told
