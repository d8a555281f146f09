"""The benchmarks that compare methods and time stages: what they run, keep and draw."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from benchmarks import apply_stages, compare
from mace_gov.documents.plan import GenerationSettings
from tests.erase.test_ablation import Blind, fast

POLICIES = Path(__file__).parents[2] / "policies"


def test_every_method_at_every_count_once_and_a_second_run_only_reads(tiny_model, tmp_path, monkeypatch, capsys):
    build, make, erased = compare.build_probes, compare.make_plan, []

    def small(policy, base):
        plan = fast(make(policy, base), GenerationSettings(steps=2, guidance=1.0, size=16, batch=8))
        if plan.esd:
            plan = plan.model_copy(update={"esd": plan.esd.model_copy(update={"steps": 2})})
        erased.append((plan.method, len(plan.targets)))
        return plan

    monkeypatch.setattr(compare, "build_probes", lambda asking: build(asking)[::40])
    monkeypatch.setattr(compare, "JudgeDetector", lambda **_: Blind())
    monkeypatch.setattr(compare, "make_plan", small)
    arguments = [str(POLICIES / "objects-ten.yaml"), "--model", str(tiny_model), "--counts", "1,2",
                 "--out", str(tmp_path / "cells.jsonl"), "--plot", str(tmp_path / "h.svg")]
    result = compare.main(arguments)
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[-1]) == result
    assert [row.split(" | ")[:2] for row in printed if row.startswith("| 2 ")] == [
        ["| 2", method] for method in ("base", "mace", "uce", "nullspace", "esd")]
    cells = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    assert [(c["method"], c["concepts"]) for c in cells] == [
        (method, count) for method in ("base", "mace", "uce", "nullspace", "esd") for count in (1, 2)]
    assert all(c["seconds"] > 0 and c["delta_bytes"] > 0 for c in cells if c["method"] != "base" and "rates" in c)
    assert (tmp_path / "h.svg").stat().st_size > 1000
    ran = len(erased)
    compare.main(arguments)
    assert len(erased) == ran


def test_stages_add_up_to_the_whole(tiny_model, tmp_path, capsys):
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
    assert {"erase: refine", "erase: lora", "audit: draw", "other"} <= run["stages"].keys()
    assert abs(sum(run["stages"].values()) - run["seconds"]) < 0.1
    assert (tmp_path / "stages.svg").stat().st_size > 1000
