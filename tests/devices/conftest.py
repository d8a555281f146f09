"""Every device that torch may have; a test on one that is not here is skipped, and says so."""

from __future__ import annotations

import pytest
import torch

from mace_gov.diffusion.load import load_pipeline
from tests.erase.conftest import manifest, plan_for

__all__ = ["manifest", "plan_for"]

DEVICES = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}


@pytest.fixture(params=DEVICES)
def device(request) -> str:
    if not DEVICES[request.param]():
        pytest.skip(f"no {request.param} device here")
    return request.param


@pytest.fixture
def pipe(tiny_model, device):
    return load_pipeline(tiny_model, device=device)


@pytest.fixture
def on_cpu(tiny_model):
    return load_pipeline(tiny_model, device="cpu")
