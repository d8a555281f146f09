"""The benchmark of searches on hardened models: every model is searched as often, and a second run only reads."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from benchmarks import hardening
from mace_gov.audit.attacks.finetune import FineTune
from mace_gov.documents.plan import GenerationSettings, GuardSettings
from tests.benchmarks.test_ablation import Blind, fast

POLICIES = Path(__file__).parents[2] / "policies"


def test_a_stopped_run_goes_on_and_asks_every_model_as_often(tiny_model, tmp_path, monkeypatch, capsys):
    make, read, searched = hardening.make_plan, hardening.read_manifest, []

    def small(policy, base):
        plan = fast(make(policy, base), GenerationSettings(steps=2, guidance=1.0, size=16, batch=8))
        return plan.model_copy(update={"templates": plan.templates[:2]})

    def counting(*args, **more):
        searched.append(len(args[1]))
        return learn(*args, **more)

    learn = hardening.learn_words
    monkeypatch.setattr(hardening, "read_manifest", lambda _ref: read(str(tiny_model)))
    monkeypatch.setattr(hardening, "make_plan", small)
    monkeypatch.setattr(hardening, "fit", lambda _policy, plan, **_: plan)
    monkeypatch.setattr(hardening, "JudgeDetector", Blind)
    monkeypatch.setattr(hardening, "learn_words", counting)
    monkeypatch.setattr(hardening, "HARDEN", hardening.HARDEN.model_copy(update={"searches": 1, "steps": 2}))
    monkeypatch.setattr(hardening, "guard_settings", lambda _count: GuardSettings(
        steps=3, rounds=0, search_steps=1, pictures=16, learning_rate=1e-5))
    monkeypatch.setattr(FineTune, "budget", 1)
    words = [concept for concept in hardening.vocabulary().concepts if concept.kind == "object"][:20]
    monkeypatch.setattr(hardening, "vocabulary", lambda: SimpleNamespace(concepts=words))
    monkeypatch.setattr(hardening, "REFERENCES", 2)
    monkeypatch.setattr(hardening, "PICTURES", 2)
    out = tmp_path / "lines.jsonl"
    arguments = [str(POLICIES / "objects-ten.yaml"), "--concepts", "2", "--searches", "2", "--steps", "2",
                 "--rounds", "1", "--attacks", "fine-tune", "--models", *hardening.MODELS,
                 "--cache", str(tmp_path / "cache"), "--out", str(out)]
    rows = hardening.main(arguments)
    assert [(row["model"], row["searches"][1][1]) for row in rows] == [(name, 4) for name in hardening.MODELS]
    assert [row["searches"]["fine-tune"][1] for row in rows] == [4] * 4
    assert searched == [2] * 8
    lines = out.read_text().splitlines()
    # erasures, the others and the preimage of each model, searches and attacks of each
    assert len(lines) == 3 + 2 * 4 + 8 + 8
    last = {json.loads(line)["what"]: n for n, line in enumerate(lines)}
    gone = {last["search"], last["fine-tune"]}
    out.write_text("".join(f"{line}\n" for n, line in enumerate(lines) if n not in gone))
    assert hardening.main(arguments)[3]["searches"] == rows[3]["searches"] and len(searched) == 9
    assert len(out.read_text().splitlines()) == len(lines)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["benchmark"] == "hardening"
