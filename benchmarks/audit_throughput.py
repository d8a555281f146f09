"""Pictures a second of the audit's drawing against a plain loop over StableDiffusionPipeline, one picture at a time.

    python -m benchmarks.audit_throughput                     # the embedded model, two minutes on two cores
    python -m benchmarks.audit_throughput --pictures 8 --steps 2

Both draw the audit's own prompts and seeds with the same sampler, after a warm-up, in turns, the loop first. Loading is
not counted; reading the prompts is. The judge looks at both: `agree` is the share of pictures in which it sees the same
thing, `difference` the mean difference of a channel's levels (0..255). `ratio` is ours over the loop's.
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


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path, default=Path("policies/objects-ten.yaml"))
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--pictures", type=int, default=192)
    parser.add_argument("--batch", type=int, default=None, help="default the plan's own")
    parser.add_argument("--steps", type=int, default=None, help="default the plan's own")
    parser.add_argument("--threads", type=int, default=2)
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

    theirs = StableDiffusionPipeline.from_pretrained(base.path, torch_dtype=torch.float32, local_files_only=True)
    theirs.set_progress_bar_config(disable=True)
    ours = load_pipeline(base.path, device="cpu")
    plain(theirs, prompts[:1], seeds[:1], settings)
    list(draw(ours, prompts[:2], seeds[:2], settings))
    seconds, pictures = {"loop": 0.0, "audit": 0.0}, {"loop": [], "audit": []}
    for turn in range(ROUNDS):
        part = slice(turn * len(prompts) // ROUNDS, (turn + 1) * len(prompts) // ROUNDS)
        for name, way in (("loop", lambda *a: plain(theirs, *a)), ("audit", lambda *a: list(draw(ours, *a)))):
            start = time.perf_counter()
            pictures[name] += way(prompts[part], seeds[part], settings)
            seconds[name] += time.perf_counter() - start
    gaps = [float(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean())
            for a, b in zip(*pictures.values(), strict=True)]
    seen = [Judge.load().labels([image.resize((32, 32)) for image in each]) for each in pictures.values()]
    agree = sum(a == b for a, b in zip(*seen, strict=True))
    rates = {name: len(prompts) / value for name, value in seconds.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.2f} pictures a second")
    print(f"the judge sees the same in {agree} of {len(prompts)}")
    result = {
        "benchmark": "audit_throughput", "baseline": "StableDiffusionPipeline, one prompt at a time, float32",
        "ratio": round(rates["audit"] / rates["loop"], 2), "rates": {n: round(r, 2) for n, r in rates.items()},
        "pictures": len(prompts), "batch": settings.batch, "steps": settings.steps, "threads": args.threads,
        "agree": agree, "agree_low": round(bounds(agree, len(prompts), 0.95)[0], 3),
        "difference": round(float(np.mean(gaps)), 3), "worst_difference": round(max(gaps), 3),
        "bfloat16": torch.cpu.get_capabilities().get("avx512_bf16", False),
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
