"""One file and back: every weight has one place, and another tool's converter reads it the same way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as theirs
from safetensors.torch import load_file, save_file

from mace_gov.core.digest import folder_files
from mace_gov.core.errors import ModelError
from mace_gov.diffusion import manifest as module
from mace_gov.diffusion import published, single_file
from mace_gov.diffusion.contents import problems
from mace_gov.diffusion.layout import places
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest, weight_files
from mace_gov.diffusion.single_file import pack, recognise_file, unpack

UNET = "model.diffusion_model."
FIRST = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
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


def configured(folder: Path, out: Path) -> None:
    """All of a folder but its weights: what stands for a family's published configuration."""
    shutil.copytree(folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))


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
    monkeypatch.setattr(module, "fetch", lambda *_: pytest.fail("asked the hub"))
    monkeypatch.setattr(module, "write_published", lambda name, out: asked.append(name) or configured(folder, out))
    manifest = read_manifest(str(file), registry=tmp_path)
    assert (manifest.family, asked) == (family, [family])
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
    (lambda t: t.update({f"{UNET}label_emb.0.0.weight": torch.zeros(9)}), "has 1 weights of its U-Net that the publ"),
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


@pytest.mark.parametrize(("change", "told"), [
    (lambda t: t.update({f"{UNET}input_blocks.0.0.weight": torch.zeros(4, 9, 3, 3)}), "reads 9 channels, expected 4"),
    (lambda t: t.update({f"{UNET}joint_blocks.0.x_block.attn.qkv.weight": torch.zeros(1)}), "of Stable Diffusion 3"),
    (lambda t: t.update({"double_blocks.0.img_attn.qkv.weight": torch.zeros(1)}), "single file of FLUX, exp"),
    (lambda t: t.update({FIRST: torch.zeros(4, 1280), "conditioner.embedders.0.model.ln_final.bias": torch.zeros(1)}),
     "is the refiner of Stable Diffusion XL"),
])
def test_models_that_are_no_text_to_image_model_of_these_families_are_named(tiny_model, tmp_path, change, told):
    pack(tiny_model, "sd1", tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=told):
        recognise_file(tmp_path / "other.safetensors")


