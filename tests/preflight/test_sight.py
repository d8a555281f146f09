"""A rule that no detector can answer on a model's pictures is refused before any work, with what to add."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from mace_gov.core.errors import ModelError, PolicyError, UsageError
from mace_gov.diffusion.manifest import SINGLE_FILE_SIDE, picture_side
from mace_gov.documents.detector_info import INFOS, lacking
from mace_gov.documents.policy import Category, Kind, Suite
from mace_gov.policy.lint import lint
from mace_gov.policy.load import load_policy
from tests.preflight.test_checks import ROOT, RULE, written

TODAY = date(2026, 11, 1)
CLIP = {"name": "clip", "model": "a/b"}
FACE = {"name": "face", "model": "x.onnx", "references": "faces", "threshold": 0.4}
PRESENCE = {"id": "THING-001", "suite": "synonym", "metric": "presence", "atMost": 0.5}
KEPT = {"id": "THING-002", "suite": "unrelated", "metric": "retention", "atLeast": 0.5}
NEAR = {**KEPT, "suite": "near"}


@pytest.fixture(scope="module")
def sd14(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of Stable Diffusion 1.4's shape, without a weight: what draws 512 pixels."""
    return shape(tmp_path_factory.mktemp("sd14"))


def shape(folder: Path, *, sample: int = 64, levels: int = 4, pipeline: str = "StableDiffusionPipeline") -> Path:
    for name, config in (("unet", {"sample_size": sample, "cross_attention_dim": 768}),
                         ("vae", {"block_out_channels": [128] * levels}), ("text_encoder", {"hidden_size": 768})):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    return folder


def told(detectors: list, kind: str, rule: dict, side: int | None) -> str | None:
    category = Category.model_validate({
        "id": "things", "kind": kind, "severity": "low", "detectors": detectors, "rules": [rule],
        "concepts": [{"id": "ship", "target": "ship"}]})
    return lacking(category, category.rules[0], side)


MISMATCHES = {
    "a judge and large pictures": (["judge"], "object", RULE, 512, "judge reads pictures of 64 px at most"),
    "a judge and pictures a little larger": (["judge"], "style", RULE, 65, "64 px at most"),
    "nudenet and what must stay": (["nudenet"], "explicit", KEPT, None, "nudenet cannot tell what stays"),
    "opennsfw and what must stay": (["opennsfw"], "explicit", NEAR, 512, "opennsfw cannot tell what stays"),
    "nudenet and a style": (["nudenet"], "style", RULE, None, "nudenet tells no style from another"),
    "nudenet and a person": (["nudenet"], "celebrity", PRESENCE, None, "nudenet tells no person from another"),
    "opennsfw and a thing": (["opennsfw"], "object", RULE, None, "opennsfw tells no object from another"),
    "a face and a style": ([FACE], "style", RULE, None, "face tells no style from another"),
    "a face and unrelated things": ([FACE], "celebrity", KEPT, None, "but for the people it knows"),
    "what is told to look at bans": ([{**CLIP, "only": "bans"}], "object", KEPT, None, "told to look at bans only"),
    "what is told to look at what stays": ([{**CLIP, "only": "kept"}], "object", RULE, 512, "at what must stay only"),
    "two that each lack something": (["judge", "nudenet"], "explicit", KEPT, 512, "64 px at most; nudenet cannot tell"),
}
FITS = {
    "a judge and its own pictures": (["judge"], "style", KEPT, 64),
    "a judge where no model is named": (["judge"], "object", RULE, None),
    "clip and everything": ([CLIP], "style", NEAR, 1024),
    "nudenet and a ban": (["judge", "nudenet"], "explicit", RULE, 512),
    "nudenet and a thing that its labels may name": (["nudenet"], "object", RULE, 512),
    "a face and a person, and people near": ([FACE], "celebrity", NEAR, 512),
    "clip for what stays": (["nudenet", {**CLIP, "only": "kept"}], "explicit", KEPT, 512),
    "a plugin, of which nobody knows": (["mine"], "style", KEPT, 512),
}


@pytest.mark.parametrize("case", MISMATCHES.values(), ids=MISMATCHES)
def test_each_mismatch_names_the_rule_why_and_what_to_add(case):
    *given, expected = case
    found = told(*given)
    assert found.startswith(f"{given[2]['id']}: no detector of things can look at ") and expected in found
    advised = yaml.safe_load(re.search(r"add to its detectors (\{.*?\})", found)[1])
    assert told([*given[0], advised], *given[1:]) is None  # it is what it says: ready to paste
    assert (f"({given[3]} px)" in found) is (given[3] is not None)


@pytest.mark.parametrize("case", FITS.values(), ids=FITS)
def test_what_can_look_is_not_refused(case):
    assert told(*case) is None


def test_what_is_added_for_what_stays_leaves_the_bans_to_those_who_know_them():
    found = load_policy(ROOT / "policies/nsfw.yaml").policy.spec.categories[0]
    assert [bool(lacking(found, rule, 512)) for rule in found.rules] == [False, False, True]
    assert "only: kept}" in lacking(found, found.rules[2], 512)
    ten = load_policy(ROOT / "policies/objects-ten.yaml").policy.spec.categories[0]
    assert all("only" not in lacking(ten, rule, 512) for rule in ten.rules)


def test_the_table_covers_every_kind_and_suite():
    for info in INFOS.values():
        assert set(info.bans) <= set(Kind) and not any(Suite(suite).banned for suite in info.keeps)


