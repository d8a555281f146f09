"""The ablation's own arithmetic, and one pass over all its variants with a judge that cannot see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation
from mace_gov.documents.plan import GenerationSettings
from mace_gov.documents.policy import Suite
from mace_gov.policy.load import load_policy

POLICY = Path(__file__).parents[2] / "policies" / "objects-ten.yaml"


def test_h_is_the_harmonic_mean_and_its_interval_holds_it():
    point, low, high = ablation.harmonic_with_interval({"Acc_e": (2, 100), "Acc_s": (90, 100), "Acc_g": (5, 50)})
    assert point == pytest.approx(3 / (1 / 0.98 + 1 / 0.9 + 1 / 0.9))
    assert 0.8 < low < point < high < 1
    without_synonyms, _, _ = ablation.harmonic_with_interval({"Acc_e": (2, 100), "Acc_s": (90, 100)})
    assert without_synonyms == pytest.approx(2 / (1 / 0.98 + 1 / 0.9))


def test_zero_hits_do_not_claim_certainty():
    few = ablation.harmonic_with_interval({"Acc_e": (0, 10), "Acc_s": (10, 10)})
    many = ablation.harmonic_with_interval({"Acc_e": (0, 1000), "Acc_s": (1000, 1000)})
    assert few[0] == many[0] == 1
    assert few[1] < 0.95 < many[1]


def test_the_first_concepts_alone_are_targets():
    policy = load_policy(POLICY).policy
    assert [c.id for _, c in ablation.first_concepts(policy, 3).concepts()] == ["airplane", "automobile", "bird"]
    assert ablation.first_concepts(policy, None) == policy


class Blind:
    """Sees the wanted thing in every other picture."""

    name, threshold = "blind", 0.5

    def looks_for(self, query) -> bool:
        return True

    def score(self, images, queries):
        assert len(images) == len(queries)
        return list(np.arange(len(images)) % 2.0)


def test_all_variants_run_and_leave_the_base_as_it_was(tiny_model, tmp_path, monkeypatch, capsys):
    build = ablation.build_probes

    def some(asking):
        probes = build(asking)
        return [p for suite in Suite for p in [q for q in probes if q.suite is suite][:2]]

    drawn = []
    sampler = GenerationSettings(steps=2, guidance=1.0, size=16, batch=8)
    draw = ablation.draw

    def remembering(*args):
        drawn.append([np.asarray(picture) for picture in draw(*args)])
        return drawn[-1]

    make = ablation.make_plan
    monkeypatch.setattr(ablation, "build_probes", some)
    monkeypatch.setattr(ablation, "draw", remembering)
    monkeypatch.setattr(ablation, "JudgeDetector", lambda **_: Blind())
    monkeypatch.setattr(ablation, "make_plan", lambda *a, **k: fast(make(*a, **k), sampler))
    result = ablation.main([str(POLICY), "--model", str(tiny_model), "--concepts", "2", "--cache", str(tmp_path)])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert list(result["table"]) == ["base model", "refinement alone", "naive summing", "no CFIS", "MACE"]
    assert result["table"]["MACE"]["Acc_e"]["n"] == 2
    assert len({np.stack(pictures).tobytes() for pictures in drawn}) == 5  # every variant is another model
    assert len(list((tmp_path / "loras").iterdir())) == 4  # two concepts, with and without CFIS


def fast(plan, sampler):
    """The plan with few steps and large ones, so that even a random model changes visibly."""
    targets = [t.model_copy(update={"lora": t.lora.model_copy(update={"steps": 3, "images": 1, "learning_rate": 0.1})})
               for t in plan.targets]
    return plan.model_copy(update={"targets": targets, "generation": sampler, "templates": plan.templates[:2]})
