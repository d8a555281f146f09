"""Names of weights in the single-file layout that other tools load, for every weight of a diffusers folder.

One table serves both directions. The layout is a matter of fact: the names that Stable Diffusion 1, 2 and XL were first
published under, with OpenCLIP's fused query-key-value matrices in the text encoders of 2 and XL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mace_gov.core.errors import ModelError


@dataclass(frozen=True)
class Place:
    """Where one weight of a diffusers folder stands in a single file."""

    name: str
    """Name in the single file."""
    third: int | None = None
    """Which third of a fused query-key-value matrix it is."""
    transposed: bool = False
    """Rows and columns change places."""
    pointwise: bool = False
    """A matrix here, a 1 x 1 convolution there."""


COMPONENTS = {
    "sd1": {"unet": "model.diffusion_model.", "vae": "first_stage_model.",
            "text_encoder": "cond_stage_model.transformer.text_model."},
    "sd2": {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text_encoder": "cond_stage_model.model."},
    "sdxl": {"unet": "model.diffusion_model.", "vae": "first_stage_model.",
             "text_encoder": "conditioner.embedders.0.transformer.text_model.",
             "text_encoder_2": "conditioner.embedders.1.model."},
}
"""By family and component folder: what every name of it begins with in a single file."""

OTHER_PREFIXES = {
    ("sd1", "text_encoder"): ("cond_stage_model.transformer.",),
    ("sd2", "text_encoder"): ("conditioner.embedders.0.model.",),
    ("sdxl", "text_encoder"): ("conditioner.embedders.0.transformer.",),
}
"""Under which else merges and distilled models keep a component."""

OPEN_CLIP = {("sd2", "text_encoder"), ("sdxl", "text_encoder_2")}
"""Text encoders that single files hold under OpenCLIP's names; the others keep their own."""

_RESNET = [(".norm1.", ".in_layers.0."), (".conv1.", ".in_layers.2."), (".time_emb_proj.", ".emb_layers.1."),
           (".norm2.", ".out_layers.0."), (".conv2.", ".out_layers.3."), (".conv_shortcut.", ".skip_connection.")]
_VAE_INSIDE = [(".conv_shortcut.", ".nin_shortcut."), (".group_norm.", ".norm."), (".to_q.", ".q."), (".to_k.", ".k."),
               (".to_v.", ".v."), (".to_out.0.", ".proj_out.")]
_TEXT_INSIDE = [("encoder.layers.", "transformer.resblocks."), (".layer_norm1.", ".ln_1."), (".layer_norm2.", ".ln_2."),
                (".mlp.fc1.", ".mlp.c_fc."), (".mlp.fc2.", ".mlp.c_proj."), (".self_attn.", ".attn."),
                ("embeddings.position_embedding.weight", "positional_embedding"),
                ("embeddings.token_embedding.", "token_embedding."), ("final_layer_norm.", "ln_final.")]


def places(family: str, component: str, names: Sequence[str], config: Mapping[str, Any]) -> dict[str, Place]:
    """A place for each weight ``names`` of a component folder, whose config.json is ``config``.

    Raises ModelError when the layout has no place for the family, or for one of its weights.
    """
    if family not in COMPONENTS:
        raise ModelError(f"no single-file layout is known for the family {family}, expected {', '.join(COMPONENTS)}",
                         hint="Export it as a diffusers folder.")
    prefix = COMPONENTS[family][component]
    if component == "unet":
        starts = _unet_starts(config)
        return {name: Place(prefix + _renamed(name, starts, _RESNET if ".resnets." in name else [])) for name in names}
    if component == "vae":
        starts = _vae_starts(config)
        return {name: Place(prefix + _renamed(name, starts, _VAE_INSIDE),
                            pointwise=bool(re.search(r"attentions\.0\.to_\w+(\.0)?\.weight$", name))) for name in names}
    if (family, component) not in OPEN_CLIP:
        return {name: Place(prefix + name.removeprefix("text_model.")) for name in names}
    return {name: _open_clip(prefix, name.removeprefix("text_model.")) for name in names}


