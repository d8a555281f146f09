"""Which family a model is of, told from its files, and whether an erasure of its kind has been measured. No torch.

    sd1    Stable Diffusion 1.x and its finetunes: one CLIP text encoder
    sd2    Stable Diffusion 2.x: one OpenCLIP text encoder, linear projections around attention, often v-prediction
    sdxl   Stable Diffusion XL: two text encoders side by side, a pooled text vector and picture sizes besides
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mace_gov.core.errors import ModelError
from mace_gov.documents.plan import Family

PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
"""Pipeline classes that can be read."""

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
    """Component folders of a pipeline's text encoders, in the order in which their states stand side by side."""
    return ("text_encoder", "text_encoder_2") if pipeline == "StableDiffusionXLPipeline" else ("text_encoder",)


def anatomy(pipeline: str, unet: Mapping[str, Any], texts: Sequence[Mapping[str, Any]]) -> Anatomy:
    """Tell the family from the pipeline's class and the configurations of U-Net and text encoders.

    Raises ModelError when the parts do not fit together: such a model does not draw at all.
    """
    widths = [text.get("hidden_size") for text in texts]
    if not all(isinstance(width, int) for width in widths):
        raise ModelError(f"text_encoder/config.json has hidden_size = {widths}, expected whole numbers")
    width, read = sum(widths), unet.get("cross_attention_dim")
    reads = set(read) if isinstance(read, list) else {read}
    if reads != {width}:
        raise ModelError(f"cross-attention reads width {read}, the text encoders give {' + '.join(map(str, widths))}")
    if pipeline == "StableDiffusionXLPipeline":
        family: Family = "sdxl"
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
