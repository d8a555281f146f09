"""Which family a model is of, told from its files, and whether an erasure of its kind has been measured. No torch.

    sd1    Stable Diffusion 1.x and its finetunes: one CLIP text encoder
    sd2    Stable Diffusion 2.x: one OpenCLIP text encoder, linear projections around attention, often v-prediction
    sdxl   Stable Diffusion XL: two text encoders side by side, a pooled text vector and picture sizes besides
    sd3    Stable Diffusion 3: two CLIP encoders and T5, text and picture in joint attention
    flux   FLUX: T5, and one CLIP encoder's pooled text
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mace_gov.core.errors import ModelError
from mace_gov.documents.plan import Family

TEXTS = {
    "StableDiffusionPipeline": ("text_encoder",),
    "StableDiffusionXLPipeline": ("text_encoder", "text_encoder_2"),
    "StableDiffusion3Pipeline": ("text_encoder", "text_encoder_2", "text_encoder_3"),
    "FluxPipeline": ("text_encoder", "text_encoder_2"),
}
"""By pipeline class: folders of its text encoders, in the order in which their states stand side by side."""

JOINT: dict[str, Family] = {"StableDiffusion3Pipeline": "sd3", "FluxPipeline": "flux"}
"""Pipelines whose text enters by joint attention, with their family."""

PIPELINES = tuple(TEXTS)
"""Pipeline classes that can be read."""

_TRANSFORMERS = {
    "text_encoder": ("CLIPTextModel", "CLIPTextModelWithProjection"),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast", "TokenizersBackend"),
    "image_encoder": ("CLIPVisionModelWithProjection", "SiglipVisionModel"),
    "feature_extractor": ("CLIPFeatureExtractor", "CLIPImageProcessor", "CLIPImageProcessorFast",
                          "CLIPImageProcessorPil", "SiglipImageProcessor", "SiglipImageProcessorFast",
                          "SiglipImageProcessorPil"),
}
_T5 = {"text_encoder": ("T5EncoderModel",), "tokenizer": ("T5Tokenizer", "T5TokenizerFast", "TokenizersBackend")}
_READS_T5 = {"StableDiffusion3Pipeline": "_3", "FluxPipeline": "_2"}
"""Which of a pipeline's text encoders is a T5."""

_SCHEDULERS = (
    "DDIMScheduler", "DDPMScheduler", "DEISMultistepScheduler", "DPMSolverMultistepScheduler", "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler", "EDMEulerScheduler", "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler", "LCMScheduler", "LMSDiscreteScheduler", "PNDMScheduler", "TCDScheduler",
    "UniPCMultistepScheduler",
)
_DENOISERS = {"StableDiffusion3Pipeline": "SD3Transformer2DModel", "FluxPipeline": "FluxTransformer2DModel"}

OPTIONAL = ("safety_checker", "feature_extractor", "image_encoder")
"""Parts that a model may do without."""

PICTURE_CHANNELS = 4
"""Latent channels of a text-to-image model; inpainting and depth models read more."""


@dataclass(frozen=True)
class Anatomy:
    """What a model's configuration says about its text."""

    family: Family
    """See above."""
    text_width: int
    """Width d of the states that cross-attention reads."""
    unmeasured: tuple[str, ...]
    """Why nobody has measured what an erasure does to such a model; empty when somebody has."""


def text_encoders(pipeline: str) -> tuple[str, ...]:
    """Component folders of a pipeline's text encoders, see TEXTS."""
    return TEXTS[pipeline]


def denoiser_folder(pipeline: str) -> str:
    """Component folder of what predicts the noise."""
    return "transformer" if pipeline in JOINT else "unet"


def classes(pipeline: str) -> dict[str, set[tuple[str, str]]]:
    """By part of a pipeline: library and class of what it may be, as model_index.json names them."""
    def of(library: str, *names: str) -> set[tuple[str, str]]:
        return {(library, name) for name in names}

    found = {"scheduler": of("diffusers", *_SCHEDULERS), "vae": of("diffusers", "AutoencoderKL"),
             denoiser_folder(pipeline): of("diffusers", _DENOISERS.get(pipeline, "UNet2DConditionModel"))}
    for place in text_encoders(pipeline):
        number = place.removeprefix("text_encoder")
        names = _T5 if _READS_T5.get(pipeline) == number else _TRANSFORMERS
        found |= {f"{part}{number}": of("transformers", *names[part]) for part in ("text_encoder", "tokenizer")}
    found |= {part: of("transformers", *_TRANSFORMERS[part]) for part in ("image_encoder", "feature_extractor")}
    if pipeline == "StableDiffusionPipeline":
        found["safety_checker"] = of("stable_diffusion", "StableDiffusionSafetyChecker")
    return found


def anatomy(pipeline: str, unet: Mapping[str, Any], texts: Sequence[Mapping[str, Any]]) -> Anatomy:
    """Tell the family from the pipeline's class and the configurations of U-Net and text encoders.

    Raises ModelError when the parts do not fit together: such a model does not draw at all.
    """
    if pipeline in JOINT:
        family = JOINT[pipeline]
        width = unet.get("joint_attention_dim")
        if not isinstance(width, int):
            raise ModelError(f"transformer/config.json has joint_attention_dim = {width!r}, expected a whole number")
        unknown = (f"support of {family} is experimental: where text enters it is edited in closed form, and what that "
                   "does to pictures is unknown")
        return Anatomy(family, width, (unknown,))
    blocks = [*unet.get("down_block_types", ()), unet.get("mid_block_type"), *unet.get("up_block_types", ())]
    if blocks != [None] and not any("CrossAttn" in (block or "") for block in blocks):
        raise ModelError(f"the U-Net has no cross-attention, its blocks are {', '.join(map(str, blocks))}: no text "
                         "reaches it")
    found = [text.get("hidden_size") for text in texts]
    widths = [width for width in found if isinstance(width, int)]
    if widths != found:
        raise ModelError(f"text_encoder/config.json has hidden_size = {found}, expected whole numbers")
    width, read = sum(widths), unet.get("cross_attention_dim")
    reads = set(read) if isinstance(read, list) else {read}
    if reads != {width}:
        raise ModelError(f"cross-attention reads width {read}, the text encoders give {' + '.join(map(str, widths))}")
    if pipeline == "StableDiffusionXLPipeline":
        family = "sdxl"
    else:
        family = "sd2" if unet.get("use_linear_projection") else "sd1"
    return Anatomy(family, width, tuple(_oddities(family, unet)))


def _oddities(family: Family, unet: Mapping[str, Any]) -> list[str]:
    found = []
    channels = unet.get("in_channels", PICTURE_CHANNELS)
    if channels != PICTURE_CHANNELS:
        found.append(f"its U-Net reads {channels} channels, expected {PICTURE_CHANNELS} (inpainting and depth models "
                     "read a picture besides the text)")
    added, expected = unet.get("addition_embed_type"), "text_time" if family == "sdxl" else None
    if added != expected:
        found.append(f"its U-Net adds embeddings of type {added!r}, expected {expected!r} for {family}")
    for key in ("class_embed_type", "encoder_hid_dim", "encoder_hid_dim_type"):
        if unet.get(key) is not None:
            found.append(f"its U-Net has {key} = {unet[key]!r}: text or images reach it by another way than "
                         "cross-attention alone")
    if unet.get("dual_cross_attention"):
        found.append("its U-Net reads two texts at once (dual_cross_attention)")
    return found
