"""Concepts per second of stage 2 when concepts share a forward pass, against one concept at a time.

    python benchmarks/lora_batching.py                    # 32 characters on the embedded model

Both ways train the same LoRAs on the same refined model, from the same pictures and seeds. `ratio` is our concepts per
second over those of one at a time. `first_loss_difference` and `loss_difference` are the largest differences between
two losses of the same concept, at the first step and at any, as a share of that concept's first loss. A product's last
digits depend on the batch and on the threads, and Adam's long steps magnify them; `loss_difference_by_threads` is what
one thread instead of several does to concepts trained alone, and shows how much of the former is that.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.erase.focal import focal_directions
from mace_gov.erase.lora import Training, train
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import refine, refined_weights
from mace_gov.erase.training_pictures import training_pictures
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

FEW = 8
"""Concepts that are trained alone a second time, on one thread."""


def losses_apart(ours: list[Training], theirs: list[Training], steps: int | None = None) -> float:
    """Largest difference of a loss at the same step, over that concept's first loss."""
    return max(
        abs(a - b) / other.losses[0]
        for one, other in zip(ours, theirs, strict=True)
        for a, b in zip(one.losses[:steps], other.losses[:steps], strict=True)
    )


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
    plan = plan.model_copy(update={"targets": targets})
    pipe = load_pipeline(plan.base.path)
    reader = TextReader.of(pipe)
    pictures = training_pictures(pipe, plan, targets, args.cache)
    preserve = preserve_term(reader, plan, args.cache)
    focal = targets[0].lora.init == "focal"
    directions = focal_directions(reader, plan, preserve, targets) if focal else None

    def run(batch: int, most: int | None = None) -> tuple[float, list[Training]]:
        start = time.perf_counter()
        batches = (targets[:most][at:at + batch] for at in range(0, len(targets[:most]), batch))
        trained = [one for some in batches for one in train(pipe, plan, some, pictures, directions)]
        return time.perf_counter() - start, trained

    with refined_weights(pipe.unet, refine(reader, plan, preserve).matrix):
        train(pipe, plan, targets[:1], pictures, directions)  # warm up
        alone, baseline = run(1)
        together, ours = run(plan.generation.batch)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        _, on_one_thread = run(1, FEW)
        torch.set_num_threads(threads)
    result = {
        "benchmark": "lora_batching", "concepts": len(targets), "steps": targets[0].lora.steps,
        "batch": plan.generation.batch,
        "baseline": "one concept at a time", "seconds": round(together, 2), "baseline_seconds": round(alone, 2),
        "concepts_per_second": round(len(targets) / together, 3),
        "first_loss_difference": losses_apart(ours, baseline, 1),
        "loss_difference": losses_apart(ours, baseline),
        "loss_difference_by_threads": losses_apart(on_one_thread, baseline[:FEW]),
        "ratio": round(alone / together, 2),
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
