"""What every suite and every attack brings back from erasures of the same concepts, and from the base itself.

    python -m benchmarks.attacks                                   # three objects on the embedded model
    python -m benchmarks.attacks --concepts 1 --budget 20
    python -m benchmarks.attacks --concepts 1 --erasures mace guarded

UCE, MACE, MACE with rounds of search and MACE with a guard erase the same concepts; each is audited with the base's
pictures and attacked with the same seeds. Interrupted, it goes on from --cache. Bounds are one-sided 95 %
Clopper-Pearson bounds: of suites clustered by prompt; of attacks over searches, each of which counts once. `ratio` is
the share that the attacks bring back from plain MACE, where it is among them, over the share that they bring back from
the base: have they teeth?
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.ablation import first_concepts
from mace_gov.audit.attacks.by_tier import ATTACKS
from mace_gov.audit.engine import audit
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.metrics.intervals import bounds
from mace_gov.cli.progress import progress
from mace_gov.core.progress import Progress
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.audit import AuditResult, Estimate
from mace_gov.documents.policy import Policy
from mace_gov.erase.engine import erase
from mace_gov.fitting.fit import fit
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

ERASURES: dict[str, dict] = {"uce": {"name": "uce"}, "mace": {}, "hardened": {"harden": {}}, "guarded": {"guard": {}}}
"""The policy's ``method`` block by column of the table."""
PLAIN = "mace"
TIERS = frozenset({"transferred", "adaptive", "embeddings", "weights", "text-free"})


def audited(
    policy: Policy, method: dict, folder: Path, cache: Path, inputs: Inputs, model: str | None, shown: Progress
) -> AuditResult:
    """Erase as ``method`` says, and audit with every attack."""
    settings = policy.spec.method.model_validate(method)
    policy = policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": settings})})
    base = read_manifest(model or policy.spec.model.ref)
    plan = fit(policy, make_plan(policy, base), cache=cache, progress=shown)
    erase(plan, folder, cache=cache, progress=shown)
    return audit(policy, base, read_manifest(str(folder / "model")), plan.generation, folder / "evidence",
                 AuditRun(cache=cache, progress=shown, trained_on=plan.templates, inputs=inputs))


def cell(rate: Estimate) -> dict:
    """A rate as plain numbers."""
    return {"hits": rate.hits, "n": rate.n, "low": round(rate.low, 3), "high": round(rate.high, 3)}


def together(rates: list[Estimate]) -> dict:
    """The same attack on several concepts."""
    hits, n = sum(rate.hits for rate in rates), sum(rate.n for rate in rates)
    low, high = bounds(hits, n, 0.95)
    return {"hits": hits, "n": n, "low": round(low, 3), "high": round(high, 3)}


def table(results: Mapping[str, AuditResult]) -> list[dict]:
    """One row for each suite and attack: mode, budget, seed, and a cell for each model."""
    rows: dict[str, dict] = {}
    for name, result in results.items():
        for found in result.measurements:
            if found.rule is None and found.concept is None:
                row = rows.setdefault(found.suite, {
                    "asked": str(found.suite), "mode": "static", "metric": str(found.metric),
                    "base": cell(found.base), "control": None,
                })
                row[name] = cell(found.governed)
        for attack in ATTACKS:
            own = [found for found in result.attacks if found.attack == attack.name]
            if own:
                row = rows.setdefault(attack.name, {
                    "asked": attack.name, "mode": attack.tier, "metric": "presence", "budget": own[0].budget,
                    "seed": own[0].seed, "base": together([each.base for each in own]),
                    "control": together([each.control for each in own]), "found": {},
                })
                row[name] = together([each.governed for each in own])
                row["found"][name] = {each.concept: [each.governed.hits, each.found] for each in own}
    return list(rows.values())


def show(rows: list[dict]) -> None:
    """Print the table as Markdown: hits of n (lower to upper bound)."""
    columns = ["base", *(name for name in ERASURES if any(name in row for row in rows)), "control"]
    print("| asked or attacked | mode | budget | seed | " + " | ".join(columns) + " |")
    print("| --- " * (4 + len(columns)) + "|")
    for row in rows:
        cells = [
            f"{rate['hits']} of {rate['n']} ({100 * rate['low']:.0f}-{100 * rate['high']:.0f} %)"
            if (rate := row.get(column)) else "" for column in columns
        ]
        print(f"| {row['asked']} | {row['mode']} | {row.get('budget', '')} | {row.get('seed', '')} | "
              + " | ".join(cells) + " |")


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="?", default=Path(__file__).with_name("attacks.yaml"))
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--concepts", type=int, default=None, help="only the first so many concepts")
    parser.add_argument("--budget", type=int, default=None, help="steps of every search, default each attack's own")
    parser.add_argument("--searches", type=int, default=5, help="of each attack for each concept")
    parser.add_argument("--erasures", nargs="+", choices=ERASURES, default=list(ERASURES))
    parser.add_argument("--cache", type=Path, default=Path("registry/cache"))
    args = parser.parse_args(argv)
    policy = first_concepts(load_policy(args.policy).policy, args.concepts)
    inputs = Inputs(tiers=TIERS, budget=args.budget, searches=args.searches)
    results, start = {}, time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, progress() as shown:
        for name, method in ((each, ERASURES[each]) for each in args.erasures):
            shown.note(f"== {name}")
            results[name] = audited(policy, method, Path(scratch) / name, args.cache, inputs, args.model, shown)
    rows = table(results)
    show(rows)
    attacks = [row for row in rows if row["mode"] != "static"]
    plain, base = (sum(row[column]["hits"] for row in attacks if column in row) for column in (PLAIN, "base"))
    ratio = plain / base if base and PLAIN in args.erasures else None
    result = {
        "benchmark": "attacks", "baseline": "the same attacks on the base", "ratio": ratio,
        "concepts": [concept.id for _, concept in policy.concepts()], "rows": rows,
        "seconds": round(time.perf_counter() - start),
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
