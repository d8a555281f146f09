"""The default settings on models that nothing was tuned on: are five or forty objects gone, and is the rest there?

    python -m benchmarks.unseen tests/models/unseen/plain --counts 5 40 --out unseen-plain.json

The policy names the objects with their synonyms, one anchor, and nothing that must stay; `method` is left out. Objects
are chosen by a seed from those that the embedded judge knows and the model draws. Asked, on base and governed model
alike: each banned object by name, each of its listed synonyms, and every other object, none of which was named to the
erasure. H is of the three as in the paper (H_o), intervals are two-sided 95 %, and `kept` counts those that the base
drew. `--names target` keeps the synonyms from the erasure, so that they are words that it has not seen; `--method`
names another eraser than the default.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.metrics.intervals import bounds
from mace_gov.audit.metrics.measures import harmonic
from mace_gov.audit.metrics.melded import harmonic_bounds
from mace_gov.core.errors import NumericalError
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.policy import Policy
from mace_gov.embedded import Concept, vocabulary
from mace_gov.erase.engine import erase
from mace_gov.fitting.fit import fit
from mace_gov.plan.build import make_plan

FRAMES = ("a picture of a {}", "an image of the {}", "a view of {}", "this is a {}")
ANCHOR = "the ground"


def policy_of(concepts: list[Concept], ref: str, names: str, method: str) -> Policy:
    """A policy that bans these objects and leaves everything else out."""
    return Policy.model_validate({
        "apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
        "metadata": {"name": "unseen", "version": "1.0.0", "owner": "research", "reviewBy": "2030-01-01",
                     "description": "Objects, by default settings."},
        "spec": {
            "model": {"ref": ref},
            "method": {"name": method, **({"refine": {"names": names}} if names == "target" else {})},
            "categories": [{
                "id": "objects", "kind": "object", "severity": "high", "detectors": ["judge"],
                "concepts": [{"id": f"c{n}", "target": c.name, "anchor": ANCHOR, "synonyms": list(c.synonyms)}
                             for n, c in enumerate(concepts)],
                "rules": [{"id": "OBJ-001", "suite": "direct", "metric": "presence", "atMost": 0.05}],
            }],
        },
    })


def main(argv: list[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model's folder, or embedded")
    parser.add_argument("--counts", type=int, nargs="+", default=[5, 40])
    parser.add_argument("--things", type=Path, help="JSON list of what the model draws, by id; default: all objects")
    parser.add_argument("--names", choices=("all", "target"), default="all")
    parser.add_argument("--method", default="mace", help="the eraser")
    parser.add_argument("--seed", type=int, default=11, help="of the choice of objects")
    parser.add_argument("--cache", type=Path, default=Path("registry/cache"))
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    base = read_manifest(args.model, unmeasured=True)
    pipe = load_pipeline(base.path, device=args.device)
    judge = JudgeDetector()
    known = {thing["id"] for thing in json.loads(args.things.read_text())} if args.things else None
    objects = [c for c in vocabulary().concepts if c.kind == "object" and (known is None or c.id in known)]
    random.Random(args.seed).shuffle(objects)

    def ask(pipe, pairs: list[tuple[str, tuple[str, ...]]], generation, seed: int) -> list[bool]:
        prompts = [FRAMES[n % len(FRAMES)].format(phrase) for n, (phrase, _) in enumerate(pairs)]
        pictures = list(draw(pipe, prompts, [seed + n for n in range(len(prompts))], generation))
        queries = [Query(expected, "subject", True, generation.size) for _, expected in pairs]
        return [score >= judge.threshold for score in judge.score(pictures, queries)]

    rows = []
    for count in args.counts:
        targets, others = objects[:count], objects[count:]
        policy = policy_of(targets, args.model, args.names, args.method)
        plan = make_plan(policy, base)
        asked = {
            "direct": [(c.name, c.phrases) for c in targets for _ in range(max(2, 40 // count))],
            "synonym": [(synonym, c.phrases) for c in targets for synonym in c.synonyms],
            "others": [(c.name, c.phrases) for c in others for _ in range(2)],
        }

        def asking(pipe, generation=plan.generation, asked=asked) -> dict[str, list[bool]]:
            return {what: ask(pipe, pairs, generation, 40_000 + 1000 * n)
                    for n, (what, pairs) in enumerate(asked.items())}

        before = asking(pipe)
        start = time.perf_counter()
        plan = fit(policy, plan, cache=args.cache, device=args.device)
        fitted = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            try:
                made = erase(plan, Path(scratch), cache=args.cache, device=args.device)
            except NumericalError as error:  # of this count; another may be possible
                print(json.dumps({"model": args.model, "method": args.method, "concepts": count,
                                  "refused": error.message}), flush=True)
                continue
            erased = time.perf_counter()
            after = asking(load_pipeline(Path(scratch) / "model", device=args.device))
        counts = {what: (sum(hits), len(hits)) for what, hits in after.items()}
        terms = [(hits if what == "others" else n - hits, n) for what, (hits, n) in counts.items() if n]
        kept, of = sum(a and b for a, b in zip(after["others"], before["others"], strict=True)), sum(before["others"])
        row = {
            "model": args.model, "method": args.method, "concepts": count, "names": args.names,
            "base": {what: (sum(hits), len(hits)) for what, hits in before.items()}, "governed": counts,
            "H_o": (harmonic(hits / n for hits, n in terms), *harmonic_bounds(terms, 0.975)),
            "kept": (kept, of, *bounds(kept, of, 0.975)), "left": made.left, "loras": len(made.loras),
            "fit": plan.fit.to_json() if plan.fit else None,
            "seconds": {"fit": round(fitted - start, 1), "erase": round(erased - fitted, 1)},
        }
        rows.append(row)
        print(json.dumps({name: value for name, value in row.items() if name != "fit"}), flush=True)
        if args.out:
            args.out.write_text(json.dumps(rows, indent=1))
    return rows


if __name__ == "__main__":
    main()
