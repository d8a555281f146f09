"""The same work on CUDA, on Apple's Metal and on the CPU: results agree up to the arithmetic of the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mace_gov.core.resources import using
from mace_gov.diffusion.attention import record_attention
from mace_gov.diffusion.batching import BatchSize
from mace_gov.diffusion.generate import draw, initial_noise, sample
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.precision import multiplies_in
from mace_gov.diffusion.projections import denoiser, projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import GenerationSettings
from mace_gov.erase.delta import read_delta
from mace_gov.erase.engine import compute, erase
from mace_gov.erase.lora import train
from mace_gov.erase.lora_file import factors
from mace_gov.erase.training_pictures import training_pictures

pytestmark = pytest.mark.device

PROMPTS, SEEDS = ["a ship", "a dog", "a photo of mira okafor", "a cat"], [5, 6, 7, 8]


def settings(**changes) -> GenerationSettings:
    return GenerationSettings(**{"steps": 3, "guidance": 4.0, "size": 16, "batch": 4, **changes})


def pictures(pipe, precision="float32", batch=None, **changes) -> np.ndarray:
    with using(precision=precision, batch=batch):
        return np.stack([np.asarray(p).astype(int) for p in draw(pipe, PROMPTS, SEEDS, settings(**changes))])


def test_it_loads_there_in_float32(pipe, device):
    assert pipe.unet.device.type == pipe.vae.device.type == pipe.text_encoder.device.type == device
    assert {p.dtype for p in pipe.unet.parameters()} == {torch.float32}


def test_a_seed_is_the_same_noise_everywhere(pipe, on_cpu):
    first, second = (initial_noise(p, [torch.Generator().manual_seed(s) for s in SEEDS], 16) for p in (pipe, on_cpu))
    assert torch.equal(first, second)


def test_a_picture_is_the_cpus(pipe, on_cpu):
    assert np.abs(pictures(pipe) - pictures(on_cpu)).max() <= 2


@pytest.mark.parametrize("batch", [1, 2])
def test_a_picture_does_not_depend_on_its_batch(pipe, batch):
    assert np.abs(pictures(pipe, batch=batch) - pictures(pipe, batch=4)).max() <= 2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_moves_pictures_little(pipe, device, precision):
    whole, half = pictures(pipe), pictures(pipe, precision)
    assert 0 < np.abs(half - whole).mean() < 2
    assert multiplies_in(torch.device(device)) is not torch.float16 or device == "cuda"


def test_maps_are_the_cpus(pipe, on_cpu):
    def maps(p):
        reader = TextReader.of(p)
        with using(precision="float32"), record_attention(p.unet) as record:
            sample(p, reader.conditions(PROMPTS), reader.conditions([""]), SEEDS, settings(steps=1))
        return {name: attention.cpu() for name, attention in record.maps.items()}

    there, here = maps(pipe), maps(on_cpu)
    assert there.keys() == here.keys()
    assert all(torch.allclose(there[name], here[name], atol=1e-3) for name in here)


def trained(pipe, plan, precision):
    with using(precision=precision):
        return train(pipe, plan, plan.targets, training_pictures(pipe, plan, plan.targets))


def test_loras_are_the_cpus(pipe, on_cpu, plan_for):
    plan = plan_for()
    for there, here in zip(*(trained(p, plan, "float32") for p in (pipe, on_cpu)), strict=True):
        assert there.losses == pytest.approx(here.losses, rel=1e-2)
        for (b, a), (c, d) in zip(factors(there.weights).values(), factors(here.weights).values(), strict=True):
            assert torch.allclose(b @ a, c @ d, atol=5e-3)


def test_training_in_bfloat16_lowers_the_same_loss(pipe, plan_for):
    plan = plan_for(lora={"steps": 12, "learning_rate": 0.02})
    whole, half = (trained(pipe, plan, precision) for precision in ("float32", "bfloat16"))
    for one, other in zip(whole, half, strict=True):
        assert other.losses == pytest.approx(one.losses, rel=0.05)
        assert other.losses != one.losses


def test_gradient_checkpointing_changes_no_gradient(pipe, plan_for):
    plan = plan_for()
    plain = trained(pipe, plan, "float32")
    pipe.unet.enable_gradient_checkpointing()
    for one, other in zip(plain, trained(pipe, plan, "float32"), strict=True):
        assert other.losses == pytest.approx(one.losses, rel=1e-3)
        before, after = ([b @ a for b, a in factors(made.weights).values()] for made in (one, other))
        assert all(torch.allclose(*each, atol=1e-3) for each in zip(before, after, strict=True))
        assert max(float(change.abs().max()) for change in before) > 4e-3


def test_an_erasure_is_fused_written_and_applied(pipe, device, plan_for, tmp_path):
    plan = plan_for()
    with using(precision="float32"):
        erase(plan, tmp_path / "out", device=device)
        made = compute(plan, pipe)
    pristine = {name: layer.weight.detach().cpu() for name, layer in projections(denoiser(pipe)).items()}
    weights = read_delta(tmp_path / "out/delta/erasure.safetensors").apply(pristine)
    governed = load_pipeline(tmp_path / "out/model", device=device)
    for name, layer in projections(governed.unet).items():
        assert torch.allclose(layer.weight.cpu(), weights[name], atol=1e-6)
    again = made.delta.apply(pristine)
    assert all(torch.allclose(again[name], weights[name], atol=2e-3) for name in weights)
    assert not all(torch.allclose(pristine[name], weights[name], atol=1e-3) for name in weights)


@pytest.fixture
def little_memory():
    """A card with next to no memory left for this process."""
    if not torch.cuda.is_available():
        pytest.skip("no cuda device here")
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**28) / whole)
    yield 2**28
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def test_a_pass_that_does_not_fit_is_done_in_halves(little_memory):
    fit, sizes = BatchSize(torch.device("cuda"), 16), []

    def work(part: slice) -> int:
        sizes.append(part.stop - part.start)
        return torch.empty(sizes[-1], little_memory // 4, dtype=torch.uint8, device="cuda").shape[0]

    assert sum(made for _, made in fit.each(16, work)) == 16
    assert sizes[:3] == [16, 8, 4] and fit.size <= 4


def test_as_many_are_taken_as_the_first_pass_says():
    if not torch.cuda.is_available():
        pytest.skip("no cuda device here")
    each = torch.cuda.mem_get_info()[0] // 24
    fit, sizes = BatchSize(torch.device("cuda"), 1, grows=True), []

    def work(part: slice) -> None:
        sizes.append(part.stop - part.start)
        torch.empty(sizes[-1], each, dtype=torch.uint8, device="cuda")

    list(fit.each(40, work))
    assert sizes[:2] == [1, 16] and fit.size == 16
