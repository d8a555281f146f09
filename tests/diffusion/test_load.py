"""Loading: safetensors only, float32, frozen, and no word on the terminal."""

from __future__ import annotations

import shutil

import pytest
import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.load import load_pipeline


def test_half_weights_are_widened_and_frozen(half_model):
    pipe = load_pipeline(half_model, device="cpu")
    for module in (pipe.unet, pipe.vae, pipe.text_encoder):
        assert {value.dtype for value in module.parameters() if value.is_floating_point()} == {torch.float32}
        assert not any(value.requires_grad for value in module.parameters())
        assert not module.training
    assert pipe.safety_checker is None


def test_loading_says_nothing(tiny_model, capfd):
    load_pipeline(tiny_model, device="cpu")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_folder_that_does_not_load_is_a_model_error(tiny_model, tmp_path):
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="does not load"):
        load_pipeline(broken, device="cpu")
