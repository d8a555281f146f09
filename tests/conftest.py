"""Fixtures that every stage may use: a tiny random pipeline in Stable Diffusion's own shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

WORDS = """
photo picture painting portrait of the a an in on with person wearing clothes sky ground street art ship boat truck cat
dog house nudity naked mira okafor teo lindqvist by style middle smiling
"""


def _alphabet() -> list[str]:
    """The 256 printable stand-ins that byte-level BPE gives to bytes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in plain] + [chr(256 + n) for n in range(256 - len(plain))]


def write_tokenizer_files(folder: Path) -> None:
    """vocab.json and merges.txt of a byte-level BPE that spells everything and knows a few words whole."""
    merges: list[tuple[str, str]] = []
    for word in WORDS.split():
        symbols = [*word[:-1], word[-1] + "</w>"]
        while len(symbols) > 1:
            pair = (symbols[0], symbols[1])
            if pair not in merges:
                merges.append(pair)
            symbols = [pair[0] + pair[1], *symbols[2:]]
    alphabet = _alphabet()
    entries = [*alphabet, *(c + "</w>" for c in alphabet), *dict.fromkeys(a + b for a, b in merges)]
    vocabulary = {entry: n for n, entry in enumerate([*entries, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), "utf-8")


def build_tiny_model(folder: Path, *, seed: int = 0, half: bool = False) -> Path:
    """A random StableDiffusionPipeline folder: text width 32, length 77, 16-pixel pictures, 8 x 8 latents."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    words = folder.parent / f"{folder.name}-tokenizer"
    write_tokenizer_files(words)
    tokenizer = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id, initializer_range=0.2,
        ))
        unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
            cross_attention_dim=32, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), mid_block_type="UNetMidBlock2DCrossAttn",
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 8), norm_num_groups=4, sample_size=16, mid_block_add_attention=False,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
                              clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )
    if half:
        pipe = pipe.to(dtype=torch.float16)
    pipe.save_pretrained(folder, safe_serialization=True)
    for name in ("vocab.json", "merges.txt"):
        (folder / "tokenizer" / name).write_bytes((words / name).read_bytes())
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random pipeline; read it, never write into it."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def half_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with half-precision weights, as the embedded model ships; read it, never write into it."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "half", half=True)
