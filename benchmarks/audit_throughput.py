"""Pictures a second of the audit's drawing against diffusers' StableDiffusionPipeline, plain and at its best.

    python -m benchmarks.audit_throughput                     # the embedded model, some minutes on two cores
    python -m benchmarks.audit_throughput --compile --threads 1
    python -m benchmarks.audit_throughput --pictures 8 --steps 2

`loop` is what everybody writes first: one prompt at a time, float32. `diffusers` is what its guide advises: the prompts
of a batch in one call, the audit's own batch, channels last, the precision that the audit multiplies in, and with
--compile the U-Net's repeated blocks compiled. `audit` is ours. All draw the audit's own prompts and seeds with the
same sampler, after a warm-up, in turns. Loading and compiling are not counted; reading the prompts is. The judge looks
at the loop's and ours: `agree` is the share of pictures in which it sees the same thing, `difference` the mean
difference of a channel's levels (0..255). Rates are of CPU seconds, so that what else the machine does counts little;
`ratio` is ours over the loop's, `ratio_best` ours over diffusers' best.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL.Image import Image

from mace_gov.audit.metrics.intervals import bounds
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.precision import multiplies_in
from mace_gov.documents.plan import GenerationSettings
from mace_gov.embedded.judge import Judge
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

ROUNDS = 3
"""The pictures are drawn in so many turns, so that a slow spell of the machine meets both ways."""


def plain(pipe, prompts: list[str], seeds: list[int], settings: GenerationSettings) -> list[Image]:
    """The loop that everybody writes first."""
    return [
        pipe(prompt, num_inference_steps=settings.steps, guidance_scale=settings.guidance, height=settings.size,
             width=settings.size, generator=torch.Generator().manual_seed(seed)).images[0]
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]


def loaded(path: str, dtype: torch.dtype) -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline.from_pretrained(path, torch_dtype=dtype, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def batched(pipe, prompts: list[str], seeds: list[int], settings: GenerationSettings) -> list[Image]:
    """A batch of prompts in each call."""
    made = []
    for start in range(0, len(prompts), settings.batch):
        part = slice(start, start + settings.batch)
        made += pipe(prompts[part], num_inference_steps=settings.steps, guidance_scale=settings.guidance,
                     height=settings.size, width=settings.size,
                     generator=[torch.Generator().manual_seed(seed) for seed in seeds[part]]).images
    return made


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path, default=Path("policies/objects-ten.yaml"))
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--pictures", type=int, default=192)
    parser.add_argument("--batch", type=int, default=None, help="default the plan's own")
    parser.add_argument("--steps", type=int, default=None, help="default the plan's own")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="the best baseline's U-Net too; needs a compiler")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    policy = load_policy(args.policy).policy
    base = read_manifest(args.model or policy.spec.model.ref)
    plan = make_plan(policy, base)
    asked = {name: value for name, value in (("batch", args.batch), ("steps", args.steps)) if value}
    settings = plan.generation.model_copy(update=asked)
    probes = build_probes(Asking(policy, lexicon_for(base), plan.templates))
    probes = [probes[i * len(probes) // args.pictures] for i in range(args.pictures)]
    prompts, seeds = [probe.prompt for probe in probes], [probe.seed for probe in probes]

    theirs, precision = loaded(base.path, torch.float32), multiplies_in(torch.device("cpu"))
    best, ours = loaded(base.path, precision), load_pipeline(base.path, device="cpu")
    for part in (best.unet, best.vae):
        part.to(memory_format=torch.channels_last)
    if args.compile:
        best.unet.compile_repeated_blocks()
    ways = {"loop": lambda *asked: plain(theirs, *asked), "diffusers": lambda *asked: batched(best, *asked),
            "audit": lambda *asked: list(draw(ours, *asked))}
    warm = settings.model_copy(update={"steps": 2})
    for way in ways.values():  # a whole batch, since what is compiled is compiled for its shape
        way(prompts[:settings.batch], seeds[:settings.batch], warm)
    seconds, wall, pictures = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0), {name: [] for name in ways}
    for turn in range(ROUNDS):
        part = slice(turn * len(prompts) // ROUNDS, (turn + 1) * len(prompts) // ROUNDS)
        for name, way in ways.items():
            start, begun = time.process_time(), time.perf_counter()
            pictures[name] += way(prompts[part], seeds[part], settings)
            seconds[name] += time.process_time() - start
            wall[name] += time.perf_counter() - begun
    compared = pictures["loop"], pictures["audit"]
    gaps = [float(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()) for a, b in zip(*compared, strict=True)]
    seen = [Judge.load().labels([image.resize((32, 32)) for image in each]) for each in compared]
    agree = sum(a == b for a, b in zip(*seen, strict=True))
    rates = {name: len(prompts) / value for name, value in seconds.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.2f} pictures a CPU second, {len(prompts) / wall[name]:.2f} a second by the clock")
    print(f"the judge sees the same in {agree} of {len(prompts)}")
    result = {
        "benchmark": "audit_throughput", "baseline": "StableDiffusionPipeline, one prompt at a time, float32",
        "ratio": round(rates["audit"] / rates["loop"], 2),
        "ratio_best": round(rates["audit"] / rates["diffusers"], 2),
        "compiled": args.compile, "precision": str(precision).removeprefix("torch."),
        "rates": {n: round(r, 2) for n, r in rates.items()},
        "pictures": len(prompts), "batch": settings.batch, "steps": settings.steps, "threads": args.threads,
        "agree": agree, "agree_low": round(bounds(agree, len(prompts), 0.95)[0], 3),
        "difference": round(float(np.mean(gaps)), 3), "worst_difference": round(max(gaps), 3),
        "bfloat16": torch.cpu.get_capabilities().get("avx512_bf16", False),
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
