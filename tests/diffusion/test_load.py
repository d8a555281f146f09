"""Loading: safetensors only, float32, frozen, and no word on the terminal."""

from __future__ import annotations

import shutil

import huggingface_hub
import numpy as np
import pytest
import torch

from mace_gov.core.errors import ModelError, UsageError
from mace_gov.core.resources import using
from mace_gov.diffusion import load
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.single_file import pack
from mace_gov.documents.plan import GenerationSettings
from tests.diffusion.test_single_file import configured


def test_half_weights_are_widened_and_frozen(half_model):
    pipe = load_pipeline(half_model, device="cpu")
    for module in (pipe.unet, pipe.vae, pipe.text_encoder):
        assert {value.dtype for value in module.parameters() if value.is_floating_point()} == {torch.float32}
        assert not any(value.requires_grad for value in module.parameters())
        assert not module.training
    assert pipe.safety_checker is None


def test_where_memory_is_short_drawing_keeps_the_unet_in_halves_and_nothing_else_does(tiny_model, monkeypatch):
    def pictures(pipe) -> np.ndarray:
        (picture,) = draw(pipe, ["a ship"], [5], GenerationSettings(steps=3, guidance=4.0, size=16, batch=1))
        return np.asarray(picture).astype(int)

    with using(precision="bfloat16"):
        whole = load_pipeline(tiny_model, device="cpu", draws=True)
        monkeypatch.setattr(load, "_fits", lambda *_: False)
        short, trains = (load_pipeline(tiny_model, device="cpu", draws=draws) for draws in (True, False))
        assert {p.dtype for p in short.unet.parameters()} == {torch.bfloat16}
        for module in (short.vae, short.text_encoder, trains.unet, whole.unet):
            assert {p.dtype for p in module.parameters()} == {torch.float32}
        assert np.abs(pictures(short) - pictures(whole)).mean() < 2


def test_weights_are_counted_widened_against_what_is_free(half_model, monkeypatch):
    numbers = sum(p.numel() for part in load_pipeline(half_model, device="cpu").components.values()
                  if isinstance(part, torch.nn.Module) for p in part.parameters())
    for free, room in ((4 * numbers, False), (8 * numbers, True)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device, free=free: (free, free))
        assert load._fits(half_model, torch.device("cuda")) is room
    assert load._fits(half_model, torch.device("cpu"))


def test_a_device_that_is_not_here_is_named_before_anything_is_loaded(tiny_model):
    for name in {"nonsense", *(["cuda"] if not torch.cuda.is_available() else [])}:
        with pytest.raises(UsageError, match=f"--device {name}: found none here"):
            load_pipeline(tiny_model, device=name)


@pytest.fixture(scope="module", params=["folder", "hub", "single file"])
def source(request, tiny_model, tmp_path_factory):
    """Where the same model comes from: reference, revision, and what stands in for the hub."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    if request.param == "folder":
        return str(tiny_model), None, None
    if request.param == "hub":
        return "owner/model", commit, commit
    file = tmp_path_factory.mktemp("single") / "model.safetensors"
    pack(tiny_model, "sd1", file)
    return str(file), None, None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_source_loads_in_both_precisions_and_draws(source, dtype, tiny_model, tmp_path, monkeypatch):
    ref, revision, pinned = source
    asked = []

    def snapshot(name, *, revision, allow_patterns, ignore_patterns):
        asked.append((name, revision))
        assert "*" not in allow_patterns and {"*.ckpt", "*.bin", "*.pt"} <= set(ignore_patterns)
        return str(tiny_model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr("mace_gov.diffusion.manifest.write_published", lambda _family, out: configured(tiny_model, out))
    manifest = read_manifest(ref, revision=revision, registry=tmp_path)
    pipe = load_pipeline(manifest.path, device="cpu", dtype=dtype)
    assert {value.dtype for value in pipe.unet.parameters()} == {dtype}
    (picture,) = draw(pipe, ["a ship"], [1], GenerationSettings(steps=2, guidance=3.0, size=16, batch=1))
    assert picture.size == (16, 16)
    assert asked == ([("owner/model", pinned)] if pinned else []) and manifest.revision == pinned


def test_loading_says_nothing(tiny_model, capfd):
    load_pipeline(tiny_model, device="cpu")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_folder_that_does_not_load_is_a_model_error(tiny_model, tmp_path):
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="does not load"):
        load_pipeline(broken, device="cpu")
