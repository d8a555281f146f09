"""Drawing: a picture is its prompt and seed, whatever the batch, and equals what the pipeline itself draws."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from mace_gov.core.errors import ModelError, UsageError
from mace_gov.diffusion import generate, precision
from mace_gov.diffusion.generate import draw, initial_noise
from mace_gov.diffusion.load import load_pipeline
from mace_gov.documents.plan import GenerationSettings

PROMPTS = ["a ship", "a dog", "a ship", "a photo of mira okafor", ""]
SEEDS = [5, 6, 7, 8, 5]


@pytest.fixture(scope="module")
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


def settings(**changes) -> GenerationSettings:
    return GenerationSettings(**{"steps": 3, "guidance": 4.0, "size": 16, "batch": 4, **changes})


def pictures(pipe, prompts=PROMPTS, seeds=SEEDS, **changes) -> np.ndarray:
    return np.stack([np.asarray(p).astype(int) for p in draw(pipe, prompts, seeds, settings(**changes))])


def test_a_picture_does_not_depend_on_its_batch(pipe):
    together = pictures(pipe)
    assert together.shape == (5, 16, 16, 3)
    for batch in (1, 2):
        assert np.abs(pictures(pipe, batch=batch) - together).max() <= 1  # rounding to a level
    assert np.array_equal(pictures(pipe), together)
    assert (together[0] != together[2]).any()  # the same prompt, another seed
    assert (together[0] != together[1]).any()


@pytest.fixture
def exactly(monkeypatch):
    """Float32 throughout, as the libraries' own calls compute."""
    monkeypatch.setattr(generate, "half_precision", lambda _device: nullcontext())


def test_half_precision_is_for_processors_that_have_it_and_moves_pictures_little(pipe, monkeypatch):
    cpu = torch.device("cpu")
    for has, used in (({"avx512_bf16": True}, True), ({"avx512_bf16": False, "avx2": True}, False), ({}, False)):
        monkeypatch.setattr(precision, "_processor", lambda has=has: has)
        with precision.half_precision(cpu):
            assert torch.is_autocast_enabled("cpu") is used
    whole = pictures(pipe)
    monkeypatch.setattr(precision, "_processor", lambda: {"avx512_bf16": True})
    half = pictures(pipe)
    assert 0 < np.abs(half - whole).max() <= 6
    assert np.abs(half - whole).mean() < 1


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("guidance", [4.0, 1.0])
def test_it_equals_the_pipelines_own_call(pipe, guidance):
    noise = initial_noise(pipe, [torch.Generator().manual_seed(5)], 16)
    own = pipe("a ship", latents=noise, num_inference_steps=3, guidance_scale=guidance, height=16, width=16)
    theirs = np.asarray(own.images[0]).astype(int)
    assert np.abs(pictures(pipe, ["a ship"], [5], guidance=guidance)[0] - theirs).max() <= 1


def test_text_is_encoded_once_for_each_prompt(pipe, monkeypatch):
    encoded: list[str] = []
    read = generate.TextReader.conditions
    monkeypatch.setattr(generate.TextReader, "conditions", lambda self, p: encoded.extend(p) or read(self, p))
    pictures(pipe, batch=1)
    assert sorted(encoded) == sorted(set(PROMPTS))


def test_the_cache_forgets_rather_than_grows(pipe, monkeypatch):
    expected = pictures(pipe, batch=2)
    monkeypatch.setattr(generate, "CACHED_PROMPTS", 2)
    assert np.abs(pictures(pipe, batch=2) - expected).max() <= 1


def test_prompts_and_seeds_must_match(pipe):
    with pytest.raises(UsageError, match="2 prompts but 1 seeds"):
        list(draw(pipe, ["a", "b"], [1], settings()))


def test_a_broken_unet_is_an_error_and_no_picture(tiny_model):
    pipe = load_pipeline(tiny_model, device="cpu")
    pipe.unet.conv_out.bias.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="latents that are not finite"):
        list(draw(pipe, ["a ship"], [1], settings()))
