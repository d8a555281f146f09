"""What of a folder is loaded and covered by its digest, and what is refused because it would run code or lead away."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.contents import REDIRECTS, weight_files
from mace_gov.diffusion.exact import exact_copy
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.save import save_governed

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change(path: Path, **keys: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.mark.parametrize("name", ["None.py", "unet/evil.py", "tokenizer/words.PY", "vae/fast.so", "more/a/b.pyc"])
def test_code_is_refused_wherever_it_lies(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True, parents=True)
    (model / name).write_text("")
    with pytest.raises(ModelError, match=f"{name}: is code"):
        read_manifest(str(model))
    with pytest.raises(ModelError, match=f"{name}: is code"):
        load_pipeline(model, device="cpu")


@pytest.mark.parametrize("part, value", [
    ("scheduler", ["antigravity", "X"]), ("unet", ["evil", "Evil"]), ("unet", ["diffusers", "AutoencoderKL"]),
    ("vae", ["diffusers", "ModelMixin"]), ("tokenizer", ["transformers", "AutoTokenizer"]),
    ("safety_checker", ["os", "system"]), ("text_encoder", [None, None]), ("extra", ["diffusers", "DDIMScheduler"]),
    ("unet", {"evil": "Evil"}), ("unet", "Evil"), ("custom_pipelines", "x"),
])
def test_a_foreign_part_is_refused_by_name(model: Path, part: str, value: object) -> None:
    change(model / "model_index.json", **{part: value})
    with pytest.raises(ModelError, match=rf"model_index\.json: .*{part}"):
        read_manifest(str(model))


@pytest.mark.parametrize("file", ["unet/config.json", "text_encoder/config.json", "tokenizer/tokenizer_config.json"])
@pytest.mark.parametrize("key", sorted(REDIRECTS))
def test_a_key_that_leads_to_other_code_or_weights_is_refused(model: Path, file: str, key: str) -> None:
    change(model / file, nested=[{key: "x"}])
    with pytest.raises(ModelError, match=f"{file}: has {key}"):
        read_manifest(str(model))


def test_all_findings_come_at_once(model: Path) -> None:
    (model / "None.py").write_text("")
    (model / "text_encoder" / "adapter_config.json").write_text("{}")
    change(model / "unet" / "config.json", _class_name="Evil")
    os.mkfifo(model / "vae" / "merges.txt")
    change(model / "model_index.json", scheduler=["antigravity", "X"])
    with pytest.raises(ModelError) as refused:
        read_manifest(str(model))
    for name in ("None.py", "text_encoder/adapter_config.json", "unet/config.json", "vae/merges.txt", "scheduler"):
        assert name in refused.value.message


@pytest.mark.parametrize("spoil", [
    lambda path: (path.unlink(), os.mkfifo(path)),
    lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    lambda path: path.write_text("[" * 200_000),
    lambda path: path.write_text("\x00"),
])
@pytest.mark.parametrize("name", ["unet/config.json", "text_encoder/config.json"])
def test_a_config_that_is_no_file_or_no_json_is_refused_and_never_waited_for(
    model: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    spoil(model / name)
    with pytest.raises(ModelError, match=name):
        read_manifest(str(model))


def test_a_linked_part_is_hashed_like_any_other(model: Path, tmp_path: Path) -> None:
    before = read_manifest(str(model))
    elsewhere = tmp_path / "elsewhere"
    (model / "unet").rename(elsewhere)
    (model / "unet").symlink_to(elsewhere)
    linked = read_manifest(str(model))
    assert (linked.digest, linked.files) == (before.digest, before.files)
    tensors = load_file(elsewhere / "diffusion_pytorch_model.safetensors")
    save_file({name: value + 1 for name, value in tensors.items()}, elsewhere / "diffusion_pytorch_model.safetensors",
              metadata={"format": "pt"})
    assert read_manifest(str(model)).digest != before.digest
    save_governed(model, tmp_path / "out", {})
    assert read_manifest(str(tmp_path / "out")).files.keys() == before.files.keys()
    (elsewhere / "evil.py").write_text("")
    with pytest.raises(ModelError, match="unet/evil.py"):
        read_manifest(str(model))
    (elsewhere / "evil.py").unlink()
    with pytest.raises(ModelError, match="unet in .* a link to a folder"):
        read_manifest(str(model), whole=True)


def test_a_link_that_leads_in_a_circle_ends(model: Path) -> None:
    before = read_manifest(str(model)).digest
    (model / "again").symlink_to(model)
    assert read_manifest(str(model)).digest == before


def test_code_behind_a_link_to_a_folder_is_refused_however_deep_it_lies(model: Path, tmp_path: Path) -> None:
    (tmp_path / "far" / "off").mkdir(parents=True)
    (tmp_path / "far" / "off" / "evil.py").write_text("")
    (model / "unet" / "more").symlink_to(tmp_path / "far")
    with pytest.raises(ModelError, match="unet/more/off/evil.py"):
        read_manifest(str(model))


def test_shards_beside_a_single_file_are_read_as_the_loaders_do(model: Path, tmp_path: Path) -> None:
    tensors = load_file(model / UNET)
    names = sorted(tensors)
    places = {}
    for n, part in enumerate((names[::2], names[1::2]), 1):
        file = f"diffusion_pytorch_model-0000{n}-of-00002.safetensors"
        save_file({name: tensors[name] + 0.5 for name in part}, model / "unet" / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    (model / f"{UNET}.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    files = read_manifest(str(model)).files
    assert set(places.values()) <= {name.removeprefix("unet/") for name in files} and UNET not in files
    save_governed(model, tmp_path / "out", {})
    loaded = load_pipeline(tmp_path / "out", device="cpu").unet.state_dict()
    assert torch.equal(loaded[names[0]], tensors[names[0]] + 0.5)
    # transformers takes the single file.
    text = model / "text_encoder"
    (text / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "b.safetensors"}}))
    assert [path.name for path in weight_files(text)] == ["model.safetensors"]
    (model / "unet" / "diffusion_pytorch_model-00001-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"unet/ has diffusion_pytorch_model\.safetensors\.index\.json"):
        read_manifest(str(model))


@pytest.mark.parametrize("name", [
    ".git/config", ".git/hooks/a.py", ".cache/huggingface/x.metadata", ".DS_Store", "README.md", "unet/README.md",
    "pictures/a.png", "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin",
    "v1-5-pruned.safetensors", "notes.txt", "other/config.json",
])
def test_what_is_not_loaded_does_not_change_the_digest(model: Path, name: str) -> None:
    before = read_manifest(str(model)).digest
    (model / name).parent.mkdir(exist_ok=True, parents=True)
    (model / name).write_bytes(b"x")
    assert read_manifest(str(model)).digest == before
    assert read_manifest(str(model), whole=True).digest != before


@pytest.mark.parametrize("name", ["captions.txt", "tokenizer/added_tokens.json", "text_encoder/generation_config.json"])
def test_what_is_loaded_changes_the_digest(model: Path, name: str) -> None:
    before = read_manifest(str(model)).digest
    (model / name).write_text("{}")
    assert read_manifest(str(model)).digest != before


def test_a_copy_of_another_content_than_the_manifests_is_refused(model: Path) -> None:
    manifest = read_manifest(str(model))
    with exact_copy(manifest) as copy:
        assert read_manifest(str(copy)).digest == manifest.digest
    (model / UNET).write_bytes(b"other")
    with pytest.raises(ModelError, match=f"changed since it was planned: {UNET}"), exact_copy(manifest):
        pass
    (model / UNET).unlink()
    os.mkfifo(model / UNET)
    with pytest.raises(ModelError, match="is no plain file"), exact_copy(manifest):
        pass


@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model", "text_encoder/model", "vae/diffusion_pytorch_model"])
def test_weights_that_are_missing_are_not_made_up(model: Path, part: str) -> None:
    file = model / f"{part}.safetensors"
    tensors = load_file(file)
    del tensors[sorted(tensors)[3]]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError):
        load_pipeline(model, device="cpu")
