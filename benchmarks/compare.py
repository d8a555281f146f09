"""Methods of erasing, on the first 1, 5, 10, ... concepts of a policy, on the same model, prompts and seeds.

    python -m benchmarks.compare --out compare.jsonl --plot compare.svg
    python -m benchmarks.compare policies/characters-10.yaml --counts 10 --methods mace,uce

Each line of ``--out`` is one method at one number of concepts; what is there already is not run again, so that a long
run can be stopped and go on. The prompts are the audit's own; the judge's first choice decides. H is of Acc_e and Acc_s
with the interval that ablation.py explains; every erasure starts from the base and trains everything anew. `ratio` is
MACE's H over the best other method's at the largest number of concepts that all were run at.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.ablation import accuracies, describe, first_concepts, load_judge, set_weights, show
from benchmarks.compare_results import BASE, markdown, plotted
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.core.errors import NumericalError
from mace_gov.core.memory import peak_memory
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.projections import projections
from mace_gov.documents.policy import Policy
from mace_gov.erase.engine import compute
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy
from mace_gov.workflow.comparing import with_method


def of_first(policy: Policy, count: int) -> Policy:
    """The policy with its first ``count`` concepts, each asked as often as its rules need among so many."""
    fewer = first_concepts(policy, count)
    if len(list(fewer.concepts())) == len(list(policy.concepts())):
        return policy
    audit = fewer.spec.audit.model_copy(update={"prompts": None})
    return fewer.model_copy(update={"spec": fewer.spec.model_copy(update={"audit": audit})})


class Bench:
    """A loaded base model, and what is asked of it."""

    def __init__(self, model: str, judge: Path | None) -> None:
        self.base = read_manifest(model)
        self.pipe = load_pipeline(self.base.path)
        self.layers = projections(self.pipe.unet)
        self.pristine = {name: layer.weight.detach().clone() for name, layer in self.layers.items()}
        self.judge = JudgeDetector(judge=load_judge(judge))

    def cell(self, policy: Policy, method: str) -> dict:
        """One method at one number of concepts."""
        plan = make_plan(with_method(policy, "mace" if method == BASE else method), self.base)
        probes = build_probes(Asking(policy, lexicon_for(self.base), plan.templates))
        about = {"policy": policy.metadata.name, "concepts": len(plan.targets), "method": method}
        try:
            return {**about, **self._erased(plan, probes, method)}
        except NumericalError as error:
            return {**about, "problem": str(error)}

    def _erased(self, plan, probes, method: str) -> dict:
        cost = {}
        if method != BASE:
            start = time.perf_counter()
            with peak_memory() as peak:
                delta = compute(plan, self.pipe, cache=None).delta.rounded()
            cost = {"seconds": round(time.perf_counter() - start, 1), "peak_mib": round(peak.bytes / 2**20)}
            with tempfile.TemporaryDirectory() as folder:
                delta.write(file := Path(folder) / "erasure.safetensors")
                cost["delta_bytes"] = file.stat().st_size
            set_weights(self.layers, delta.apply(self.pristine))
        try:
            return {"rates": describe(accuracies(self.pipe, plan, probes, self.judge)), **cost}
        finally:
            set_weights(self.layers, self.pristine)


def main(argv: list[str] | None = None) -> dict:
    """Run what is missing, print one JSON line and return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="?", default=Path("policies/characters-100.yaml"))
    parser.add_argument("--counts", default="1,5,10,20,50,100", help="numbers of concepts")
    parser.add_argument("--methods", default="mace,uce,nullspace,esd")
    parser.add_argument("--out", type=Path, default=Path("compare.jsonl"))
    parser.add_argument("--plot", type=Path, default=None, help="an .svg or .png of H by number of concepts")
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--judge", type=Path, default=None, help="folder of a judge, default the one that ships")
    args = parser.parse_args(argv)
    policy = load_policy(args.policy).policy
    bench, done = Bench(args.model or policy.spec.model.ref, args.judge), {}
    for line in args.out.read_text("utf-8").splitlines() if args.out.is_file() else ():
        cell = json.loads(line)
        done[cell["concepts"], cell["method"]] = cell
    methods = args.methods.split(",")
    for method in (BASE, *methods):
        for count in map(int, args.counts.split(",")):
            if (count, method) not in done:
                done[count, method] = bench.cell(of_first(policy, count), method)
                with args.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(done[count, method]) + "\n")
            cell = done[count, method]
            show(f"{count} {method}", cell["rates"]) if "rates" in cell else print(f"{count} {method}", cell["problem"])
    print(markdown(list(done.values())))
    if args.plot:
        plotted(list(done.values()), args.plot)
    result = {"benchmark": "compare", "baseline": "best other method", **_ratio(done, methods)}
    print(json.dumps(result))
    return result


def _ratio(done: dict, methods: list[str]) -> dict:
    """MACE's H over the best other's at the largest number of concepts that all were run at."""
    values = {key: cell["rates"]["H"]["value"] for key, cell in done.items() if "rates" in cell}
    shared = [count for count, _ in done if all((count, method) in values for method in methods)]
    others = [method for method in methods if method != "mace"]
    if not shared or not others or "mace" not in methods:
        return {"ratio": None}
    count = max(shared)
    best = max(others, key=lambda method: values[count, method])
    ratio = values[count, "mace"] / values[count, best] if values[count, best] else None
    return {"concepts": count, "best_other": best, "H": {m: values[count, m] for m in methods}, "ratio": ratio}


if __name__ == "__main__":
    main()