def test_a_lora_says_what_to_do_with_it(tmp_path):
    save_file({"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(1)}, tmp_path / "lora.safetensors")
    with pytest.raises(ModelError, match="holds no U-Net") as refused:
        recognise_file(tmp_path / "lora.safetensors")
    assert "fuse_lora" in refused.value.hint and "--lora" in refused.value.hint


def test_a_checkpoint_that_is_a_pickle_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="is a pickle, which may run code when read; expected safetensors") as refused:
        read_manifest(str(tmp_path / "model.ckpt"), registry=tmp_path)
    assert "convert it" in refused.value.hint
    (tmp_path / "renamed.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        read_manifest(str(tmp_path / "renamed.safetensors"), registry=tmp_path)


def test_a_merge_of_mixed_precisions_other_prefixes_and_leftovers_is_the_same_model(packed, tmp_path):
    family, folder, file = packed
    held = {}
    for n, (name, value) in enumerate(load_file(file).items()):
        name = name.replace("cond_stage_model.model.", "conditioner.embedders.0.model.")
        name = name.replace("transformer.text_model.", "transformer.")
        held[name] = value.to((torch.float32, torch.float16, torch.bfloat16)[n % 3])
    ema = {"model_ema.diffusion_modelout2bias": torch.full((4,), 9.0), "model_ema.decay": torch.tensor(0.9),
           "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None]}
    said = {"modelspec.prediction_type": "v"} if family == "sd2" else {}
    save_file(held | ema, tmp_path / "merge.safetensors", metadata=said)
    assert recognise_file(tmp_path / "merge.safetensors") == family
    unpack(tmp_path / "merge.safetensors", folder, family, tmp_path / "out")
    for component in ("unet", "vae", "text_encoder", *(["text_encoder_2"] if family == "sdxl" else [])):
        before, after = (weights(place / component) for place in (folder, tmp_path / "out"))
        assert before.keys() == after.keys()
        assert all(torch.allclose(before[name], after[name].float(), rtol=1e-2, atol=1e-2) for name in before)
    kinds = {tensor.dtype for tensor in weights(tmp_path / "out/unet").values()}
    assert kinds == {torch.float32, torch.float16, torch.bfloat16}
    loaded = load_pipeline(tmp_path / "out", device="cpu")
    assert {p.dtype for p in loaded.unet.parameters()} == {torch.float32}


def test_weights_of_eight_bits_are_refused(tiny_model, tmp_path):
    pack(tiny_model, "sd1", tmp_path / "model.safetensors")
    tensors = {name: value.to(torch.float8_e4m3fn) for name, value in load_file(tmp_path / "model.safetensors").items()}
    save_file(tensors, tmp_path / "eight.safetensors")
    with pytest.raises(ModelError, match="is float8_e4m3fn, expected float32, float16 or bfloat16"):
        unpack(tmp_path / "eight.safetensors", tiny_model, "sd1", tmp_path / "out")


def test_a_file_without_its_text_encoder_says_how_much_is_lacking(tiny_model, tmp_path):
    pack(tiny_model, "sd1", tmp_path / "model.safetensors")
    unet = {name: v for name, v in load_file(tmp_path / "model.safetensors").items() if "cond_stage" not in name}
    save_file(unet, tmp_path / "unet.safetensors")
    with pytest.raises(ModelError, match=r"no weight cond_stage_model.*; (\d+) of \1 of its part are lacking"):
        unpack(tmp_path / "unet.safetensors", tiny_model, "sd1", tmp_path / "out")


@pytest.mark.parametrize(("family", "metadata", "side"), [
    ("sd1", {}, 64), ("sd1", {"modelspec.resolution": "768x768"}, 96), ("sd1", {"modelspec.resolution": "512x768"}, 64),
    ("sd2", {"modelspec.prediction_type": "v"}, 96), ("sd2", {"modelspec.prediction_type": "epsilon"}, 64),
])
def test_the_side_of_pictures_is_what_the_file_says_or_the_published_model_s(family, metadata, side):
    class Handle:
        def metadata(self):
            return metadata

    usual = single_file.BASE_SIDE.get(metadata.get("modelspec.prediction_type")) if family == "sd2" else None
    assert (single_file._side(Handle(), usual) or published.UNETS[family]["sample_size"]) == side


@pytest.mark.parametrize(("family", "unet", "texts"), [
    ("sd1", 859_520_964, [123_060_480]), ("sd2", 865_910_724, [340_387_840]),
    ("sdxl", 2_567_463_684, [123_060_480, 694_659_840]),
])
def test_what_is_shipped_makes_models_of_the_published_numbers_of_parameters(tmp_path, family, unet, texts):
    published.write_published(family, tmp_path)
    assert check_parts(tmp_path) == []
    with torch.device("meta"):
        made = [UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(tmp_path / "unet")),
                AutoencoderKL.from_config(AutoencoderKL.load_config(tmp_path / "vae"))]
        for n, name in enumerate(json.loads((tmp_path / f"text_encoder{end}/config.json").read_text())
                                 ["architectures"][0] for end in ("", "_2")[:len(texts)]):
            config = transformers.CLIPTextConfig.from_pretrained(tmp_path / ("text_encoder", "text_encoder_2")[n])
            made.append(getattr(transformers, name)(config))
    assert [sum(p.numel() for p in model.parameters()) for model in made] == [unet, 83_653_863, *texts]


def check_parts(folder: Path) -> list[str]:
    index = json.loads((folder / "model_index.json").read_text())
    return problems(folder, index, index["_class_name"])


@pytest.mark.parametrize(("family", "places", "padding"), [
    ("sd1", ["tokenizer"], [49407]), ("sd2", ["tokenizer"], [0]), ("sdxl", ["tokenizer", "tokenizer_2"], [49407, 0]),
])
def test_the_tokenizers_spell_as_clip_does(tmp_path, family, places, padding):
    published.write_published(family, tmp_path)
    for place, pad in zip(places, padding, strict=True):
        tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path / place)
        assert len(tokenizer) == 49408
        found = tokenizer("a photo of a cat", padding="max_length", max_length=10).input_ids
        assert found == [49406, 320, 1125, 539, 320, 2368, 49407, pad, pad, pad]
        assert tokenizer("A Photo of an astronaut riding a horse").input_ids == [
            49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 49407]
