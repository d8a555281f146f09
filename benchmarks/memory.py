"""How much memory an audit takes by its pictures, and an erasure by its concepts: does either grow?

    python -m benchmarks.memory                                        # some minutes on one core
    python -m benchmarks.memory --seeds 1 4 --concepts 10 100
    python -m benchmarks.memory --seeds --concepts --fused 10 100 1000    # seconds: the fusion of made-up LoRAs alone

Each number is of a process of its own: the largest resident memory beyond what it held before the work. The audit is
of made-up pictures (noise of 128 pixels, made in no time), looked at by the embedded model's judge, with everything
else as `audit` does it. The erasure is of invented people on the embedded model, every stage of it (preserve, refine,
training pictures of two steps, LoRAs of one step, fusion) with few captions, and without the bounds on what is an
erasure: nobody could erase a thousand invented names from it. The fusion is of LoRAs of noise for projections of the
embedded model's shapes, read from a cache, and writes its delta.

`each` is what one more prompt, with a picture of each model, or one more concept takes. `ratio` is the bytes of those
two pictures' pixels over that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from mace_gov.audit.engine import audit
from mace_gov.audit.inputs import AuditRun
from mace_gov.core.memory import peak_memory
from mace_gov.core.store import Store
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.plan import ClosedForm
from mace_gov.erase.engine import erase
from mace_gov.erase.fuse import fuse
from mace_gov.erase.lora_file import Learnt
from mace_gov.erase.methods import mace
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

SIDE = 128
"""Pixels of a made-up picture's side."""
ROWS, WIDTH = (128,) * 6 + (256,) * 8, 640
"""Rows and columns of the embedded model's projections."""

TEMPLATES = 3
"""Templates of the erasure."""
SYLLABLES = ("ba", "du", "fe", "gi", "ho", "ka", "lu", "me", "ni", "ro")


def audit_of(seeds: int, folder: Path, name: str) -> int:
    """An audit of ten objects with so many pictures a prompt; returns how many there are of each model."""
    policy = load_policy(Path("policies/objects-ten.yaml")).policy
    asked = policy.spec.audit.model_copy(update={"prompts": 2, "unrelated": 30, "seeds": seeds})
    policy = policy.model_copy(update={"spec": policy.spec.model_copy(update={"audit": asked})})
    base = read_manifest("embedded")
    governed = base.model_copy(update={"ref": "governed", "digest": "0" * 64})

    def noise(_model, prompts, drawn_from, _settings) -> Iterator[Image.Image]:
        for _prompt, seed in zip(prompts, drawn_from, strict=True):
            yield Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))

    made = audit(policy, base, governed, make_plan(policy, base).generation, folder / name,
                 AuditRun(cache=folder / f"{name}-cache", device="cpu", drawer=noise))
    return made.trials // 2


def erasure_of(concepts: int, folder: Path, name: str) -> int:
    """An erasure of so many invented people, all three stages; returns how many there are."""
    policy = load_policy(Path("policies/characters-1.yaml")).policy
    plan = make_plan(policy, read_manifest("embedded"))
    lora = plan.targets[0].lora.model_copy(update={"steps": 1, "images": 1})
    people = [plan.targets[0].model_copy(update={
        "id": f"person-{n}", "lora": lora, "other_names": None,
        "target": f"{SYLLABLES[n % 10]}{SYLLABLES[n // 10 % 10]} {SYLLABLES[n // 100 % 10]}{SYLLABLES[n % 7]}n"})
        for n in range(concepts)]
    plan = plan.model_copy(update={
        "targets": people, "templates": plan.templates[:TEMPLATES], "fit": None, "harden": None,
        "generation": plan.generation.model_copy(update={"steps": 2}),
        "preserve": plan.preserve.model_copy(update={"prior": "general", "namesake_scale": None})})
    # no bounds: nobody could erase a thousand invented names from it
    with patch.object(mace, "check_moved"), patch.object(mace, "lost_loras", return_value={}):
        erase(plan, folder / name, cache=folder / "cache", device="cpu")
    return concepts


def fusion_of(concepts: int, folder: Path, name: str) -> int:
    """The fusion of so many LoRAs of noise and the writing of its delta; returns how many there are."""
    chance, store = torch.Generator().manual_seed(0), Store(folder / "cache")
    for n in range(concepts):
        factors = {}
        for place, rows in enumerate(ROWS):
            factors[f"unet.{place}.lora_A.weight"] = torch.randn(1, WIDTH, generator=chance)
            factors[f"unet.{place}.lora_B.weight"] = 0.01 * torch.randn(rows, 1, generator=chance)
        store.put(f"{n}", save(factors))
    states = torch.randn(60, WIDTH, generator=chance, dtype=torch.float64)
    moment, none = states.T @ states, torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    learnt = Learnt({f"{n}": partial(store.get, f"{n}") for n in range(concepts)})
    delta, _ = fuse(torch.eye(WIDTH, dtype=torch.float64), concepts * moment, lambda _concept: moment, learnt,
                    ClosedForm(relative_ridge=1e-3), none, as_refined=True)
    delta.write(folder / name)
    print(f"a delta of {concepts} concepts: {(folder / name).stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    return concepts


WORK = {"audit": audit_of, "erasure": erasure_of, "fusion": fusion_of}


def measured(what: str, size: int) -> tuple[int, int]:
    """How many pictures or concepts there were, and the bytes beyond what the process held before, in a new process."""
    said = subprocess.run([sys.executable, "-m", "benchmarks.memory", "--one", what, str(size)], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    count, grown = json.loads(said.splitlines()[-1])
    return count, grown


def one(what: str, size: int) -> None:
    """The work itself, after a small one, so that what is loaded once is loaded."""
    with tempfile.TemporaryDirectory(prefix="mace-gov-memory-") as name:
        WORK[what](1 if what == "audit" else 2, Path(name), "before")
        with peak_memory() as before:
            pass
        with peak_memory() as peak:
            count = WORK[what](size, Path(name), "work")
    print(json.dumps([count, peak.bytes - before.bytes]))


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 4, 16], help="pictures of each prompt")
    parser.add_argument("--concepts", type=int, nargs="*", default=[10, 100])
    parser.add_argument("--fused", type=int, nargs="*", default=[10, 100, 1000], help="concepts of a fusion")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "SIZE"), help="what a process of its own does")
    args = parser.parse_args(argv)
    if args.one:
        one(args.one[0], int(args.one[1]))
        return {}
    result: dict = {"benchmark": "memory", "baseline": "a picture's pixels", "pixels": 3 * SIDE * SIDE}
    asked = {"audit": args.seeds, "erasure": args.concepts, "fusion": args.fused}
    for what, sizes in ((what, sizes) for what, sizes in asked.items() if sizes):
        found = [measured(what, size) for size in sizes]
        for count, grown in found:
            print(f"{what} of {count}: {grown / 2**20:.1f} MiB beyond what was there")
        (few, little), (many, much) = found[0], found[-1]
        result[what] = {"sizes": [count for count, _ in found], "bytes": [grown for _, grown in found],
                        "each": round((much - little) / max(1, many - few))}
        print(f"{what}: one more takes {result[what]['each']} bytes")
    if "audit" in result:
        result["ratio"] = round(2 * result["pixels"] / max(1, result["audit"]["each"]), 1)  # two models draw each
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
