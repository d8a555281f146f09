"""What the three models are made of, and by which recipe. They share the world of pictures, nothing else.

plain   the shape of Stable Diffusion 1: one text encoder, narrower than 768, trained together with the U-Net (as in latent
        diffusion, Rombach et al. 2022), which predicts the noise
wide    the shape of Stable Diffusion 2: linear projections around attention, v-prediction, a text encoder of width 768 that
        a small CLIP of its own has trained beforehand
two     the shape of Stable Diffusion XL: two text encoders side by side, pooled text and picture sizes besides
"""
from dataclasses import dataclass

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

SIZE, LATENT, LENGTH = 32, 8, 77             # pixels a side, latents a side, text positions


@dataclass(frozen=True)
class Text:
    """One CLIP text encoder."""

    width: int
    layers: int
    mlp: int
    heads: int
    act: str
    projects: bool = False                   # CLIPTextModelWithProjection: it gives the pooled text


@dataclass(frozen=True)
class Recipe:
    """One model."""

    name: str
    seed: int                                # of weights, captions, tokenizer and renderings
    tokens: int                              # entries of the tokenizer
    templates: int                           # caption templates, drawn by the seed from words.TEMPLATES
    vae: tuple[int, ...]
    texts: tuple[Text, ...]
    joint: bool                              # the text encoder is trained with the U-Net, else beforehand as a small CLIP
    prediction: str
    unet: dict
    rate: float = 1e-3
    batch: int = 384

    @property
    def width(self) -> int:
        return sum(text.width for text in self.texts)


PLAIN = Recipe(
    "plain", 1009, tokens=1200, templates=36, vae=(16, 32, 48), texts=(Text(256, 2, 192, 4, "quick_gelu"),), joint=True,
    prediction="epsilon",
    unet={"block_out_channels": (64, 80), "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
          "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": (4, 5)})
WIDE = Recipe(
    "wide", 2003, tokens=900, templates=30, vae=(24, 32, 40), texts=(Text(768, 1, 96, 12, "gelu"),), joint=False,
    prediction="v_prediction",
    unet={"block_out_channels": (48, 80), "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
          "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": (3, 5),
          "use_linear_projection": True})
TWO = Recipe(
    "two", 3001, tokens=1300, templates=42, vae=(16, 32, 48),
    texts=(Text(128, 2, 256, 4, "quick_gelu"), Text(192, 2, 288, 6, "gelu", projects=True)), joint=False,
    prediction="epsilon",
    unet={"block_out_channels": (48, 64), "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
          "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "attention_head_dim": (3, 4),
          "use_linear_projection": True, "transformer_layers_per_block": (1, 2), "addition_embed_type": "text_time",
          "addition_time_embed_dim": 32, "projection_class_embeddings_input_dim": 192 + 6 * 32})
RECIPES = {recipe.name: recipe for recipe in (PLAIN, WIDE, TWO)}


def build_vae(recipe: Recipe) -> AutoencoderKL:
    kinds = len(recipe.vae)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * kinds, up_block_types=("UpDecoderBlock2D",) * kinds,
        block_out_channels=recipe.vae, layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=SIZE)


def build_text(text: Text, tokenizer) -> CLIPTextModel | CLIPTextModelWithProjection:
    kind = CLIPTextModelWithProjection if text.projects else CLIPTextModel
    return kind(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=text.width, intermediate_size=text.mlp, num_hidden_layers=text.layers,
        num_attention_heads=text.heads, hidden_act=text.act, max_position_embeddings=LENGTH, projection_dim=text.width,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))


def build_unet(recipe: Recipe) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=LATENT, in_channels=4, out_channels=4, layers_per_block=1, norm_num_groups=16,
        cross_attention_dim=recipe.width, **recipe.unet)


def schedule(recipe: Recipe) -> DDIMScheduler:
    """Stable Diffusion's own noise schedule."""
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                         set_alpha_to_one=False, steps_offset=1, prediction_type=recipe.prediction)
