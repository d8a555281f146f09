"""As many at once as fit: halved when memory runs out, and no result depends on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mace_gov.core.errors import IncompleteError
from mace_gov.core.resources import using
from mace_gov.diffusion import batching, generate
from mace_gov.diffusion.batching import BatchSize, batch_size_of, ran_out, room
from mace_gov.diffusion.load import load_pipeline
from mace_gov.documents.plan import GenerationSettings

CPU = torch.device("cpu")
PROMPTS, SEEDS = ["a ship", "a dog", "a ship", "a cat", ""], [5, 6, 7, 8, 9]
SAID = {
    "cuda": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "its library": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "metal": RuntimeError("MPS backend out of memory (MPS allocated: 4.00 GB)"),
    "torch on the cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "python": MemoryError(),
}


def narrow(most: int, error: type[BaseException] | BaseException = MemoryError):
    """Work that fits only ``most`` at a time; the sizes that it was tried with."""
    tried: list[int] = []

    def work(part: slice) -> list[int]:
        tried.append(part.stop - part.start)
        if tried[-1] > most:
            raise error
        return list(range(part.start, part.stop))

    return work, tried


@pytest.mark.parametrize("error", SAID.values(), ids=SAID)
def test_a_pass_that_does_not_fit_is_done_in_halves_and_the_rest_as_small(error):
    assert ran_out(error)
    work, tried = narrow(2, error)
    fit = BatchSize(CPU, 8)
    made = [(part, made) for part, made in fit.each(7, work)]
    assert [each for _, part in made for each in part] == list(range(7))
    assert all(part.stop - part.start == len(each) for part, each in made)
    assert tried == [7, 3, *[1] * 7] and fit.size == 1


def test_other_errors_are_not_taken_for_it():
    with pytest.raises(RuntimeError, match="shapes"):
        list(BatchSize(CPU, 4).each(4, narrow(0, RuntimeError("shapes do not match"))[0]))


def test_one_that_does_not_fit_alone_is_an_error_that_says_what_to_do():
    work, tried = narrow(0)
    with pytest.raises(IncompleteError, match="memory of cpu ran out with one"):
        list(BatchSize(CPU, 4).each(4, work))
    assert tried == [4, 2, 1]


def test_the_last_resort_is_tried_once_before_that():
    asked: list[int] = []
    work, tried = narrow(0)

    def resort() -> bool:
        asked.append(1)
        return len(asked) == 1

    with pytest.raises(IncompleteError):
        list(BatchSize(CPU, 2, resort=resort).each(2, work))
    assert tried == [2, 1, 1] and len(asked) == 2


def test_room_is_a_power_of_two_within_the_free_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (10 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 2**30)
    cuda = torch.device("cuda")
    assert room(cuda, 2**30) == 8  # 0.8 x 12 = 9.6
    assert room(cuda, 2**40) == 1 and room(cuda, 1) == batching.MOST


@pytest.fixture
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


def pictures(pipe) -> np.ndarray:
    settings = GenerationSettings(steps=3, guidance=4.0, size=16, batch=4)
    return np.stack([np.asarray(p).astype(int) for p in generate.draw(pipe, PROMPTS, SEEDS, settings)])


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_users_batch_is_taken_and_gives_the_same_pictures(pipe, tiny_model, batch, monkeypatch):
    sizes: list[int] = []
    sampled = generate.sample
    monkeypatch.setattr(generate, "sample", lambda p, text, *rest: sizes.append(len(text)) or sampled(p, text, *rest))
    with using(batch=batch):
        given = pictures(pipe)
    assert sizes[0] == batch
    assert np.abs(given - pictures(load_pipeline(tiny_model, device="cpu"))).max() <= 1


def test_drawing_goes_on_in_halves_and_remembers(pipe, monkeypatch):
    whole, sizes = pictures(pipe), []
    sampled = generate.sample

    def short(p, text, *rest):
        sizes.append(len(text))
        if len(text) > 2:
            raise SAID["cuda"]
        return sampled(p, text, *rest)

    monkeypatch.setattr(generate, "sample", short)
    assert np.abs(pictures(pipe) - whole).max() <= 1
    pictures(pipe)
    assert sizes == [4, 2, 2, 1, 2, 2, 1]


def test_a_decoder_that_does_not_fit_goes_one_by_one_then_in_tiles(pipe, monkeypatch):
    decoded, most = pipe.vae.decode, 1
    sizes: list[int] = []

    def short(latents, **options):
        sizes.append(len(latents))
        if len(latents) > most or (most == 0 and not pipe.vae.use_tiling):
            raise SAID["cuda"]
        return decoded(latents, **options)

    whole = pictures(pipe)
    monkeypatch.setattr(pipe.vae, "decode", short)
    assert np.abs(pictures(pipe) - whole).max() <= 1 and set(sizes) >= {4, 2, 1}
    assert not pipe.vae.use_tiling
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def tiled_only(latents, **options):
        if not pipe.vae.use_tiling:
            raise SAID["cuda"]
        return decoded(latents, **options)

    (smooth,) = generate.decode(pipe, latents)
    monkeypatch.setattr(pipe.vae, "decode", tiled_only)
    (seamed,) = generate.decode(pipe, latents)
    assert pipe.vae.use_tiling and pipe.vae.tile_latent_min_size == 4
    assert seamed.size == smooth.size
    assert np.abs(np.asarray(seamed).astype(int) - np.asarray(smooth).astype(int)).mean() < 30


def test_a_fit_is_found_once_for_a_pipeline(pipe, tiny_model):
    fit = batch_size_of(pipe, "draw", 4)
    fit.size = 1
    assert batch_size_of(pipe, "draw", 4).size == 1
    assert batch_size_of(load_pipeline(tiny_model, device="cpu"), "draw", 4).size == 4
