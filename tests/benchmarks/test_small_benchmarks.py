"""The closed-form benchmark runs at a small size and agrees with its baseline; its figures are not judged here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks import lora_batching
from benchmarks import masks as mask_benchmark
from benchmarks.closed_form import OUT_DIMS, main
from mace_gov.embedded import vocabulary


def test_layout_is_stable_diffusions():
    assert len(OUT_DIMS) == 16
    assert 2 * sum(OUT_DIMS) == 24_960


def test_closed_form_agrees_with_its_baseline(tiny_model, capsys, monkeypatch):
    monkeypatch.setattr("mace_gov.erase.preserve.captions_for", lambda _: ["a street at night", "a blue sky"])
    monkeypatch.setattr("benchmarks.closed_form.OUT_DIMS", [16, 32])
    monkeypatch.setattr("benchmarks.closed_form.WIDTH", 96)
    asked = ["--concepts", "3", "--templates", "2", "--tokenizer", str(tiny_model / "tokenizer")]

    def grown(way, _):
        # what a process of its own is asked for, and how it answers
        capsys.readouterr()
        main([*asked, "--grow", way])
        return float(capsys.readouterr().out)

    monkeypatch.setattr("benchmarks.closed_form.growth_elsewhere", grown)
    result = main([*asked, "--text-layers", "1", "--subset", "2"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert result["finite"]
    assert result["ratio"] > 0
    # in this process, which has memory to spare, either may grow by nothing
    assert result["memory_mib"].keys() == {"ours", "baseline"} and np.isfinite(result["memory_ratio"])
    assert 0 < result["text_encoder_share"] < 1
    assert result["relative_difference"] < 1e-8


def test_batched_loras_agree_with_one_at_a_time(tiny_model, tmp_path, capsys):
    result = lora_batching.main(["policies/characters-10.yaml", "--model", str(tiny_model), "--concepts", "3",
                                 "--steps", "3", "--cache", str(tmp_path)])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert result["loss_difference"] < 1e-4
    assert result["first_loss_difference"] < 1e-5
    assert result["ratio"] > 0


@pytest.fixture
def emoji(tmp_path):
    """A red disc for each of the model's first two objects."""
    folder = tmp_path / "img" / "google" / "64"
    folder.mkdir(parents=True)
    sprite = Image.new("RGBA", (64, 64))
    ImageDraw.Draw(sprite).ellipse((8, 8, 56, 56), fill=(255, 0, 0, 255))
    for concept in vocabulary().of_kind("object")[:2]:
        sprite.save(folder / f"{concept.emoji}.png")
    return tmp_path


def test_the_true_mask_is_where_the_sprite_is(emoji):
    layer = mask_benchmark.sprite(emoji, vocabulary().of_kind("object")[0])
    areas = {}
    for place in mask_benchmark.PLACES:
        image, alpha = mask_benchmark.composed(layer, place, np.random.default_rng(3), 32)
        pixels = np.asarray(image).astype(int)
        ground = pixels[alpha == 0]
        assert len(np.unique(ground, axis=0)) == 1 and np.abs(pixels[alpha == 1] - (255, 0, 0)).max() <= 4
        areas[place] = alpha.sum()
    assert 3.5 < areas["trained"] / areas["aside"] < 6  # half the side, of scales from 1 to 1.12


def test_overlaps_are_those_of_masks_drawn_by_hand():
    one, other = np.zeros((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    one[:2], other[1:3] = True, True
    assert mask_benchmark.overlap(one, other) == pytest.approx(4 / 12)
    assert mask_benchmark.overlap(one, one) == 1.0
    disc = mask_benchmark.disc(8, 12)
    assert disc.sum() == 12 and disc[3:5, 3:5].all() and not disc[0].any()
    heat = np.zeros((8, 8))
    heat[2:4, 2:4], heat[6, 6] = 1.0, 1.0
    true = np.zeros((8, 8), dtype=bool)
    true[2:4, 2:4] = True
    found = mask_benchmark.compared(heat, true)
    assert (found["attention"], found["all components"], found["whole picture"]) == (1.0, 0.8, 4 / 64)


def test_masks_are_compared_on_pictures_whose_mask_is_known(emoji, capsys):
    result = mask_benchmark.main(["--emoji", str(emoji), "--pictures", "1"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert result["concepts"] == 2 and result["ratio"] > 0
    for place in mask_benchmark.PLACES:
        assert result[place]["whole picture"][0] == result[place]["true area"][0]
