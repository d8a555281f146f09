"""Does each part of the method earn its place? Refinement alone and LoRAs in several ways, side by side, on two models.

    python -m benchmarks.ablation                                        # five objects on the embedded model
    python -m benchmarks.ablation policies/characters-100.yaml --counts 1,10,100 --seeds 3 --most 50
    python -m benchmarks.ablation benchmarks/twin/characters-100.yaml --twin FOLDER --counts 100 --seeds 3

Settings are the preset's, unfitted, so that every concept has a LoRA; the policy's preserve.concepts stay. Each seed
draws other training pictures and noise; the refinement alone knows none. The prompts are the audit's own, and H is of
what is still drawn and of what is held out, as in compare.py. Intervals are two-sided, 95 %, clustered by prompt and
concept, so that a prompt that is asked of three seeds' erasures counts as one. A line of ``--out`` is one variant at
one seed; what is there already is not run again. `ratio` is H of MACE over H of the refinement alone, at the largest
count.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

from benchmarks import twin
from benchmarks.compare_results import rates_of
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.unrelated import held_out
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.projections import projections
from mace_gov.documents.method import Method
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy, Suite
from mace_gov.erase.engine import compute
from mace_gov.erase.methods import mace
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

BASE, ALONE, WHOLE = "base model", "refinement alone", "MACE"
RANDOM = {"init": "normal", "learning_rate": 3e-3, "step_size": None, "stop": None}
"""The published start, trained as published but for the rate: a share of what a layer answers, the preset's step, needs
a direction that is held. Of 3e-3 and 1e-2 the better on the embedded model, in other wordings than any audit's."""
VARIANTS: dict[str, tuple[dict, str]] = {
    ALONE: ({}, "none"), "naive summing": ({}, "sum"), "no CFIS": ({"sampling": "uniform"}, "closed-form"),
    WHOLE: ({}, "closed-form"), "random start": (RANDOM, "closed-form"),
    "random start, no CFIS": ({**RANDOM, "sampling": "uniform"}, "closed-form"),
    "random start, end of text": ({**RANDOM, "end_of_text": True}, "closed-form"),
}
"""What each says of a LoRA beside the preset, and how LoRAs are fused. As published, the start is random and the end of
the text is suppressed, too."""
SEED = 1000
"""Between the seeds of two erasures."""


def first_concepts(policy: Policy, count: int | None) -> Policy:
    """The policy with its first ``count`` concepts only, those left out being nobody's target."""
    categories, left = [], count if count is not None else 10**9
    for category in policy.spec.categories:
        kept = category.concepts[:left]
        left -= len(kept)
        if kept:
            categories.append(category.model_copy(update={"concepts": kept}))
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"categories": categories})})


def of_first(policy: Policy, count: int | None) -> Policy:
    """The policy with its first ``count`` concepts, each asked as often as its rules need among so many."""
    fewer = first_concepts(policy, count)
    if len(list(fewer.concepts())) == len(list(policy.concepts())):
        return policy
    audit = fewer.spec.audit.model_copy(update={"prompts": None})
    return fewer.model_copy(update={"spec": fewer.spec.model_copy(update={"audit": audit})})


def by_mace(policy: Policy) -> Policy:
    """The policy with the default method and its preset; what it preserves by name stays."""
    preserve = {"concepts": policy.spec.method.preserve.concepts or []}
    method = Method.from_json({"seed": policy.spec.method.seed, "preserve": preserve})
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})


def variant(plan: ErasurePlan, lora: dict, turn: int) -> ErasurePlan:
    """The plan with something else said of every LoRA, and with another seed."""
    targets = [t.model_copy(update={"lora": t.lora.model_copy(update=lora)}) for t in plan.targets]
    return plan.model_copy(update={"targets": targets, "seed": plan.seed + SEED * turn})


