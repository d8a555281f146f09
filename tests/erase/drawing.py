"""Tiny models of each family that can draw: trained here for seconds on three words, each of them one pattern."""

from __future__ import annotations

from pathlib import Path

import torch

from mace_gov.diffusion.generate import predict, sample
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.text import Conditions, TextReader
from mace_gov.documents.plan import GenerationSettings

WORDS = ("ship", "sky", "dog")
TEMPLATES = ("a photo of {}", "a painting of {}", "{} in the middle", "a picture of the {}")
SETTINGS = GenerationSettings(steps=8, guidance=2.0, size=16, batch=32)


def patterns() -> torch.Tensor:
    """What each word looks like: [words, 4, 8, 8], plus or minus one in blocks of 4 x 4, nearly at right angles."""
    signs = torch.randint(0, 2, (len(WORDS), 4, 2, 2), generator=torch.Generator().manual_seed(25)) * 2.0 - 1
    return signs.repeat_interleave(4, -1).repeat_interleave(4, -2)


def teach(folder: Path, *, steps: int, batch: int = 16, rate: float = 1e-2) -> None:
    """Train the U-Net in ``folder`` to draw every word's pattern, as its family does: what its scheduler says that it
    predicts. Of models with pooled text every other sample has nothing else to read, so that it matters."""
    pipe = load_pipeline(folder, device="cpu")
    chance = torch.Generator().manual_seed(0)
    prompts = [template.replace("{}", word) for word in WORDS for template in TEMPLATES]
    text = TextReader.of(pipe).conditions([*prompts, ""])
    pictures = patterns().repeat_interleave(len(TEMPLATES), 0)
    alphas = pipe.scheduler.alphas_cumprod
    pipe.unet.requires_grad_(True).train()
    optimiser = torch.optim.AdamW(pipe.unet.parameters(), lr=rate, weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(steps):
        picked = torch.randint(len(prompts), (batch,), generator=chance)
        clean, noise = pictures[picked], torch.randn(batch, 4, 8, 8, generator=chance)
        shown = torch.where(torch.rand(batch, generator=chance) < 0.1, len(prompts), picked)
        times = (len(alphas) * torch.rand(batch, generator=chance).sqrt()).long()
        level = alphas[times].view(-1, 1, 1, 1)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * noise
        velocity = level.sqrt() * noise - (1 - level).sqrt() * clean
        wanted = velocity if pipe.scheduler.config.prediction_type == "v_prediction" else noise
        read = text[shown]
        if read.pooled is not None:
            deaf = torch.rand(batch, 1, 1, generator=chance) < 0.5
            read = Conditions(torch.where(deaf, text.states[-1:], read.states), read.pooled)
        error = (predict(pipe, noisy, times, read) - wanted).square()
        if wanted is noise:  # words matter where noise is high, and there an error in the noise is small
            error = error / level.clamp_min(0.05)
        loss = error.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    pipe.unet.requires_grad_(False).eval()
    pipe.unet.save_pretrained(folder / "unet")


def drawn(pipe, word: str, *, seeds: int = 8, templates=TEMPLATES) -> dict[str, float]:
    """Of pictures asked for by ``word``: the share that is nearest to each word's pattern."""
    reader = TextReader.of(pipe)
    prompts = [template.replace("{}", word) for template in templates for _ in range(seeds)]
    latents = sample(pipe, reader.conditions(prompts), reader.conditions([""]), range(len(prompts)), SETTINGS)
    nearest = torch.cdist(latents.flatten(1), patterns().flatten(1)).argmin(1).tolist()
    return {each: nearest.count(n) / len(nearest) for n, each in enumerate(WORDS)}
