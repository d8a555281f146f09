"""Tuning: the search climbs, asks nothing that the audit asks, reuses what it can and writes a block that loads."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
import yaml

from mace_gov.audit.probes import tuning as module
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.templates import FRAMES, SETTINGS, captions, plain
from mace_gov.audit.probes.tuning import TUNING_FRAMES, tuning_lexicon, tuning_policy
from mace_gov.cli import main
from mace_gov.core.errors import UsageError
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.method import Method
from mace_gov.documents.policy import Kind, Policy, Suite
from mace_gov.embedded import VOCABULARY
from mace_gov.plan.build import make_plan
from mace_gov.plan.templates import templates_for
from mace_gov.policy.load import load_policy
from mace_gov.workflow.tuning import climb, knobs, moved, tune, with_settings


def made(tiny_model, **method) -> dict:
    rules = [{"id": "THING-001", "suite": "direct", "metric": "presence", "atMost": 0.5}]
    category = {"id": "things", "kind": "object", "severity": "low", "detectors": ["always-present"], "rules": rules,
                "concepts": [{"id": "ship", "target": "ship", "anchor": "sky", "synonyms": ["boat"]}]}
    return {"apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
            "metadata": {"name": "things", "version": "1.0.0", "owner": "me", "reviewBy": "2099-01-01"},
            "spec": {"model": {"ref": str(tiny_model)}, "categories": [category], "method": {
                "refine": {"templates": ["a photo of {}"]}, "lora": {"steps": 2, "images": 1}, **method}}}


@pytest.fixture
def policy_file(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ERASED", 12)  # of a model that draws noise, few pictures say as much as many
    monkeypatch.setattr(module, "KEPT", 8)
    (tmp_path / "things.yaml").write_text(yaml.safe_dump(made(tiny_model)))
    return tmp_path / "things.yaml"


def test_tuning_asks_nothing_that_the_audit_asks_or_that_anything_was_trained_on():
    audits = {plain(t) for t in captions(len(FRAMES) * (len(SETTINGS) + 1))}
    trained = {plain(t) for kind in Kind for t in templates_for(kind)}
    trained |= {plain(t) for t in json.loads(VOCABULARY.read_text())["templates"]}
    own = {plain(t) for t in captions(len(TUNING_FRAMES) * (len(SETTINGS) + 1), given=TUNING_FRAMES)}
    assert len(own) == len(TUNING_FRAMES) * (len(SETTINGS) + 1)
    assert not own & (audits | trained)


@pytest.mark.parametrize("name", ["characters-10", "nsfw", "objects-ten"])
def test_no_prompt_and_no_seed_is_shared_with_the_audit(name):
    policy, base = load_policy(Path(f"policies/{name}.yaml")).policy, read_manifest("embedded")
    audit = build_probes(Asking(policy, lexicon_for(base)))
    tuning = build_probes(Asking(tuning_policy(policy), tuning_lexicon(policy, base)))
    assert {probe.suite for probe in tuning} == {Suite.DIRECT, Suite.UNRELATED}
    assert {probe.concept for probe in tuning if probe.suite is Suite.DIRECT} == {
        probe.concept for probe in audit if probe.suite is Suite.DIRECT}
    assert not {probe.prompt for probe in audit} & {probe.prompt for probe in tuning}
    assert not {probe.seed for probe in audit} & {probe.seed for probe in tuning}
    banned = {phrase for _, concept in policy.concepts() for phrase in concept.phrases}
    assert not banned & {probe.concept for probe in tuning if probe.suite is Suite.UNRELATED}


def test_styles_are_refused(tiny_model):
    value = made(tiny_model)
    value["spec"]["categories"][0]["kind"] = "style"
    with pytest.raises(UsageError, match=r"categories of styles \(things\)"):
        tuning_policy(Policy.model_validate(value))


def test_the_search_finds_the_top_of_a_hill_and_asks_nothing_twice():
    heights = {}

    def hill(settings):
        place = tuple(settings.values())
        assert place not in heights
        heights[place] = -abs(math.log(settings["refine.ridge"] / 37)) - abs(math.log(settings["lora.steps"] / 120))
        return heights[place]

    climb({"refine.ridge": 1.0, "lora.steps": 30.0}, hill)
    ridge, steps = max(heights, key=heights.get)
    assert 30 < ridge < 45 and 100 < steps < 145
    assert next(iter(heights)) == (1.0, 30.0) and len(heights) < 40


def test_settings_go_where_the_policy_has_them():
    method = Method.from_json({"refine": {"relativeRidge": 0.1}, "preserve": {"concepts": ["cat"]}})
    changed = with_settings(method, {"refine.ridge": 3.0, "preserve.conceptScale": 0.2, "lora.steps": 40.0})
    assert changed.to_json() == {**method.to_json(), "refine": {"ridge": 3.0}, "lora": {"steps": 40},
                                 "preserve": {"concepts": ["cat"], "conceptScale": 0.2}}
    assert moved("lora.steps", 1.0, 0.25) == 1 and moved("preserve.leak", 0.5, 4) == 0.9
    assert moved("preserve.scale", 1e-4, 4) == 4e-4


@pytest.mark.parametrize(("method", "expected"), [
    ({}, {"refine.relativeRidge", "fuse.relativeRidge", "preserve.weight", "lora.steps"}),
    ({"name": "uce"}, {"refine.relativeRidge", "preserve.weight"}),
    ({"name": "nullspace"}, {"refine.relativeRidge", "preserve.weight", "preserve.leak"}),
    ({"name": "esd"}, {"esd.steps", "esd.guidance"}),
    ({"preserve": {"prior": "none", "concepts": ["dog"]}, "lora": {"steps": 0}},
     {"refine.relativeRidge", "fuse.relativeRidge", "preserve.conceptWeight"}),
])
def test_each_method_has_its_own_settings(tiny_model, method, expected):
    policy = Policy.model_validate(made(tiny_model, **method))
    assert set(knobs(make_plan(policy, read_manifest(str(tiny_model))))) == expected


def test_end_to_end_within_a_budget(policy_file, tmp_path, monkeypatch, capsys):
    out, before = tmp_path / "best.yaml", policy_file.read_bytes()
    arguments = ["tune", str(policy_file), "--budget", "0.1", "--registry", str(tmp_path / "registry"),
                 "--out", str(out), "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", ["mace-gov", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    told = capsys.readouterr()
    tuning = json.loads(told.out)["tuning"]
    assert "attempt 1: refine.relativeRidge" in told.err and policy_file.read_bytes() == before
    first = tuning["attempts"][0]
    assert tuning["best"] == 0 and first["trained"] == 1  # always-present: nothing is ever better
    assert first["rates"]["accE"]["n"] == 12 and first["rates"]["h"]["low"] <= first["rates"]["h"]["high"]
    assert "accG" not in first["rates"]
    block = yaml.safe_load(out.read_text())
    value = yaml.safe_load(before)
    value["spec"]["method"] = block["method"]
    assert Policy.model_validate(value).spec.method.refine.relative_ridge == first["settings"]["refine.relativeRidge"]
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "exists already" in capsys.readouterr().out


def test_the_first_attempt_is_made_whatever_the_budget_and_a_second_run_trains_nothing(policy_file, tmp_path):
    one, other = (tune(policy_file, minutes=0, registry=tmp_path / "registry", device="cpu") for _ in range(2))
    assert len(one.attempts) == len(other.attempts) == 1 and not one.exhausted
    assert (one.attempts[0].trained, other.attempts[0].trained) == (1, 0)
    assert one.attempts[0].rates == other.attempts[0].rates
