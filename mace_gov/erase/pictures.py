"""The training pictures of stage 2: what the pristine base model draws for a concept, and where it looked meanwhile."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save

from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import digest_of
from mace_gov.diffusion.attention import record_attention
from mace_gov.diffusion.generate import sample
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.drawable import may_draw
from mace_gov.documents.plan import ErasurePlan, Target

PICTURES_VERSION = 1
"""Raised whenever the same plan would draw other pictures or heat."""


@dataclass(frozen=True)
class TrainingPictures:
    """n pictures of one concept. Latents are kept rather than pixels: that is what training reads."""

    latents: torch.Tensor
    """[n, c, h, w] float32, scaled as the U-Net reads them."""
    heat: torch.Tensor
    """[n, h, w] float32: attention to the concept's own tokens, mean over layers, heads and the middle steps."""


def derived_seed(seed: int, name: str) -> int:
    """A seed of its own for ``name``, from the plan's seed and not from any order."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:7], "big")


def training_templates(plan: ErasurePlan, target: Target) -> list[str]:
    """One template per training picture, the plan's in turn."""
    return [plan.templates[n % len(plan.templates)] for n in range(target.lora.images)]


def drawable(plan: ErasurePlan, target: Target) -> bool:
    """Whether training pictures of a target may be made at all; what pairs minors with harm is refined, never drawn."""
    prompts = (template.replace("{}", target.target) for template in training_templates(plan, target))
    return all(may_draw(target.kind, prompt) for prompt in (target.target, *prompts))


def pictures_key(plan: ErasurePlan, target: Target) -> str:
    """Digest of everything that the training pictures depend on."""
    return digest_of({
        "what": f"pictures/v{PICTURES_VERSION}",
        "base": plan.base.digest,
        "seed": derived_seed(plan.seed, target.id),
        "target": target.target,
        "templates": training_templates(plan, target),
        "generation": plan.generation.to_json(),
    })


def training_pictures(pipe, plan: ErasurePlan, target: Target, cache: Path | None = None) -> TrainingPictures:
    """Draw the training pictures of a target with the base model, or take them from ``cache``."""
    file = cache / "pictures" / f"{pictures_key(plan, target)}.safetensors" if cache is not None else None
    if file is not None and file.is_file():
        return TrainingPictures(**load_file(file))
    reader = TextReader.of(pipe)
    prompts = [reader.fill(template, target.target) for template in training_templates(plan, target)]
    states = torch.stack(list(reader.states(prompts)))  # [n, L, d]
    empty = reader.encode([""])[0]  # [L, d]
    seed = derived_seed(plan.seed, target.id)
    latents, heat = [], []
    for start in range(0, len(prompts), plan.generation.batch):
        part = slice(start, start + plan.generation.batch)
        positions = [prompt.positions for prompt in prompts[part]]
        seeds = [seed + n for n in range(start, start + len(positions))]
        drawn, looked = _draw(pipe, plan, states[part], empty, seeds, positions)
        latents.append(drawn)
        heat.append(looked)
    pictures = TrainingPictures(torch.cat(latents), torch.cat(heat))
    if file is not None:
        write_bytes(file, save({"latents": pictures.latents, "heat": pictures.heat}))
    return pictures


def _draw(pipe, plan, states, empty, seeds, positions) -> tuple[torch.Tensor, torch.Tensor]:
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

        latents = sample(pipe, states, empty, seeds, plan.generation, on_step=on_step)
        if passes == 0:  # so few steps that the last one is the middle one
            gather(record)
            passes = len(record.maps)
    return latents.float().cpu(), heat / passes