def _renamed(name: str, starts: Sequence[tuple[str, str]], inside: Sequence[tuple[str, str]]) -> str:
    start = next(((ours, theirs) for ours, theirs in starts if name.startswith(ours)), None)
    if start is None:
        raise ModelError(f"the single-file layout has no place for the weight {name}")
    name = start[1] + name.removeprefix(start[0])
    for ours, theirs in inside:
        name = name.replace(ours, theirs)
    return name


def _unet_starts(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    if not isinstance(layers, int):
        raise ModelError(f"unet/config.json has layers_per_block = {layers!r}, expected one number for all levels")
    starts = [("conv_in.", "input_blocks.0.0."), ("conv_norm_out.", "out.0."), ("conv_out.", "out.2."),
              ("time_embedding.linear_1.", "time_embed.0."), ("time_embedding.linear_2.", "time_embed.2."),
              ("add_embedding.linear_1.", "label_emb.0.0."), ("add_embedding.linear_2.", "label_emb.0.2."),
              ("mid_block.resnets.0.", "middle_block.0."), ("mid_block.attentions.0.", "middle_block.1."),
              ("mid_block.resnets.1.", "middle_block.2.")]
    down, up = 1, 0
    for level in range(levels):
        for layer in range(layers):
            starts += [(f"down_blocks.{level}.resnets.{layer}.", f"input_blocks.{down}.0."),
                       (f"down_blocks.{level}.attentions.{layer}.", f"input_blocks.{down}.1.")]
            down += 1
        starts.append((f"down_blocks.{level}.downsamplers.0.conv.", f"input_blocks.{down}.0.op."))
        down += 1
        for layer in range(layers + 1):
            starts += [(f"up_blocks.{level}.resnets.{layer}.", f"output_blocks.{up}.0."),
                       (f"up_blocks.{level}.attentions.{layer}.", f"output_blocks.{up}.1.")]
            up += 1
        third = 2 if "CrossAttn" in config["up_block_types"][level] else 1
        starts.append((f"up_blocks.{level}.upsamplers.0.", f"output_blocks.{up - 1}.{third}."))
    return starts


def _vae_starts(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    levels = len(config["block_out_channels"])
    starts = [("quant_conv.", "quant_conv."), ("post_quant_conv.", "post_quant_conv.")]
    for half in ("encoder", "decoder"):
        starts += [(f"{half}.conv_in.", f"{half}.conv_in."), (f"{half}.conv_out.", f"{half}.conv_out."),
                   (f"{half}.conv_norm_out.", f"{half}.norm_out."),
                   (f"{half}.mid_block.resnets.0.", f"{half}.mid.block_1."),
                   (f"{half}.mid_block.resnets.1.", f"{half}.mid.block_2."),
                   (f"{half}.mid_block.attentions.0.", f"{half}.mid.attn_1.")]
    for level in range(levels):
        turned = levels - 1 - level  # the decoder's levels are counted from the other end
        starts += [(f"encoder.down_blocks.{level}.resnets.", f"encoder.down.{level}.block."),
                   (f"encoder.down_blocks.{level}.downsamplers.0.", f"encoder.down.{level}.downsample."),
                   (f"decoder.up_blocks.{level}.resnets.", f"decoder.up.{turned}.block."),
                   (f"decoder.up_blocks.{level}.upsamplers.0.", f"decoder.up.{turned}.upsample.")]
    return starts


def _open_clip(prefix: str, name: str) -> Place:
    if name == "text_projection.weight":
        return Place(f"{prefix}text_projection", transposed=True)
    fused = re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)", name)
    if fused:
        layer, part, kind = fused.groups()
        return Place(f"{prefix}transformer.resblocks.{layer}.attn.in_proj_{kind}", third="qkv".index(part))
    for ours, theirs in _TEXT_INSIDE:
        name = name.replace(ours, theirs)
    return Place(prefix + name)