def evenly(probes: Sequence[Probe], most: int) -> list[Probe]:
    """At most so many probes of each suite, spread over all of them."""
    chosen = []
    for suite in Suite:
        own = [probe for probe in probes if probe.suite is suite]
        count = min(most, len(own))
        chosen += [own[n * len(own) // count] for n in range(count)]
    return chosen


def shown(pipe, plan: ErasurePlan, probes: Sequence[Probe], judge: JudgeDetector) -> list[bool]:
    """Whether each probe's picture shows what was asked for, by the judge's first choice."""
    pictures = list(draw(pipe, [p.prompt for p in probes], [p.seed for p in probes], plan.generation))
    queries = [Query(p.expected, p.facet, p.suite.banned, plan.generation.size) for p in probes]
    return [bool(score >= judge.threshold) for score in judge.score(pictures, queries)]


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="?", help="default: the first five of policies/objects-ten.yaml")
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--counts", default=None, help="numbers of concepts, default all")
    parser.add_argument("--seeds", type=int, default=1, help="erasures of each variant that trains")
    parser.add_argument("--most", type=int, help="pictures of each suite, default all that the audit asks")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=None, help="lines that are there already are not run again")
    parser.add_argument("--cache", type=Path, default=Path("registry/cache"))
    parser.add_argument("--judge", type=Path, default=None, help="folder of a judge, default the one that ships")
    parser.add_argument("--twin", type=Path, default=None, help="the twin's folder: base model, judge and words")
    args = parser.parse_args(argv)
    policy = load_policy(args.policy or Path("policies/objects-ten.yaml")).policy
    counts = [int(n) for n in args.counts.split(",")] if args.counts else [None if args.policy else 5]
    if args.twin:
        os.environ["MACE_TWIN"] = str(args.twin)
    judge = twin.TwinJudge() if args.twin else JudgeDetector(judge=load_judge(args.judge))
    base = read_manifest(args.model or (str(args.twin) if args.twin else policy.spec.model.ref))
    lexicon = twin.lexicon(args.twin) if args.twin else lexicon_for(base)
    pipe = load_pipeline(base.path)
    layers = projections(pipe.unet)
    pristine = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    done = [json.loads(line) for line in args.out.read_text("utf-8").splitlines()] if args.out and args.out.is_file(
        ) else []

    def once(about: dict, make: Callable[[], dict]) -> dict:
        for line in done:
            if {name: line.get(name) for name in about} == about:
                return line
        done.append({**about, **make()})
        if args.out:
            with args.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[-1]) + "\n")
        return done[-1]

    tables = {}
    for count in counts:
        own = by_mace(of_first(policy, count))
        plan = make_plan(own, base, exact=True, held_out=held_out(own, lexicon))
        probes = build_probes(Asking(own, lexicon, plan.templates))
        probes = evenly(probes, args.most or len(probes))
        print(f"{policy.metadata.name}: {len(plan.targets)} concepts, {len(probes)} prompts", flush=True)

        def tried(name: str, turn: int, plan=plan, probes=probes) -> dict:
            if name == BASE:
                return {"shown": shown(pipe, plan, probes, judge)}
            lora, fusion = VARIANTS[name]
            start = time.process_time()
            with mock.patch.object(mace, "LEAST_KEPT", 0.0):  # what a fusion would be refused for is what is asked here
                delta = compute(variant(plan, lora, turn), pipe, cache=args.cache, fusion=fusion).delta.rounded()
            spent = round(time.process_time() - start, 1)
            set_weights(layers, delta.apply(pristine))
            try:
                return {"shown": shown(pipe, plan, probes, judge), "seconds": spent}
            finally:
                set_weights(layers, pristine)

        table = tables[len(plan.targets)] = {}
        for name in (BASE, *args.variants):
            turns = 1 if name in (BASE, ALONE) else args.seeds
            lines = [once({"policy": policy.metadata.name, "model_digest": base.digest, "concepts": len(plan.targets),
                           "prompts": len(probes), "variant": name, "seed": turn},
                          lambda name=name, turn=turn, tried=tried: tried(name, turn)) for turn in range(turns)]
            table[name] = {**rates_of(probes * turns, [seen for line in lines for seen in line["shown"]]),
                           "seeds": [rates_of(probes, line["shown"])["H"]["value"] for line in lines]}
            show(name, table[name])
    last = tables[max(tables)]
    ratio = last[WHOLE]["H"]["value"] / last[ALONE]["H"]["value"] if {WHOLE, ALONE} <= set(last) and last[
        ALONE]["H"]["value"] else None
    result = {"benchmark": "ablation", "policy": policy.metadata.name, "baseline": ALONE,
              "ratio": ratio and round(ratio, 3), "tables": tables, "model_digest": base.digest}
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
    cells = [f"{key} {100 * v['value']:.1f} [{100 * v['low']:.1f}, {100 * v['high']:.1f}]"
             + (f" n={v['n']}" if "n" in v else "") for key, v in row.items() if key != "seeds"]
    print(f"{name:26s} " + "  ".join(cells) + "  H by seed " + " ".join(f"{100 * h:.1f}" for h in row["seeds"]),
          flush=True)


if __name__ == "__main__":
    main()
