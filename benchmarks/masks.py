"""How well do the attention's masks lie over the things that they are masks of? On pictures whose true mask is known.

    npm pack emoji-datasource-google@16.0.0 && tar xf emoji-datasource-google-16.0.0.tgz       # unpacks to package/
    python -m benchmarks.masks --emoji package

A sprite has an alpha channel; composed on a ground as the embedded model's training pictures are, its true mask is
known. The picture is encoded, noised to each step of the sampler, and read once under a caption that names it, so that
attention is recorded over the middle steps as while a training picture is drawn (mace_gov/erase/training_pictures.py);
the mask is the one that training takes of it (mace_gov/erase/masks.py), at the latents' resolution. Intersection over
union (IoU) with the true mask, mean over concepts of each one's mean, 95 % t intervals over concepts. `trained`: shifts
and scales as in training; `aside`: half the size, anywhere, which the model never saw. Baselines of the same run: the
whole picture, and a centred disc of the mask's own area; `ratio` is the attention's IoU over the disc's, as trained.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from scipy import stats

from mace_gov.diffusion import generate
from mace_gov.diffusion.denoising import encode_pictures, levels_of
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan, GenerationSettings
from mace_gov.documents.policy import Kind
from mace_gov.embedded import Concept, vocabulary
from mace_gov.erase import training_pictures
from mace_gov.erase.masks import cells, largest_component, otsu_mask
from mace_gov.plan.build import generation_settings
from mace_gov.plan.templates import templates_for

SPRITE, DRAWN = 64, 54
"""Pixels of a sprite, and of what is drawn in it; pictures are half as large (training/catalogue.py, rendering.py)."""
GROUNDS = [(214, 70, 70), (150, 105, 75), (248, 226, 110), (110, 180, 110), (96, 150, 220), (160, 120, 200),
           (150, 150, 150), (250, 250, 250)]
"""Of the training pictures (training/paths.py)."""
PLACES = ("trained", "aside")


def sprite(emoji: Path, concept: Concept) -> Image.Image | None:
    """RGBA, SPRITE pixels a side; None where the set lacks it."""
    file = emoji / "img" / "google" / "64" / f"{concept.emoji}.png"
    if not file.is_file():
        return None
    image = Image.open(file).convert("RGBA")
    image.thumbnail((DRAWN, DRAWN), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (SPRITE, SPRITE))
    canvas.paste(image, ((SPRITE - image.width) // 2, (SPRITE - image.height) // 2))
    return canvas


def composed(layer: Image.Image, place: str, rng: np.random.Generator, side: int) -> tuple[Image.Image, np.ndarray]:
    """A picture of ``side`` pixels with the sprite on a ground, and its alpha in 0..1 [side, side]."""
    scale = rng.uniform(1.0, 1.12) if place == "trained" else 0.5
    free = (1 - scale) * SPRITE / 2
    shift = rng.uniform(-0.03, 0.03, 2) * SPRITE if place == "trained" else rng.uniform(-free, free, 2)
    middle = SPRITE / 2
    moved = layer.transform(  # each pixel comes from: middle + (pixel - middle - shift) / scale
        layer.size, Image.Transform.AFFINE,
        (1 / scale, 0, middle - (middle + shift[0]) / scale, 0, 1 / scale, middle - (middle + shift[1]) / scale),
        resample=Image.Resampling.BICUBIC)
    ground = Image.new("RGBA", layer.size, (*GROUNDS[rng.integers(len(GROUNDS))], 255))
    ground.alpha_composite(moved)
    alpha = moved.getchannel("A").resize((side, side), Image.Resampling.BOX)
    return ground.convert("RGB").resize((side, side), Image.Resampling.BOX), np.asarray(alpha) / 255


def heat_of(pipe, generation: GenerationSettings, images: Sequence[Image.Image], prompts, seeds) -> torch.Tensor:
    """Attention to the concepts' own tokens in pictures that are given rather than drawn, [n, h, w]."""
    latents, reader = encode_pictures(pipe, images, generation.size), TextReader.of(pipe)
    noise = generate.initial_noise(pipe, [torch.Generator().manual_seed(seed) for seed in seeds], generation.size)

    def read(pipe, text, _empty, _seeds, settings, *, on_step: Callable[[int, torch.Tensor], None]) -> torch.Tensor:
        """Stands for ``sample``: the same passes, each on the true picture at its step's noise."""
        middle = range(settings.steps // 3, 2 * settings.steps // 3 + 1)  # the others are not looked at
        for index, step in enumerate(generate.schedule(pipe, settings.steps).timesteps):
            level = levels_of(pipe)[step]
            noisy = level.sqrt() * latents + (1 - level).sqrt() * noise.to(latents.device)
            on_step(index, noisy)
            if index in middle:
                with torch.no_grad():
                    generate.predict(pipe, noisy, step, text)
        return latents

    plan = ErasurePlan.model_construct(generation=generation)
    with mock.patch.object(training_pictures, "sample", read):  # all else is what training pictures are made by
        return training_pictures._draw(pipe, plan, reader.conditions(prompts), None, seeds,
                                       [prompt.positions for prompt in prompts])[1]


def disc(side: int, area: int) -> np.ndarray:
    """Bool [side, side]: the cells nearest to the middle, so many of them."""
    axis = np.arange(side) - (side - 1) / 2
    far = axis[:, None] ** 2 + axis[None] ** 2
    chosen = np.zeros(side * side, dtype=bool)
    chosen[np.argsort(far.ravel(), kind="stable")[:area]] = True
    return chosen.reshape(side, side)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two bool masks."""
    return float((one & other).sum() / max(1, (one | other).sum()))


def compared(heat: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """IoU of every mask with the true one."""
    every = otsu_mask(heat)
    mask = largest_component(every)
    own, round_ = overlap(mask, true), overlap(disc(len(true), int(mask.sum())), true)
    return {"attention": own, "all components": overlap(every, true),
            "disc of its area": round_, "more than the disc": own - round_,
            "whole picture": overlap(np.ones_like(true), true), "true area": float(true.mean()),
            "mask's area": float(mask.mean())}


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % t interval."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, mean - reach, mean + reach


def measured(pipe, generation: GenerationSettings, emoji: Path, concepts: Sequence[Concept], count: int, place: str
             ) -> dict[str, list[float]]:
    """By kind of mask: the mean over ``count`` pictures of each concept."""
    templates, reader, found = templates_for(Kind.OBJECT), TextReader.of(pipe), {}
    for number, concept in enumerate(concepts):
        layer = sprite(emoji, concept)
        if layer is None:
            continue
        rng = np.random.default_rng([number, PLACES.index(place)])
        made = [composed(layer, place, rng, generation.size) for _ in range(count)]
        prompts = [reader.fill(templates[(number + n) % len(templates)], concept.name) for n in range(count)]
        heat = heat_of(pipe, generation, [image for image, _ in made], prompts,
                       [1000 * number + n for n in range(count)]).numpy()
        rows = [compared(own, cells(torch.from_numpy(alpha) >= 0.5, own.shape[-1]).numpy())
                for own, (_, alpha) in zip(heat, made, strict=True)]
        for name in rows[0]:
            found.setdefault(name, []).append(float(np.mean([row[name] for row in rows])))
    return found


def main(arguments: Sequence[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emoji", type=Path, required=True, help="the unpacked package emoji-datasource-google")
    parser.add_argument("--concepts", type=int, help="so many of the model's objects; all by default")
    parser.add_argument("--pictures", type=int, default=4, help="of each concept")
    args = parser.parse_args(arguments)
    base = read_manifest("embedded")
    pipe, generation = load_pipeline(base.path, device="cpu"), generation_settings(base)
    concepts = vocabulary().of_kind("object")[:args.concepts]
    result: dict = {"pictures": args.pictures}
    for place in PLACES:
        found = measured(pipe, generation, args.emoji, concepts, args.pictures, place)
        result[place] = {name: [round(value, 3) for value in interval(values)] for name, values in found.items()}
        result["concepts"] = len(next(iter(found.values())))
        for name, (mean, low, high) in result[place].items():
            print(f"{place:8} {name:18} {mean:.3f} [{low:.3f}, {high:.3f}], n = {result['concepts']} concepts")
    result["ratio"] = round(result["trained"]["attention"][0] / result["trained"]["disc of its area"][0], 3)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
