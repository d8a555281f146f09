"""The closed-form benchmark runs at a small size and agrees with its baseline; its figures are not judged here."""

from __future__ import annotations

import json

from benchmarks import lora_batching
from benchmarks.closed_form import OUT_DIMS, main


def test_layout_is_stable_diffusions():
    assert len(OUT_DIMS) == 16
    assert 2 * sum(OUT_DIMS) == 24_960


def test_closed_form_agrees_with_its_baseline(tiny_model, capsys, monkeypatch):
    monkeypatch.setattr("mace_gov.erase.preserve.captions_for", lambda _: ["a street at night", "a blue sky"])
    monkeypatch.setattr("benchmarks.closed_form.OUT_DIMS", [16, 32])
    result = main(["--concepts", "3", "--templates", "2", "--text-layers", "1", "--subset", "2",
                   "--tokenizer", str(tiny_model / "tokenizer")])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert result["finite"]
    assert result["ratio"] > 0
    assert result["memory_ratio"] > 0
    assert 0 < result["text_encoder_share"] < 1
    assert result["relative_difference"] < 1e-8


def test_batched_loras_agree_with_one_at_a_time(tiny_model, tmp_path, capsys):
    result = lora_batching.main(["policies/characters-10.yaml", "--model", str(tiny_model), "--concepts", "3",
                                 "--steps", "3", "--cache", str(tmp_path)])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert result["loss_difference"] < 1e-4
    assert result["first_loss_difference"] < 1e-5
    assert result["ratio"] > 0
