"""One file and back: every weight has one place, and another tool's converter reads it the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as theirs
from safetensors.torch import load_file, save_file

from mace_gov.core.digest import folder_files
from mace_gov.core.errors import ModelError
from mace_gov.diffusion import manifest as module
from mace_gov.diffusion.layout import places
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest, weight_files
from mace_gov.diffusion.single_file import pack, recognise_file, unpack

UNET = "model.diffusion_model."
SD1 = {"down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), "cross_attention_dim": 768,
       "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3}
SDXL = {"block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048, "use_linear_projection": True,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20),
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816}


def weights(component: Path) -> dict[str, torch.Tensor]:
    """By name; versions of the library differ in whether a text encoder's names have a first part."""
    (file,) = weight_files(component)
    return {name.removeprefix("text_model."): tensor for name, tensor in load_file(file).items()}


@pytest.fixture(scope="module")
def packed(family_model, tmp_path_factory):
    family, folder = family_model
    file = tmp_path_factory.mktemp("packed") / "model.safetensors"
    pack(folder, family, file)
    return family, folder, file


def test_there_and_back_is_the_same_model(packed, tmp_path):
    family, folder, file = packed
    assert recognise_file(file) == family
    unpack(file, folder, family, tmp_path)
    for component in ("unet", "vae", "text_encoder", *(["text_encoder_2"] if family == "sdxl" else [])):
        before, after = (weights(place / component) for place in (folder, tmp_path))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    load_pipeline(tmp_path, device="cpu")
    assert read_manifest(str(tmp_path)).family == family


def test_diffusers_own_converter_reads_the_same_weights(packed):
    _, folder, file = packed
    whole = load_file(file)
    converters = {"unet": theirs.convert_ldm_unet_checkpoint, "vae": theirs.convert_ldm_vae_checkpoint}
    for component, convert in converters.items():
        config = json.loads((folder / component / "config.json").read_text())
        expected = load_file(weight_files(folder / component)[0])
        found = convert(dict(whole), config=config)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name].reshape(value.shape), value) for name, value in expected.items())


@pytest.mark.parametrize(("family", "config", "expected"), [
    ("sd1", SD1, {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
                  "input_blocks.3.0.op.weight": (320, 320, 3, 3), "middle_block.1.proj_in.weight": (1280, 1280, 1, 1),
                  "output_blocks.2.1.conv.weight": (1280, 1280, 3, 3), "output_blocks.5.2.conv.bias": (1280,),
                  "output_blocks.11.1.transformer_blocks.0.attn2.to_v.weight": (320, 768),
                  "out.2.weight": (4, 320, 3, 3)}),
    ("sdxl", SDXL, {"input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight": (1280, 2048),
                    "label_emb.0.0.weight": (1280, 2816), "output_blocks.2.2.conv.weight": (1280, 1280, 3, 3),
                    "output_blocks.8.0.skip_connection.bias": (320,)}),
])
def test_published_models_have_a_place_for_every_weight(family, config, expected):
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    shapes = {name: tuple(value.shape) for name, value in unet.state_dict().items()}
    table = places(family, "unet", list(shapes), dict(unet.config))
    placed = {place.name: shapes[name] for name, place in table.items()}
    assert len(placed) == len(shapes)
    for name, shape in expected.items():
        assert placed[UNET + name] == shape


def test_a_published_autoencoder_has_a_place_for_every_weight():
    with torch.device("meta"):
        vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2,
                            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    table = places("sd1", "vae", list(vae.state_dict()), dict(vae.config))
    assert len({place.name for place in table.values()}) == len(table)
    query = table["encoder.mid_block.attentions.0.to_q.weight"]
    assert (query.name, query.pointwise) == ("first_stage_model.encoder.mid.attn_1.q.weight", True)
    names = {place.name.removeprefix("first_stage_model.") for place in table.values()}
    assert {"decoder.mid.attn_1.proj_out.bias", "decoder.mid.attn_1.norm.weight", "decoder.norm_out.weight",
            "decoder.up.0.block.0.nin_shortcut.bias", "decoder.up.3.upsample.conv.weight", "post_quant_conv.bias",
            "encoder.down.2.downsample.conv.bias", "encoder.mid.block_2.conv1.weight"} <= names


