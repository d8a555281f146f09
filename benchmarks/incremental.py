"""What one more concept costs, and what it costs to have kept LoRAs that were trained on the refinement of the others.

    python -m benchmarks.incremental                               # adds the last of policies/characters-100.yaml
    python -m benchmarks.incremental policies/characters-10.yaml

All but the last concept are erased first and their LoRAs kept; then the last is added, reusing them; then everything is
made anew, as an exact plan from an empty cache does. `ratio` is the seconds of the whole over those of the addition.
`difference` is how far the two governed models lie apart, as a share of the way from the base; both are asked the
audit's prompts, with intervals.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.ablation import first_concepts, load_judge, set_weights
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.metrics.intervals import bounds
from mace_gov.audit.metrics.measures import harmonic
from mace_gov.audit.metrics.melded import harmonic_bounds
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.suites import build_probes
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.terms import Suite
from mace_gov.erase.engine import compute
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

SUITES = {Suite.DIRECT: "Acc_e", Suite.UNRELATED: "Acc_s", Suite.SYNONYM: "Acc_g", Suite.NEAR: "Acc_near"}


def accuracies(pipe, plan: ErasurePlan, probes: list[Probe], judge: JudgeDetector) -> dict[str, tuple[int, int]]:
    """(hits, n) by accuracy: how often the judge's first choice is what was asked for."""
    pictures = list(draw(pipe, [p.prompt for p in probes], [p.seed for p in probes], plan.generation))
    queries = [Query(p.expected, p.facet, p.suite.banned, plan.generation.size) for p in probes]
    present = [score >= judge.threshold for score in judge.score(pictures, queries)]
    found = {}
    for suite, name in SUITES.items():
        hits = [seen for seen, probe in zip(present, probes, strict=True) if probe.suite is suite]
        if hits:
            found[name] = (sum(hits), len(hits))
    return found


def harmonic_with_interval(rates: dict[str, tuple[int, int]]) -> tuple[float, float, float]:
    """H (of H_o's three terms, or H_c's two where no synonym was asked) with its interval."""
    terms = [(hits if name == "Acc_s" else n - hits, n) for name in ("Acc_e", "Acc_s", "Acc_g") if name in rates
             for hits, n in (rates[name],)]
    return harmonic(hits / n for hits, n in terms), *harmonic_bounds(terms, 0.975)


def describe(rates: dict[str, tuple[int, int]]) -> dict:
    """Rates and H as plain numbers with intervals."""
    row = {}
    for name, (hits, n) in rates.items():
        low, high = bounds(hits, n, 0.975)
        row[name] = {"value": hits / n, "n": n, "low": low, "high": high}
    value, low, high = harmonic_with_interval(rates)
    return {**row, "H": {"value": value, "low": low, "high": high}}


def show(name: str, row: dict) -> None:
    """One line of the table."""
    cells = [f"{key} {v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" + (f" n={v['n']}" if "n" in v else "")
             for key, v in row.items()]
    print(f"{name:18s} " + "  ".join(cells), flush=True)


def timed(plan, pipe, cache: Path) -> tuple[float, object]:
    """Seconds, and the delta as it is written."""
    start = time.perf_counter()
    delta = compute(plan, pipe, cache=cache).delta.rounded()
    return time.perf_counter() - start, delta


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], base: dict[str, torch.Tensor]) -> float:
    """Distance of two governed models over the second's distance from the base, over all projections."""
    between = sum(float((one[name] - other[name]).square().sum()) for name in base)
    changed = sum(float((other[name] - base[name].double()).square().sum()) for name in base)
    return (between / changed) ** 0.5


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="?", default=Path("policies/characters-100.yaml"))
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--concepts", type=int, default=None, help="only the first so many concepts")
    parser.add_argument("--judge", type=Path, default=None, help="folder of a judge, default the one that ships")
    args = parser.parse_args(argv)
    policy = first_concepts(load_policy(args.policy).policy, args.concepts)
    base = read_manifest(args.model or policy.spec.model.ref)
    plan = make_plan(policy, base)
    fewer = plan.model_copy(update={"targets": plan.targets[:-1]})
    probes = build_probes(Asking(policy, lexicon_for(base), plan.templates))
    judge = JudgeDetector(judge=load_judge(args.judge))
    pipe = load_pipeline(base.path)
    layers = projections(pipe.unet)
    pristine = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    with tempfile.TemporaryDirectory() as folder:
        timed(fewer, pipe, Path(folder, "kept"))
        added_seconds, added = timed(plan, pipe, Path(folder, "kept"))
        whole_seconds, whole = timed(plan.model_copy(update={"exact": True}), pipe, Path(folder, "empty"))
    models = {"added to the others": added.apply(pristine), "all made anew": whole.apply(pristine)}
    table = {}
    for name, weights in models.items():
        set_weights(layers, weights)
        table[name] = describe(accuracies(pipe, plan, probes, judge))
        set_weights(layers, pristine)
        show(name, table[name])
    result = {
        "benchmark": "incremental", "policy": policy.metadata.name, "concepts": len(plan.targets),
        "baseline": "all made anew", "seconds": round(added_seconds, 2), "baseline_seconds": round(whole_seconds, 2),
        "ratio": round(whole_seconds / added_seconds, 2), "difference": apart(*models.values(), pristine),
        "table": table, "model_digest": base.digest,
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
