"""Concepts per second of stage 2 when concepts share a forward pass, against one concept at a time.

    python benchmarks/lora_training.py                    # 32 characters on the embedded model

Both ways train the same LoRAs from the same pictures and seeds. `loss_difference` is the largest relative difference
between any two losses of the same concept and step; `ratio` is our concepts per second over those of one at a time.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.erase.lora import train
from mace_gov.erase.pictures import training_pictures
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy


def main(argv: list[str] | None = None) -> dict:
    """Run both ways, print one JSON line and return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="?", default=Path("policies/characters-100.yaml"))
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--concepts", type=int, default=32)
    parser.add_argument("--steps", type=int, default=None, help="default: the preset's")
    parser.add_argument("--cache", type=Path, default=Path("registry/cache"), help="where training pictures are kept")
    args = parser.parse_args(argv)
    policy = load_policy(args.policy).policy
    plan = make_plan(policy, read_manifest(args.model or policy.spec.model.ref))
    targets = plan.targets[:args.concepts]
    if args.steps is not None:
        targets = [t.model_copy(update={"lora": t.lora.model_copy(update={"steps": args.steps})}) for t in targets]
    pipe = load_pipeline(plan.base.path)
    pictures = training_pictures(pipe, plan, targets, args.cache)
    most = plan.generation.batch
    train(pipe, plan, targets[:1], pictures)  # warm up

    def run(batch: int) -> tuple[float, list[list[float]]]:
        start = time.perf_counter()
        losses = [
            training.losses for at in range(0, len(targets), batch)
            for training in train(pipe, plan, targets[at:at + batch], pictures)
        ]
        return time.perf_counter() - start, losses

    alone, baseline = run(1)
    together, ours = run(most)
    difference = max(
        abs(one - other) / max(abs(other), 1e-9)
        for mine, theirs in zip(ours, baseline, strict=True) for one, other in zip(mine, theirs, strict=True)
    )
    result = {
        "benchmark": "lora_training", "concepts": len(targets), "steps": targets[0].lora.steps, "batch": most,
        "baseline": "one concept at a time", "seconds": round(together, 2), "baseline_seconds": round(alone, 2),
        "concepts_per_second": round(len(targets) / together, 3), "loss_difference": difference,
        "ratio": round(alone / together, 2),
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
