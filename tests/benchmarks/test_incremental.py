"""The benchmark of adding a concept: what it reuses, and what it compares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import incremental
from mace_gov.documents.plan import GenerationSettings
from tests.benchmarks.test_ablation import Blind, fast

POLICY = Path(__file__).parents[2] / "policies" / "objects-ten.yaml"


def test_h_is_the_harmonic_mean_and_its_interval_holds_it():
    point, low, high = incremental.harmonic_with_interval({"Acc_e": (2, 100), "Acc_s": (90, 100), "Acc_g": (5, 50)})
    assert point == pytest.approx(3 / (1 / 0.98 + 1 / 0.9 + 1 / 0.9))
    assert 0.8 < low < point < high < 1
    without_synonyms, _, _ = incremental.harmonic_with_interval({"Acc_e": (2, 100), "Acc_s": (90, 100)})
    assert without_synonyms == pytest.approx(2 / (1 / 0.98 + 1 / 0.9))


def test_zero_hits_do_not_claim_certainty():
    few = incremental.harmonic_with_interval({"Acc_e": (0, 10), "Acc_s": (10, 10)})
    many = incremental.harmonic_with_interval({"Acc_e": (0, 1000), "Acc_s": (1000, 1000)})
    assert few[0] == many[0] == 1
    assert few[1] < 0.95 < many[1]


def test_distance_is_a_share_of_the_way_from_the_base():
    base, whole = {"a": torch.zeros(2, 2)}, {"a": torch.full((2, 2), 2.0).double()}
    assert incremental.apart(whole, whole, base) == 0
    assert incremental.apart({"a": torch.ones(2, 2).double()}, whole, base) == pytest.approx(0.5)


def test_adding_reuses_the_others_and_the_whole_reuses_nothing(tiny_model, monkeypatch, capsys):
    sampler = GenerationSettings(steps=2, guidance=1.0, size=16, batch=8)
    build, make, compute = incremental.build_probes, incremental.make_plan, incremental.compute
    reused = []

    def watched(plan, pipe, *, cache):
        erasure = compute(plan, pipe, cache=cache)
        reused.append([lora.reused for lora in erasure.loras])
        return erasure

    monkeypatch.setattr(incremental, "build_probes", lambda asking: build(asking)[::40])
    monkeypatch.setattr(incremental, "JudgeDetector", lambda **_: Blind())
    monkeypatch.setattr(incremental, "make_plan", lambda *a: fast(make(*a), sampler))
    monkeypatch.setattr(incremental, "compute", watched)
    result = incremental.main([str(POLICY), "--model", str(tiny_model), "--concepts", "3"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert reused == [[False, False], [True, True, False], [False, False, False]]
    assert 0 < result["difference"] < 1
    assert set(result["table"]) == {"added to the others", "all made anew"}
