"""The shipped folder loads as any Stable Diffusion folder does, and the judge is what its figures say."""

import json
import math
import zipfile

import numpy as np
import pytest
from PIL import Image

from mace_gov.embedded import HERE, MODEL_DIR, vocabulary


@pytest.fixture(scope="module")
def pipe():
    import torch
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(MODEL_DIR, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_the_package_is_at_most_60_megabytes(tmp_path):
    """As pip fetches it, in a wheel; the model and its judge as they lie on disk leave a megabyte for the code."""
    files = [file for file in HERE.parent.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert sum(file.stat().st_size for file in files if file.is_relative_to(HERE)) <= 59e6
    with zipfile.ZipFile(tmp_path / "wheel", "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in files:
            wheel.write(file)
    assert (tmp_path / "wheel").stat().st_size <= 60e6


def test_the_folder_has_what_older_tools_read():
    assert {"vocab.json", "merges.txt", "tokenizer.json"} <= {f.name for f in (MODEL_DIR / "tokenizer").iterdir()}
    assert json.loads((MODEL_DIR / "model_index.json").read_text())["safety_checker"] == [None, None]


def test_shared_names_are_whole_tokens(pipe):
    for concept in vocabulary().of_kind("celebrity"):
        assert len(pipe.tokenizer(concept.name).input_ids) == 4, concept.name


def test_it_draws_what_it_is_asked_for_and_the_judge_sees_it(pipe):
    import torch

    from mace_gov.embedded.judge import Judge

    settings, asked = vocabulary().sampler, ["cat", "ship", "frog", "truck", "airplane", "horse"]
    pictures = pipe(
        [f"a picture of a {c}" for c in asked],
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        height=settings.size,
        width=settings.size,
        generator=torch.Generator().manual_seed(0),
    ).images
    assert sum(a == b for a, b in zip(asked, Judge.load().labels(pictures), strict=True)) >= 5


def test_the_judge_knows_every_concept_and_style():
    from mace_gov.embedded.judge import Judge

    judge = Judge.load()
    assert judge.classes == (*(c.id for c in vocabulary().concepts), "nothing")
    assert judge.styles == tuple(s["name"] for s in vocabulary().styles)
    assert judge.facts["overall"]["rate"] >= 0.98 and judge.facts["style_overall"]["rate"] >= 0.98


def test_the_judge_calls_noise_and_blank_pictures_nothing():
    from mace_gov.embedded.judge import Judge

    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(8)]
    blank = [Image.new("RGB", (32, 32), colour) for colour in ("white", "black", "red", "green", "blue", "grey")]
    assert set(Judge.load().labels(noise + blank)) == {"nothing"}


def test_probabilities_sum_to_one_and_an_empty_list_is_no_error():
    from mace_gov.embedded.judge import Judge

    judge = Judge.load()
    seen = judge.predict([Image.new("RGB", (64, 64), "red")])
    assert math.isclose(seen.concept_probs.sum(), 1, rel_tol=1e-4) and seen.style_probs.shape == (1, len(judge.styles))
    assert judge.predict([]).concept_probs.shape == (0, len(judge.classes))