@pytest.mark.parametrize("name", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda path: path.stem)
def test_lint_refuses_a_policy_for_small_pictures_on_a_large_model_and_passes_it_once_mended(name, sd14, tmp_path, run):
    code, _, err = run("policy", "lint", name, "--model", sd14)
    rules = [rule.id for category in load_policy(name).policy.spec.categories for rule in category.rules]
    lines = err.splitlines()
    assert code == 2 and len(lines) == (1 if name.stem == "nsfw" else len(rules))
    assert all(re.match(rf"{re.escape(str(name))}:\d+:\d+: spec.categories\[0\].rules\[\d\]: ", line) for line in lines)
    assert {line.split(": ")[2] for line in lines} <= set(rules)
    (added,) = {re.search(r"add to its detectors (\{.*?\})", line)[1] for line in lines}
    mended = tmp_path / "policy.yaml"
    mended.write_text(re.sub(r"detectors: \[(.*)\]", rf"detectors: [\1, {added}]", name.read_text()))
    assert run("policy", "lint", mended, "--model", sd14)[0] == 0
    assert run("policy", "lint", mended, "--model", "embedded")[0] == 0


@pytest.mark.parametrize("name", sorted((ROOT / "policies/stable-diffusion").glob("*.yaml")), ids=lambda p: p.stem)
@pytest.mark.parametrize("side", [32, 512, 1024])
def test_the_policies_for_stable_diffusion_are_ready_for_pictures_of_any_size(name, side):
    assert lint(name, TODAY, (), side) == ([], [])


@pytest.mark.parametrize("command", [["plan"], ["apply"], ["tune"], ["compare"]], ids=" ".join)
def test_every_command_that_works_refuses_before_it(command, sd14, tmp_path, run):
    """The folder has no weights: what is refused first is what no detector can see."""
    registry = tmp_path / "registry"
    code, _, err = run(*command, ROOT / "policies/objects-ten.yaml", "--model", sd14, "--registry", registry)
    assert code == 2 and "4 errors" in err and not registry.exists()
    for rule in ("OBJECT-001", "OBJECT-002", "OBJECT-003", "OBJECT-004"):
        assert err.count(f"{rule}: no detector of objects can look at this model's pictures (512 px)") == 1
    assert err.count("add to its detectors {name: clip, model: openai/clip-vit-large-patch14, revision: ") == 4


def test_an_audit_refuses_too_and_an_erasure_alone_does_not(sd14, tmp_path, run):
    code, _, err = run("audit", sd14, "--policy", written(tmp_path / "p.yaml", detectors=["nudenet"], rules=[KEPT]),
                       "--registry", tmp_path / "registry")
    assert code == 2 and "THING-002: no detector" in err
    code, _, err = run("erase", ROOT / "policies/objects-one.yaml", "--model", sd14, "--out", tmp_path / "out",
                       "--registry", tmp_path / "registry")
    assert code == 3 and "is not loaded" in err  # what an erasure needs: nobody looks at its pictures


def test_lint_without_a_model_refuses_what_no_model_mends(tmp_path):
    path = written(tmp_path / "p.yaml", kind="explicit", detectors=["nudenet"], rules=[RULE, KEPT])
    errors, _ = lint(path, TODAY)
    assert len(errors) == 1 and "rules[1]" in errors[0] and "can look at pictures for retention" in errors[0]
    assert lint(written(tmp_path / "p.yaml"), TODAY)[0] == [] and lint(written(tmp_path / "p.yaml"), TODAY, (), 512)[0]


def test_the_side_is_that_of_the_configuration_alone(sd14, tmp_path):
    assert picture_side(str(sd14)) == 512 and picture_side("embedded") == 32
    assert picture_side(str(shape_in(tmp_path / "xl", sample=128, pipeline="StableDiffusionXLPipeline"))) == 1024
    (tmp_path / "one.safetensors").write_bytes(b"")
    assert picture_side(str(tmp_path / "one.safetensors")) == SINGLE_FILE_SIDE == 512
    with pytest.raises(ModelError, match="block_out_channels"):
        picture_side(str(shape_in(tmp_path / "flat", levels=0)))
    with pytest.raises(ModelError, match="pipeline class"):
        picture_side(str(shape_in(tmp_path / "other", pipeline="Other")))
    with pytest.raises(UsageError, match="empty"):
        picture_side(" ")


def shape_in(folder: Path, **changes) -> Path:
    folder.mkdir()
    return shape(folder, **changes)


def test_of_a_hub_model_the_configuration_alone_is_fetched(sd14, monkeypatch):
    from mace_gov.diffusion import manifest

    asked = []
    monkeypatch.setattr(manifest, "fetch", lambda *given: asked.append(given) or sd14)
    assert picture_side("owner/name", revision="abc") == 512
    assert asked == [("owner/name", "abc", manifest.CONFIG_FILES)] and not any("safetensors" in f for f in asked[0][2])


def test_a_face_alone_sees_what_stays_only_where_it_knows_somebody(tmp_path):
    from mace_gov.preflight.checks import check_policy

    faces = tmp_path / "faces"
    (faces / "anna lund").mkdir(parents=True)
    (faces / "anna lund" / "1.png").write_bytes(b"")
    (tmp_path / "x.onnx").write_bytes(b"")
    face = {**FACE, "model": str(tmp_path / "x.onnx"), "references": str(faces)}
    given = {"kind": "celebrity", "rules": [PRESENCE, NEAR], "neighbours": ["Teo Lindqvist"],
             "concepts": [{"id": "anna", "target": "Anna Lund", "anchor": "a person"}]}

    def check(*detectors):
        check_policy(load_policy(written(tmp_path / "p.yaml", detectors=list(detectors), **given)))

    with pytest.raises(PolicyError, match="THING-002: found no pictures of any neighbour in .*faces, expected"):
        check(face)
    check(face, {**CLIP, "only": "kept"})
    (faces / "teo lindqvist").mkdir()
    (faces / "teo lindqvist" / "1.png").write_bytes(b"")
    check(face)