def test_a_file_on_the_command_line_is_unpacked_once_by_its_content(packed, tmp_path, monkeypatch):
    family, folder, file = packed
    asked = []
    monkeypatch.setattr(module, "fetch", lambda ref, *_: asked.append(ref) or folder)
    manifest = read_manifest(str(file), registry=tmp_path)
    assert (manifest.family, asked) == (family, [module.CONFIGS[family]])
    assert Path(manifest.path).is_relative_to(tmp_path / "cache" / "models")
    assert read_manifest(str(file), registry=tmp_path).digest == manifest.digest
    assert len(asked) == 1
    with pytest.raises(ModelError, match="no registry to unpack it into"):
        read_manifest(str(file))


def test_what_the_file_predicts_is_what_the_folder_predicts(packed, tmp_path):
    family, folder, file = packed
    unpack(file, folder, family, tmp_path / "out")
    written = json.loads((tmp_path / "out/scheduler/scheduler_config.json").read_text())
    assert written["prediction_type"] == ("v_prediction" if family == "sd2" else "epsilon")
    silent = tmp_path / "silent.safetensors"
    save_file(load_file(file), silent)
    if family == "sd2":
        with pytest.raises(ModelError, match="does not say what it predicts"):
            unpack(silent, folder, family, tmp_path / "silent")
    else:
        unpack(silent, folder, family, tmp_path / "silent")


@pytest.mark.parametrize(("change", "told"), [
    (lambda t: t.pop(f"{UNET}out.2.weight"), "has no weight model.diffusion_model.out.2.weight"),
    (lambda t: t.update({f"{UNET}out.2.bias": torch.zeros(9)}), r"has shape \(9,\), expected \(4,\)"),
])
def test_weights_that_do_not_fit_are_refused(tiny_model, tmp_path, change, told):
    pack(tiny_model, "sd1", tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "spoilt.safetensors")
    with pytest.raises(ModelError, match=told):
        unpack(tmp_path / "spoilt.safetensors", tiny_model, "sd1", tmp_path / "out")


def test_files_of_another_kind_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "lora.safetensors")
    with pytest.raises(ModelError, match="holds no U-Net of Stable Diffusion"):
        recognise_file(tmp_path / "lora.safetensors")
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 9)
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        recognise_file(tmp_path / "noise.safetensors")


def test_the_packed_folder_is_only_read(packed, tiny_model):
    _, folder, _ = packed
    assert read_manifest(str(folder)).files == folder_files(folder)


@pytest.mark.parametrize(("name", "metadata", "tensors", "expected"), [
    ("model", {"modelspec.prediction_type": "v_prediction"}, (), "v_prediction"),
    ("model", {"modelspec.prediction_type": " V-Prediction "}, (), "v_prediction"),
    ("model", {"ss_v_parameterization": "True"}, (), "v_prediction"),
    ("model", {"ss_v_parameterization": "False"}, (), "epsilon"),
    ("model", {}, ("v_pred",), "v_prediction"),
    ("model", {}, ("v_pred", "ztsnr"), "v_prediction"),
    ("model-vpred", {"modelspec.prediction_type": "v"}, (), "v_prediction"),
    ("model", {"modelspec.prediction_type": "eps"}, (), "epsilon"),
    ("model", {}, (), "epsilon"),
    ("model", {"modelspec.prediction_type": "epsilon"}, ("v_pred",), None),
    ("model", {"modelspec.prediction_type": "sample"}, (), None),
    ("model", {}, ("edm_vpred.sigma_max",), None),
    ("model-v-pred", {}, (), None),
    ("model_vPred", {"modelspec.prediction_type": "epsilon"}, (), None),
])
def test_a_file_of_the_first_family_is_taken_for_what_it_says(
    tiny_model, tmp_path, name, metadata, tensors, expected
):
    pack(tiny_model, "sd1", tmp_path / "packed.safetensors")
    held = load_file(tmp_path / "packed.safetensors") | dict.fromkeys(tensors, torch.zeros(0))
    file = tmp_path / f"{name}.safetensors"
    save_file(held, file, metadata={"format": "pt", **metadata})
    if expected is None:
        with pytest.raises(ModelError, match="does not say what it predicts"):
            unpack(file, tiny_model, "sd1", tmp_path / "out")
        return
    unpack(file, tiny_model, "sd1", tmp_path / "out")
    written = json.loads((tmp_path / "out/scheduler/scheduler_config.json").read_text())
    assert written["prediction_type"] == expected
    assert bool(written.get("rescale_betas_zero_snr")) == ("ztsnr" in tensors)
