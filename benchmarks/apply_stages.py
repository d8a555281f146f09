"""Where the time of a full apply goes: erasure, audit and all the rest, by stage, from an empty registry.

    python -m benchmarks.apply_stages                     # ten and a hundred characters on the embedded model
    python -m benchmarks.apply_stages policies/objects-ten.yaml --plot stages.svg

The first policy is the baseline: `ratio` is its seconds per concept over those of the last one, which is how much
cheaper a concept becomes among many.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from mace_gov.audit.inputs import AuditRun
from mace_gov.core.progress import Progress, Silent
from mace_gov.diffusion.load import load_pipeline
from mace_gov.documents.registry import Layout
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.texts import kept_reader
from mace_gov.fitting.fit import fit
from mace_gov.workflow import apply, verify_path
from mace_gov.workflow.planning import BaseChoice, plan_policy

DEFAULT = [Path("policies/characters-10.yaml"), Path("policies/characters-100.yaml")]


def staged(policy: Path, model: str | None, progress: Progress) -> dict:
    """Seconds by stage of one apply; ``text`` is planning and what is preserved, which an erasure reads without a fit,
    too; ``other`` is recording, signing, verifying and the report."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        registry = Path(folder, "registry")
        planned = plan_policy(policy, BaseChoice(model), registry=registry)
        plan, cache = planned.plan, Layout(registry).cache
        with kept_reader(load_pipeline(plan.base.path), plan, cache, progress) as reader:
            preserve_term(reader, plan, cache, progress)
        read = time.perf_counter() - start
        fit(planned.loaded.policy, plan, cache=cache, progress=progress)  # apply then has it
        fitted = time.perf_counter() - start - read
        outcome = apply(policy, base=BaseChoice(model), registry=registry, reports=Path(folder, "reports"),
                        run=AuditRun(progress=progress))
        total = time.perf_counter() - start
        evidence = verify_path(outcome.folder, key=None, registry=registry)[0].evidence
    erasure = evidence.erasure.seconds if evidence.erasure else {}
    stages = {"text": round(read, 1), "fit": round(fitted, 1)}
    stages |= {f"erase: {stage}": value for stage, value in erasure.items()}
    stages |= {f"audit: {stage}": value for stage, value in evidence.audit.seconds.items()}
    return {"policy": policy.stem, "concepts": len(evidence.plan.targets), "verdict": outcome.verdict.outcome,
            "seconds": round(total, 1), "stages": {**stages, "other": round(total - sum(stages.values()), 1)}}


def plotted(runs: list[dict], out: Path) -> None:
    """One bar a policy, its stages side by side."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.7 * len(runs)), layout="constrained")
    colours = dict(zip(dict.fromkeys(stage for run in runs for stage in run["stages"]), pyplot.cm.tab20.colors,
                       strict=False))
    for row, run in enumerate(runs):
        left = 0.0
        for stage, seconds in run["stages"].items():
            axes.barh(row, seconds, left=left, color=colours[stage], label=stage if row == 0 else None)
            left += seconds
    axes.set_yticks(range(len(runs)), [f"{run['policy']} ({run['concepts']})" for run in runs])
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.legend(fontsize="small", ncols=2, loc="upper left", bbox_to_anchor=(1, 1))
    pyplot.rcParams["svg.hashsalt"] = "mace-gov"
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main(argv: list[str] | None = None, progress: Progress | None = None) -> dict:
    """Apply every policy, print one JSON line and return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policies", type=Path, nargs="*", default=DEFAULT)
    parser.add_argument("--model", default=None, help="base model, default each policy's own")
    parser.add_argument("--plot", type=Path, default=None, help="an .svg or .png of the stages")
    args = parser.parse_args(argv)
    runs = []
    for policy in args.policies:
        runs.append(staged(policy, args.model, progress or Silent()))
        print(json.dumps(runs[-1]), flush=True)
    if args.plot:
        plotted(runs, args.plot)
    each = [run["seconds"] / run["concepts"] for run in runs]
    result = {"benchmark": "apply_stages", "baseline": f"seconds per concept of {runs[0]['policy']}",
              "seconds_per_concept": [round(seconds, 2) for seconds in each],
              "ratio": round(each[0] / each[-1], 2), "runs": runs}
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
