"""Tiny random pipelines with joint attention, in the shapes of Stable Diffusion 3 and FLUX."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.conftest import WORDS, write_tokenizer_files

WIDTH = 512
"""Of the context: more directions than an erasure of one prompt asks for."""


def build_joint_model(folder: Path, family: str) -> Path:
    """16-pixel pictures, 8 x 8 latents; T5 knows the test's words whole."""
    import diffusers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
        PreTrainedTokenizerFast,
        T5Config,
        T5EncoderModel,
    )

    words = folder.parent / f"{folder.name}-tokenizer"
    write_tokenizer_files(words)
    clip = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77)
    vocabulary = {word: n for n, word in enumerate(dict.fromkeys(["<pad>", "</s>", "<unk>", *WORDS.split()]))}
    spelling = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    spelling.pre_tokenizer = pre_tokenizers.Whitespace()
    spelling.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    t5 = PreTrainedTokenizerFast(tokenizer_object=spelling, eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
                                 model_max_length=512)

    def text(width: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=len(clip), hidden_size=width, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=77, bos_token_id=clip.bos_token_id, eos_token_id=clip.eos_token_id,
            pad_token_id=clip.eos_token_id, projection_dim=40, initializer_range=0.2,
        )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reader = T5EncoderModel(T5Config(vocab_size=len(vocabulary), d_model=WIDTH, d_kv=16, d_ff=64, num_layers=2,
                                         num_heads=4, pad_token_id=0, eos_token_id=1))
        vae = diffusers.AutoencoderKL(
            block_out_channels=(8, 8), norm_num_groups=4, sample_size=16, mid_block_add_attention=False,
            latent_channels=4, shift_factor=0.06, scaling_factor=1.5, down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        )
        shared = {"scheduler": diffusers.FlowMatchEulerDiscreteScheduler(), "vae": vae, "tokenizer": clip}
        if family == "sd3":
            transformer = diffusers.SD3Transformer2DModel(
                sample_size=8, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
                joint_attention_dim=WIDTH, caption_projection_dim=32, pooled_projection_dim=80, out_channels=4,
                pos_embed_max_size=16,
            )
            pipe = diffusers.StableDiffusion3Pipeline(
                transformer=transformer, text_encoder=CLIPTextModelWithProjection(text(64)), text_encoder_3=reader,
                text_encoder_2=CLIPTextModelWithProjection(text(96)), tokenizer_2=clip, tokenizer_3=t5, **shared,
            )
        else:
            transformer = diffusers.FluxTransformer2DModel(
                in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
                joint_attention_dim=WIDTH, pooled_projection_dim=64, axes_dims_rope=(4, 4, 8),
            )
            pipe = diffusers.FluxPipeline(
                transformer=transformer, text_encoder=CLIPTextModel(text(64)), text_encoder_2=reader, tokenizer_2=t5,
                **shared,
            )
    pipe.save_pretrained(folder, safe_serialization=True)
    for place in ("tokenizer", "tokenizer_2")[:2 if family == "sd3" else 1]:
        for name in ("vocab.json", "merges.txt"):
            (folder / place / name).write_bytes((words / name).read_bytes())
    (folder / "captions.txt").write_text("a cat on the street\na dog and a house\na person in the middle\n")
    return folder
