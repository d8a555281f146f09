"""Does each part of the method earn its place? Refinement alone, naive summing, no CFIS and all of it, side by side.

    python benchmarks/ablation.py                                        # five objects on the embedded model
    python benchmarks/ablation.py policies/characters-100.yaml

Every variant starts from the same plan, seeds and, where they are the same, LoRAs. The prompts are the audit's own; the
judge's first choice decides. `ratio` is H of the whole method over H of the refinement alone. Accuracies come with
two-sided 95 % Clopper-Pearson intervals, H with the two-sided 95 % interval that they meld into.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.metrics.intervals import bounds
from mace_gov.audit.metrics.measures import harmonic
from mace_gov.audit.metrics.melded import harmonic_bounds
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.unrelated import held_out
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy, Suite
from mace_gov.erase.engine import compute
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

SUITES = {Suite.DIRECT: "Acc_e", Suite.UNRELATED: "Acc_s", Suite.SYNONYM: "Acc_g", Suite.NEAR: "Acc_near"}


def first_concepts(policy: Policy, count: int | None) -> Policy:
    """The policy with its first ``count`` concepts only, those left out being nobody's target."""
    categories, left = [], count if count is not None else 10**9
    for category in policy.spec.categories:
        kept = category.concepts[:left]
        left -= len(kept)
        if kept:
            categories.append(category.model_copy(update={"concepts": kept}))
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"categories": categories})})


def without_cfis(plan: ErasurePlan) -> ErasurePlan:
    """The plan with uniform timesteps for every LoRA."""
    targets = [t.model_copy(update={"lora": t.lora.model_copy(update={"sampling": "uniform"})}) for t in plan.targets]
    return plan.model_copy(update={"targets": targets})


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


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="?", help="default: the first five of policies/objects-ten.yaml")
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--concepts", type=int, default=None, help="only the first so many concepts")
    parser.add_argument("--cache", type=Path, default=Path("registry/cache"))
    parser.add_argument("--judge", type=Path, default=None, help="folder of a judge, default the one that ships")
    args = parser.parse_args(argv)
    count = args.concepts if args.policy or args.concepts else 5
    policy = first_concepts(load_policy(args.policy or Path("policies/objects-ten.yaml")).policy, count)
    base = read_manifest(args.model or policy.spec.model.ref)
    plan = make_plan(policy, base, exact=True, held_out=held_out(policy, lexicon_for(base)))
    probes = build_probes(Asking(policy, lexicon_for(base), plan.templates))
    judge = JudgeDetector(judge=load_judge(args.judge))
    pipe = load_pipeline(base.path)
    layers = projections(pipe.unet)
    pristine = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    variants = {
        "refinement alone": (plan, "none"), "naive summing": (plan, "sum"),
        "no CFIS": (without_cfis(plan), "closed-form"), "MACE": (plan, "closed-form"),
    }
    steps = plan.targets[0].lora.steps
    print(f"{policy.metadata.name}: {len(plan.targets)} concepts, {len(probes)} prompts, {steps} steps", flush=True)
    table = {"base model": describe(accuracies(pipe, plan, probes, judge))}
    show("base model", table["base model"])
    seconds = {}
    for name, (variant, fusion) in variants.items():
        start = time.perf_counter()
        delta = compute(variant, pipe, cache=args.cache, fusion=fusion).delta.rounded()
        seconds[name] = round(time.perf_counter() - start, 1)
        set_weights(layers, delta.apply(pristine))
        table[name] = describe(accuracies(pipe, plan, probes, judge))
        set_weights(layers, pristine)
        show(name, table[name])
    whole, alone = table["MACE"]["H"]["value"], table["refinement alone"]["H"]["value"]
    result = {
        "benchmark": "ablation", "policy": policy.metadata.name, "concepts": len(plan.targets),
        "baseline": "refinement alone", "ratio": round(whole / alone, 3) if alone else None,
        "better_than": {name: table["MACE"]["H"]["low"] > row["H"]["high"] for name, row in table.items()
                        if name not in ("MACE", "base model")},
        "table": table, "seconds": seconds, "model_digest": base.digest,
    }
    print(json.dumps(result))
    return result


def load_judge(folder: Path | None):
    """A judge from a folder, or None for the one that ships."""
    if folder is None:
        return None
    from mace_gov.embedded.judge import Judge

    return Judge.load(folder)


def set_weights(layers, weights) -> None:
    """Put weights into the layers of a loaded U-Net."""
    for name, layer in layers.items():
        layer.weight.data.copy_(weights[name])


def show(name: str, row: dict) -> None:
    """One line of the table."""
    cells = [f"{key} {v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" + (f" n={v['n']}" if "n" in v else "")
             for key, v in row.items()]
    print(f"{name:18s} " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
