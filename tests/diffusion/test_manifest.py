"""Finding a model: every way to name one, and every kind that is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mace_gov.embedded
from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import ModelError
from mace_gov.diffusion.manifest import read_manifest, weight_files


@pytest.fixture
def model(tiny_model, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def test_a_folder_is_accounted_for_by_content(tiny_model):
    manifest = read_manifest(str(tiny_model))
    assert manifest.files == folder_files(tiny_model)
    assert manifest.digest == folder_digest(manifest.files)
    assert (manifest.pipeline, manifest.text_width, manifest.image_size) == ("StableDiffusionPipeline", 32, 16)
    assert manifest.path == str(tiny_model.resolve())
    assert not manifest.embedded


def test_embedded_is_the_shipped_folder_and_its_copies(model, monkeypatch, tmp_path):
    monkeypatch.setattr(mace_gov.embedded, "MODEL_DIR", model)
    assert read_manifest("embedded").embedded
    copy = shutil.copytree(model, tmp_path / "copy")
    assert read_manifest(str(copy)).embedded
    weights = weight_files(copy / "unet")[0]
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert not read_manifest(str(copy)).embedded


def test_a_governed_version_is_found_in_the_registry(model, tmp_path):
    place = tmp_path / "registry" / "versions" / "nsfw" / "3" / "model"
    place.parent.mkdir(parents=True)
    model.rename(place)
    for ref in ("registry:nsfw/3", "nsfw/3"):
        assert read_manifest(ref, registry=tmp_path / "registry").path == str(place.resolve())
    with pytest.raises(ModelError, match=r"no governed version 'registry:nsfw/4'"):
        read_manifest("registry:nsfw/4", registry=tmp_path / "registry")
    with pytest.raises(ModelError, match="no registry was given"):
        read_manifest("registry:nsfw/3")
    with pytest.raises(ModelError, match="no governed version"):
        read_manifest("registry:../../etc/1", registry=tmp_path / "registry")


@pytest.mark.parametrize("ref", ["./nowhere", "/nowhere/at/all", "a/b/c", "nowhere"])
def test_a_path_that_does_not_exist(ref):
    with pytest.raises(ModelError, match="does not exist"):
        read_manifest(ref)


@pytest.mark.parametrize("name", ["model.ckpt", "model.bin", "model.pt", "model.pkl"])
def test_a_pickle_is_refused_unopened(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError, match="is a pickle, which may run code when read; expected safetensors"):
        read_manifest(str(tmp_path / name), registry=tmp_path)


def test_another_file_is_no_model(tmp_path):
    (tmp_path / "model.txt").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file"):
        read_manifest(str(tmp_path / "model.txt"))


def test_offline_hub_id_is_named_in_the_error(monkeypatch):
    import huggingface_hub

    asked = {}

    def offline(ref, **options):
        asked.update(options, ref=ref)
        raise huggingface_hub.errors.LocalEntryNotFoundError("cannot reach the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelError, match=r"'CompVis/stable-diffusion-v1-4' at revision abc .*cannot be fetched"):
        read_manifest("CompVis/stable-diffusion-v1-4", revision="abc")
    assert asked["revision"] == "abc"
    assert not any(pattern.endswith((".bin", ".ckpt", ".pt", "*")) for pattern in asked["allow_patterns"])


def test_missing_model_index(model):
    (model / "model_index.json").unlink()
    with pytest.raises(ModelError, match=r"has no model_index\.json"):
        read_manifest(str(model))


def test_unknown_pipeline_names_what_was_found_and_expected(model):
    (model / "model_index.json").write_text(json.dumps({"_class_name": "PixArtAlphaPipeline"}))
    with pytest.raises(ModelError, match="'PixArtAlphaPipeline' is not supported, expected StableDiffusionPipeline or"):
        read_manifest(str(model))


def test_pickle_weights_alone_are_refused(model):
    weights = weight_files(model / "unet")[0]
    weights.rename(weights.with_name("diffusion_pytorch_model.bin"))
    with pytest.raises(ModelError, match=r"unet/ has only diffusion_pytorch_model\.bin, which may run code"):
        read_manifest(str(model))


@pytest.mark.parametrize("component", ["text_encoder", "unet", "vae"])
@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_unreadable_config(model, component, text):
    (model / component / "config.json").write_text(text)
    with pytest.raises(ModelError, match=component):
        read_manifest(str(model))


def test_shards_are_found_by_index_and_may_not_lead_out(model):
    unet = model / "unet"
    single = weight_files(unet)[0]
    single.rename(unet / "diffusion_pytorch_model-00001-of-00001.safetensors")
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "diffusion_pytorch_model-00001-of-00001.safetensors"}}))
    assert [p.name for p in weight_files(unet)] == ["diffusion_pytorch_model-00001-of-00001.safetensors"]
    index.write_text(json.dumps({"weight_map": {"a": "../vae/diffusion_pytorch_model.safetensors"}}))
    assert weight_files(unet) == []
    index.write_text("[]")
    assert weight_files(unet) == []


def test_reading_a_manifest_imports_no_torch(tiny_model):
    code = ("import sys; from mace_gov.diffusion.manifest import read_manifest; read_manifest(sys.argv[1]); "
            "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'transformers', 'numpy')))")
    assert subprocess.run([sys.executable, "-c", code, str(tiny_model)], check=False).returncode == 0
