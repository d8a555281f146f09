"""ESD: it learns its own target, its delta is what it learnt, and it refuses to draw what may never be drawn."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.errors import NumericalError, UsageError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.generate import predict, schedule
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import EsdSettings
from mace_gov.erase.methods import esd as module
from mace_gov.erase.methods.esd import esd, factored

SETTINGS = EsdSettings(steps=60, learning_rate=3e-3, guidance=1.0, start_guidance=3.0)


@pytest.fixture
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


def away(pipe, reader, prompt: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The prediction for a prompt, and what ESD wants of it, both by ``pipe``."""
    step = schedule(pipe, 4).timesteps[1]
    with torch.no_grad():
        without, within = (predict(pipe, x, step, reader.conditions([text])) for text in ("", prompt))
    return within, without - (within - without)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("settings", [SETTINGS, SETTINGS.model_copy(update={"steps": 180, "batch": 4})])
def test_it_moves_the_concept_towards_the_opposite_of_itself(settings, pipe, reader, plan_for):
    plan = plan_for(method="esd", esd=settings, concepts=("ship",), templates=["a photo of {}"])
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    before, wanted = away(pipe, reader, "a photo of ship", x)
    delta = esd(plan, pipe, cache=None, progress=Silent()).delta
    layers = projections(pipe.unet)
    for name, weight in delta.apply({name: layer.weight for name, layer in layers.items()}).items():
        layers[name].weight.data.copy_(weight)
    after, _ = away(pipe, reader, "a photo of ship", x)
    assert (after - wanted).norm() < 0.8 * (before - wanted).norm()


def test_factors_give_the_change_back_at_its_rank():
    change = torch.randn(6, 2, dtype=torch.float64) @ torch.randn(2, 5, dtype=torch.float64)
    left, right = factored(change)
    assert (left.shape, right.shape) == ((6, 2), (2, 5))
    assert torch.allclose(left @ right, change)


def test_what_may_never_be_drawn_is_refused(pipe, plan_for):
    plan = plan_for(method="esd", esd=SETTINGS)
    banned = plan.targets[0].model_copy(update={"target": "a naked teenager"})
    with pytest.raises(UsageError, match="no picture may ever be made of: ship"):
        esd(plan.model_copy(update={"targets": [banned, plan.targets[1]]}), pipe, cache=None, progress=Silent())


def test_a_loss_that_is_not_finite_ends_it_and_gives_the_weights_back(pipe, plan_for, monkeypatch):
    before = {name: value.clone() for name, value in pipe.unet.state_dict().items()}
    monkeypatch.setattr(module.F, "mse_loss", lambda one, _other: one.sum() * float("nan"))
    with pytest.raises(NumericalError, match="loss is nan at step 1"):
        esd(plan_for(method="esd", esd=SETTINGS), pipe, cache=None, progress=Silent())
    assert all(torch.equal(value, before[name]) for name, value in pipe.unet.state_dict().items())
