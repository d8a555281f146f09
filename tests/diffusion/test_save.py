"""Writing a governed model: what is copied, what is left behind, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mace_gov.core.digest import folder_files
from mace_gov.core.errors import ModelError, NumericalError
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.save import save_governed

UNET = "unet/diffusion_pytorch_model.safetensors"
NAME = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture
def base(tiny_model, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "base"))


def weight(base: Path) -> torch.Tensor:
    return load_file(base / UNET)[NAME]


def test_everything_but_the_unet_is_copied_byte_for_byte(base, tmp_path):
    before = folder_files(base)
    save_governed(base, tmp_path / "out", {NAME: weight(base).double() * 2})
    after = folder_files(tmp_path / "out")
    assert folder_files(base) == before
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == {UNET}
    assert torch.equal(load_file(tmp_path / "out" / UNET)[NAME], weight(base) * 2)
    load_pipeline(tmp_path / "out", device="cpu")


def test_whatever_could_carry_the_unerased_model_or_run_code_is_left_behind(base, tmp_path):
    for name in ("unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin", "whole.ckpt",
                 "whole.safetensors", "vae/diffusion_pytorch_model.bin", "loras/old.safetensors", "loras/notes.txt"):
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_bytes(b"x")
    (base / "LICENSE").write_text("terms")
    save_governed(base, tmp_path / "out", {NAME: weight(base)})
    files = set(folder_files(tmp_path / "out"))
    assert "LICENSE" in files
    assert not any(name.endswith((".bin", ".ckpt")) or "fp16" in name or "whole" in name or "loras" in name
                   for name in files)


def test_half_precision_stays_half(half_model, tmp_path):
    base = half_model
    save_governed(base, tmp_path / "out", {NAME: torch.full_like(weight(base), 0.1).double()})
    governed = load_file(tmp_path / "out" / UNET)
    assert {tensor.dtype for tensor in governed.values()} == {torch.float16}
    with pytest.raises(NumericalError, match=r"as torch\.float16 is not finite \(largest 1e\+05\)"):
        save_governed(base, tmp_path / "over", {NAME: torch.full_like(weight(base), 1e5, dtype=torch.float64)})


def test_shards_keep_their_names(base, tmp_path):
    tensors = load_file(base / UNET)
    (base / UNET).unlink()
    names, shards = sorted(tensors), {}
    for n, part in enumerate((names[::2], names[1::2]), 1):
        file = f"diffusion_pytorch_model-0000{n}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, base / "unet" / file, metadata={"format": "pt"})
        shards.update(dict.fromkeys(part, file))
    index = {"metadata": {"total_size": 1}, "weight_map": shards}
    (base / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    save_governed(base, tmp_path / "out", {NAME: tensors[NAME] + 1})
    assert folder_files(tmp_path / "out").keys() == folder_files(base).keys()
    assert torch.equal(load_file(tmp_path / "out" / "unet" / shards[NAME])[NAME], tensors[NAME] + 1)
    assert torch.equal(load_pipeline(tmp_path / "out", device="cpu").unet.state_dict()[NAME], tensors[NAME] + 1)


@pytest.mark.parametrize(("name", "value", "error", "message"), [
    (NAME, torch.full((32, 32), float("nan")), NumericalError, "not finite"),
    (NAME, torch.zeros(3, 3), ModelError, "has shape"),
    ("no.such.weight", torch.zeros(3, 3), ModelError, "no weight named"),
])
def test_weights_that_do_not_fit_are_refused(base, tmp_path, name, value, error, message):
    with pytest.raises(error, match=message):
        save_governed(base, tmp_path / "out", {name: value})
