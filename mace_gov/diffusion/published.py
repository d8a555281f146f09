"""The published configurations of the families that come as single files, which hold weights alone. No torch.

Facts of Stable Diffusion 1.5, 2.1 and XL 1.0: a test holds the models that they make to the published numbers of
parameters. All of them spell with CLIP's byte-pair merges (clip/merges.txt.gz; OpenAI, MIT licence).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

MERGES = Path(__file__).parent / "clip" / "merges.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77

_UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "center_input_sample": False, "downsample_padding": 1,
    "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1,
    "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 4,
}
_FOUR_LEVELS = {
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
UNETS: dict[str, dict[str, Any]] = {
    "sd1": {**_UNET, **_FOUR_LEVELS, "attention_head_dim": 8, "cross_attention_dim": 768, "sample_size": 64},
    "sd2": {**_UNET, **_FOUR_LEVELS, "attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024,
            "sample_size": 96, "use_linear_projection": True},
    "sdxl": {**_UNET, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
             "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048,
             "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
             "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
             "transformer_layers_per_block": [1, 2, 10],
             "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
             "use_linear_projection": True},
}
_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4, "in_channels": 3, "latent_channels": 4, "layers_per_block": 2,
    "norm_num_groups": 32, "out_channels": 3, "up_block_types": ["UpDecoderBlock2D"] * 4,
}
VAES: dict[str, dict[str, Any]] = {
    "sd1": {**_VAE, "sample_size": 512, "scaling_factor": 0.18215},
    "sd2": {**_VAE, "sample_size": 768, "scaling_factor": 0.18215},
    "sdxl": {**_VAE, "force_upcast": True, "sample_size": 1024, "scaling_factor": 0.13025},
}
_TEXT: dict[str, Any] = {
    "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0, "eos_token_id": 2, "initializer_factor": 1.0,
    "initializer_range": 0.02, "layer_norm_eps": 1e-05, "max_position_embeddings": LENGTH,
    "model_type": "clip_text_model", "pad_token_id": 1, "vocab_size": 49408,
}
_CLIP_L = {**_TEXT, "architectures": ["CLIPTextModel"], "hidden_act": "quick_gelu", "hidden_size": 768,
           "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12, "projection_dim": 768}
TEXTS: dict[str, list[dict[str, Any]]] = {
    "sd1": [_CLIP_L],
    "sd2": [{**_TEXT, "architectures": ["CLIPTextModel"], "hidden_act": "gelu", "hidden_size": 1024,
             "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 23, "projection_dim": 512}],
    "sdxl": [_CLIP_L, {**_TEXT, "architectures": ["CLIPTextModelWithProjection"], "hidden_act": "gelu",
                       "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20,
                       "num_hidden_layers": 32, "projection_dim": 1280}],
}
PADDING = {"sd1": [END], "sd2": ["!"], "sdxl": [END, "!"]}
"""What each tokenizer fills a prompt up with."""

_SCHEDULE: dict[str, Any] = {
    "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False,
    "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
    "trained_betas": None,
}
SCHEDULERS: dict[str, dict[str, Any]] = {
    "sd1": {**_SCHEDULE, "_class_name": "PNDMScheduler", "prediction_type": "epsilon"},
    "sd2": {**_SCHEDULE, "_class_name": "DDIMScheduler", "prediction_type": "v_prediction"},
    "sdxl": {**_SCHEDULE, "_class_name": "EulerDiscreteScheduler", "interpolation_type": "linear",
             "prediction_type": "epsilon", "sample_max_value": 1.0, "timestep_spacing": "leading",
             "use_karras_sigmas": False},
}


def write_published(family: str, out: Path) -> None:
    """Write a family's diffusers folder without its weights into the folder ``out``: configurations and tokenizers."""
    xl, texts = family == "sdxl", TEXTS[family]
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline",
        "scheduler": ["diffusers", SCHEDULERS[family]["_class_name"]], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "feature_extractor": [None, None], "image_encoder": [None, None],
        **({"force_zeros_for_empty_prompt": True} if xl else
           {"safety_checker": [None, None], "requires_safety_checker": False}),
    }
    files: dict[str, Any] = {
        "scheduler/scheduler_config.json": SCHEDULERS[family], "unet/config.json": UNETS[family],
        "vae/config.json": VAES[family],
    }
    for n, (text, padding) in enumerate(zip(texts, PADDING[family], strict=True)):
        number = "" if n == 0 else f"_{n + 1}"
        index |= {f"text_encoder{number}": ["transformers", text["architectures"][0]],
                  f"tokenizer{number}": ["transformers", "CLIPTokenizer"]}
        special = {"bos_token": START, "eos_token": END, "pad_token": padding, "unk_token": END}
        files |= {
            f"text_encoder{number}/config.json": text, f"tokenizer{number}/vocab.json": vocabulary(),
            f"tokenizer{number}/special_tokens_map.json": special,
            f"tokenizer{number}/tokenizer_config.json": {
                **special, "add_prefix_space": False, "do_lower_case": True, "errors": "replace",
                "model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer"},
        }
        _write(out / f"tokenizer{number}" / "merges.txt", "#version: 0.2\n" + "\n".join(merges()) + "\n")
    for name, value in {"model_index.json": index, **files}.items():
        _write(out / name, json.dumps(value, ensure_ascii=False, indent=None if "vocab" in name else 2))


def merges() -> list[str]:
    """CLIP's byte-pair merges in their order."""
    return gzip.decompress(MERGES.read_bytes()).decode("utf-8").splitlines()[1:]


def vocabulary() -> dict[str, int]:
    """CLIP's tokens: bytes, bytes that end a word, what the merges make, begin and end."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = [chr(byte) for byte in plain] + [chr(256 + n) for n in range(256 - len(plain))]
    words = [*alphabet, *(byte + "</w>" for byte in alphabet), *(pair.replace(" ", "") for pair in merges())]
    return {word: n for n, word in enumerate([*words, START, END])}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
