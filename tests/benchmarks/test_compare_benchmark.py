"""The benchmarks that compare methods and time stages: what they run, keep and draw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from benchmarks import apply_stages, compare
from benchmarks.compare import GRIDS
from benchmarks.compare_results import rates_of
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import embedded_lexicon
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.tuning_probes import tuning_policy
from mace_gov.documents.method_info import METHODS
from mace_gov.documents.plan import GenerationSettings
from mace_gov.documents.terms import Suite
from mace_gov.embedded import vocabulary
from mace_gov.plan import build as plan_build
from mace_gov.policy.load import load_policy
from tests.benchmarks.test_ablation import Blind, fast

POLICIES = Path(__file__).parents[2] / "policies"


def test_every_method_is_tried_as_often_and_a_second_run_only_reads(tiny_model, tmp_path, monkeypatch, capsys):
    build, make, erased = compare.build_probes, compare.make_plan, []

    def small(policy, base, **more):
        plan = fast(make(policy, base, **more), GenerationSettings(steps=2, guidance=1.0, size=16, batch=8))
        if plan.esd:
            plan = plan.model_copy(update={"esd": plan.esd.model_copy(update={"steps": 2})})
        erased.append((plan.method, len(plan.targets)))
        return plan.model_copy(update={"templates": plan.templates[:2]})

    monkeypatch.setattr(compare, "build_probes", lambda asking: build(asking)[::40])
    monkeypatch.setattr(compare, "JudgeDetector", lambda **_: Blind())
    monkeypatch.setattr(compare, "make_plan", small)
    out = tmp_path / "cells.jsonl"
    arguments = [str(POLICIES / "objects-ten.yaml"), "--model", str(tiny_model), "--counts", "1", "--attempts", "2",
                 "--methods", "mace,uce,uce-paper,cure", "--method", "uce", "--tuning", "4", "--out", str(out),
                 "--plot", str(tmp_path / "h.svg")]
    result = compare.main(arguments)
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[-1]) == result
    methods = ("uce", "uce-paper", "cure")
    assert [row.split(" | ")[:2] for row in printed if row.startswith("| 1 ")] == [
        ["| 1", method] for method in ("base", "mace", *methods)]
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["settings"] for line in lines if line["method"] == "mace"] == [{}]  # it fits itself
    for method in methods:
        tried = [line for line in lines if line["method"] == method]
        assert [line.get("attempt") for line in tried] == [0, 1, None]
        assert tried[0]["settings"] == {} and tried[2]["settings"] in (tried[0]["settings"], tried[1]["settings"])
    assert (tmp_path / "h.svg").stat().st_size > 1000
    ran = len(erased)
    out.write_text("".join(f"{json.dumps(line)}\n" for line in lines[:-1]))  # stopped before the last cell
    compare.main(arguments)
    assert [json.loads(line).keys() for line in out.read_text().splitlines()] == [line.keys() for line in lines]
    assert {method for method, _ in erased[ran:]} == {"cure"}


def test_every_method_that_does_not_fit_itself_has_as_many_settings_to_try_and_all_are_valid():
    policy = load_policy(POLICIES / "objects-ten.yaml").policy
    assert {GRIDS[name][0]["name"] for name in GRIDS} == set(METHODS)
    for method, (_, grid) in GRIDS.items():
        assert len(grid) == (0 if method in ("mace", "mace-hardened", "neurons") else 4)
        for settings in ({}, *grid):
            assert compare.with_settings(policy, method, settings).spec.method.name == GRIDS[method][0]["name"]


def test_what_is_tuned_on_is_not_what_is_asked_in_the_end():
    policy, lexicon = load_policy(POLICIES / "characters-1.yaml").policy, embedded_lexicon(vocabulary())
    tuned, asked = (build_probes(Asking(each, lexicon)) for each in (tuning_policy(policy), policy))
    assert tuned and not {p.prompt for p in tuned} & {p.prompt for p in asked}
    assert not {p.seed for p in tuned} & {p.seed for p in asked}


def test_h_is_of_what_is_held_out_and_not_of_what_was_preserved():
    def probe(suite, n):
        return Probe("c", f"{n}", suite, f"{suite} {n}", n, ("x",))

    probes = [probe(suite, n) for suite in (Suite.DIRECT, Suite.NEAR, Suite.UNRELATED, Suite.PRESERVED)
              for n in range(10)]
    rates = rates_of(probes, [False] * 10 + [True] * 5 + [False] * 5 + [True] * 10 + [True] * 10)
    assert rates["held_out"]["value"] == 0.75 and rates["preserved"]["value"] == 1
    assert rates["H"]["value"] == pytest.approx(2 / (1 + 1 / 0.75)) and "synonyms" not in rates


def test_stages_add_up_to_the_whole(tiny_model, tmp_path, capsys, monkeypatch):
    settings = plan_build.generation_settings
    monkeypatch.setattr(plan_build, "generation_settings",
                        lambda *asked: settings(*asked).model_copy(update={"steps": 3}))
    monkeypatch.setattr("mace_gov.audit.prepare.HARMLESS", 4)
    value = {
        "apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
        "metadata": {"name": "things", "version": "1.0.0", "owner": "me", "reviewBy": "2099-01-01"},
        "spec": {
            "model": {"ref": str(tiny_model)},
            "method": {"refine": {"templates": ["a photo of {}"]}, "lora": {"steps": 2, "images": 1}},
            "audit": {"prompts": 2, "unrelated": 2},
            "categories": [{
                "id": "things", "kind": "object", "severity": "low", "detectors": ["always-present"],
                "rules": [{"id": "THING-001", "suite": "direct", "metric": "presence", "atMost": 0.5}],
                "concepts": [{"id": "ship", "target": "ship", "anchor": "sky"}],
            }],
        },
    }
    policy = tmp_path / "things.yaml"
    policy.write_text(yaml.safe_dump(value))
    result = apply_stages.main([str(policy), "--plot", str(tmp_path / "stages.svg")])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    run, = result["runs"]
    assert {"text", "fit", "erase: refine", "erase: lora", "audit: draw", "other"} <= run["stages"].keys()
    assert abs(sum(run["stages"].values()) - run["seconds"]) < 0.1
    assert (tmp_path / "stages.svg").stat().st_size > 1000
