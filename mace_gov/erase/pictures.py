"""The training pictures of stage 2: what the pristine base model draws for a concept, and where it looked meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save

from mace_gov.core.atomic import write_bytes
from mace_gov.diffusion.attention import record_attention
from mace_gov.diffusion.generate import sample
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.documents.reuse import derived_seed, pictures_key, training_templates


@dataclass(frozen=True)
class TrainingPictures:
    """n pictures of one concept. Latents are kept rather than pixels: that is what training reads."""

    latents: torch.Tensor
    """[n, c, h, w] float32, scaled as the U-Net reads them."""
    heat: torch.Tensor
    """[n, h, w] float32: attention to the concept's own tokens, mean over layers, heads and the middle steps."""


def training_pictures(pipe, plan: ErasurePlan, target: Target, cache: Path | None = None) -> TrainingPictures:
    """Draw the training pictures of a target with the base model, or take them from ``cache``."""
    file = cache / "pictures" / f"{pictures_key(plan, target)}.safetensors" if cache is not None else None
    if file is not None and file.is_file():
        return TrainingPictures(**load_file(file))
    reader = TextReader.of(pipe)
    prompts = [reader.fill(template, target.target) for template in training_templates(plan, target)]
    text, empty = reader.conditions(prompts), reader.conditions([""])
    seed = derived_seed(plan.seed, target.id)
    latents, heat = [], []
    for start in range(0, len(prompts), plan.generation.batch):
        part = slice(start, start + plan.generation.batch)
        positions = [prompt.positions for prompt in prompts[part]]
        seeds = [seed + n for n in range(start, start + len(positions))]
        drawn, looked = _draw(pipe, plan, text[part], empty, seeds, positions)
        latents.append(drawn)
        heat.append(looked)
    pictures = TrainingPictures(torch.cat(latents), torch.cat(heat))
    if file is not None:
        write_bytes(file, save({"latents": pictures.latents, "heat": pictures.heat}))
    return pictures


def _draw(pipe, plan, text, empty, seeds, positions) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents [n, c, h, w] and heat [n, h, w], both float32 on the CPU."""
    first, last = plan.generation.steps // 3, max(2 * plan.generation.steps // 3, plan.generation.steps // 3 + 1)
    side = plan.generation.size // pipe.vae_scale_factor
    heat, passes = torch.zeros(len(positions), side, side), 0

    def gather(record) -> None:
        for attention in record.maps.values():  # [2n or n, heads, pixels, L]
            attention = attention[-len(positions):].float().mean(1)  # [n, pixels, L]
            own = torch.stack([a[:, p].sum(-1) for a, p in zip(attention, positions, strict=True)])  # [n, pixels]
            edge = round(own.shape[1] ** 0.5)
            grid = own.view(len(positions), 1, edge, edge)
            heat.add_(F.interpolate(grid, (side, side), mode="bilinear", align_corners=False)[:, 0].cpu())

    with record_attention(pipe.unet) as record:
        def on_step(index: int, _latents: torch.Tensor) -> None:
            nonlocal passes
            if first < index <= last:  # the pass before this step was one of the middle ones
                gather(record)
                passes += len(record.maps)
            record.clear()

        latents = sample(pipe, text, empty, seeds, plan.generation, on_step=on_step)
        if passes == 0:  # so few steps that the last one is the middle one
            gather(record)
            passes = len(record.maps)
    return latents.float().cpu(), heat / passes
