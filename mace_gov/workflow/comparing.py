"""Several methods on one policy: plan, erase and audit once for each, then one table and one sheet of pictures.

Above the workflow, since it runs parts of it again and again; nothing here is signed, recorded or gated.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.unrelated import held_out
from mace_gov.core.atomic import new_folder
from mace_gov.core.clock import timestamp
from mace_gov.core.environment import environment_facts
from mace_gov.core.errors import IncompleteError, NumericalError, UsageError
from mace_gov.core.memory import peak_memory
from mace_gov.documents.comparison import MethodComparison, MethodRow, Spread
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import DELTA_NAME, Layout
from mace_gov.plan.build import make_plan
from mace_gov.preflight.checks import Ahead, check_machine
from mace_gov.report.comparison_page import render_comparison
from mace_gov.workflow.attempt import erase_and_audit
from mace_gov.workflow.planning import POLICYS_OWN, BaseChoice, named_segmenter, plan_policy, with_anchors

if TYPE_CHECKING:
    from mace_gov.documents.comparison import Interval
    from mace_gov.documents.method import MethodName
    from mace_gov.documents.rate import Estimate

FEWEST_SEEDS = 3
"""Erasures that a deviation is told from."""
NOT_ERASING = ("load", "save")
"""Stages of an erasure that are no work of the method's own."""


def compare(
    path: Path, methods: Sequence[MethodName], *, base: BaseChoice = POLICYS_OWN, seeds: int = 1, registry: Path,
    reports: Path, run: AuditRun | None = None,
) -> tuple[MethodComparison, Path]:
    """Erase and audit with each method; returns the table and the folder ``reports/compare-NAME`` of its page.

    Every erasure starts from the pristine base with nothing reused, so that times and memory are whole; pictures of
    the base are drawn once. A method that refuses the policy has a row that says why. seeds: erasures of each method,
    from ``method.seed`` on, which say how much of a difference between methods is chance. run: see ``apply``.
    Raises UsageError when a method is named twice or the seeds are two, from which no deviation can be told,
    IncompleteError when every method refuses.
    """
    if len(set(methods)) < len(methods):
        raise UsageError(f"found a method twice in {', '.join(methods)}, expected each once")
    if seeds != 1 and seeds < FEWEST_SEEDS:
        raise UsageError(f"--seeds: found {seeds}, expected 1, or {FEWEST_SEEDS} or more to tell a deviation from")
    run = run or AuditRun()
    loaded, plan, _ = plan_policy(path, base, registry=registry, plugins=run.inputs.plugins, ahead=Ahead(erases=False))
    check_machine(loaded.policy, registry, reports)
    inputs = Inputs(plugins=run.inputs.plugins, calibrations=Layout(registry).calibrations)
    run = replace(run, cache=Layout(registry).cache, inputs=inputs)
    from mace_gov.audit.engine import check_detectors
    from mace_gov.audit.metrics.intervals import CONFIDENCE
    from mace_gov.audit.side_by_side import contact_sheet, differences, rates
    from mace_gov.audit.trials import TRIALS_NAME, read_trials

    policy = with_anchors(loaded.policy, plan)
    check_detectors(policy, inputs)
    with tempfile.TemporaryDirectory(prefix="mace-gov-compare-") as name:
        rows: list[MethodRow] = []
        governed: dict[str, ModelManifest] = {}
        folders: dict[str, Path] = {method: Path(name) / method for method in methods}
        for method in methods:
            run.progress.note(f"method {method}")
            row, made = _run(with_method(policy, method), plan.base, folders[method], run)
            if made is not None:
                governed[method] = made
                row = _over_seeds(with_method(policy, method), row, seeds, plan.base, folders[method], run)
            rows.append(row)
        if not governed:
            raise IncompleteError("; ".join(f"{row.method}: {row.problem}" for row in rows))
        evidence = {method: folders[method] / "evidence" for method in governed}
        trials = {method: read_trials(folder / TRIALS_NAME) for method, folder in evidence.items()}
        first = next(iter(trials.values()))
        p_values = differences(trials)
        rows = [row.model_copy(update={"p_values": p_values.get(row.method, {})}) for row in rows]
        table = MethodComparison(
            created=timestamp(), policy_name=policy.metadata.name, policy_version=policy.metadata.version,
            policy_digest=plan.policy_digest, base_ref=plan.base.ref, base_digest=plan.base.digest,
            concepts=len(plan.targets), confidence=CONFIDENCE, base=rates(first, "base"), rows=rows,
            environment=environment_facts(),
        )
        out = reports / f"compare-{policy.metadata.name}"
        sheet = contact_sheet(policy, plan.base, governed, evidence)
        with new_folder(_cleared(out)) as scratch:
            render_comparison(table, sheet, scratch)
    return table, out


def _over_seeds(
    policy: Policy, first: MethodRow, count: int, base: ModelManifest, folder: Path, run: AuditRun
) -> MethodRow:
    """The first seed's row with the spread over ``count`` seeds; a seed that the method refuses is an error."""
    if count == 1:
        return first
    start, rows = policy.spec.method.seed, [first]
    for seed in range(start + 1, start + count):
        run.progress.note(f"method {first.method}, seed {seed}")
        with tempfile.TemporaryDirectory(prefix="seed-", dir=folder.parent) as name:
            row, _ = _run(_with_seed(policy, seed), base, Path(name), run)
        if row.problem is not None:
            raise IncompleteError(f"{first.method}, seed {seed}: {row.problem}")
        rows.append(row)
    return with_spread(rows, start)


def with_spread(rows: Sequence[MethodRow], start: int) -> MethodRow:
    """The first row with the seeds from ``start`` on, and what every figure that all rows have comes to over them."""
    values = [_values(row) for row in rows]
    spread = {
        name: Spread(mean=mean(own), deviation=stdev(own), lowest=min(own), highest=max(own))
        for name in values[0] if len(own := [each[name] for each in values if name in each]) == len(rows)
    }
    return rows[0].model_copy(update={"seeds": list(range(start, start + len(rows))), "spread": spread})


def _values(row: MethodRow) -> dict[str, float]:
    """A row's measures as points."""
    rates = row.rates
    found: dict[str, Interval | Estimate | None] = {"retention": row.retention}
    if rates is not None:
        found |= {"accE": rates.acc_e, "accG": rates.acc_g, "accS": rates.acc_s, "near": rates.near, "h": rates.h}
    return {name: each.value for name, each in found.items() if each is not None}


def _with_seed(policy: Policy, seed: int) -> Policy:
    """The policy with another erasure seed and everything else, the audit's seeds among it, as it stands."""
    method = policy.spec.method.model_copy(update={"seed": seed})
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})


def with_method(policy: Policy, name: MethodName) -> Policy:
    """The policy with another eraser and everything else as it stands."""
    method = policy.spec.method.model_copy(update={"name": name})
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})


def _run(
    policy: Policy, base: ModelManifest, folder: Path, run: AuditRun
) -> tuple[MethodRow, ModelManifest | None]:
    """One method's row, and the governed model if there is one; its evidence lies in ``folder/evidence``."""
    from mace_gov.audit.side_by_side import rates, retention
    from mace_gov.audit.trials import TRIALS_NAME, read_trials
    from mace_gov.fitting.fit import fit

    plan = make_plan(policy, base, segmenter=named_segmenter(policy), held_out=held_out(policy, lexicon_for(base)))
    started = time.monotonic()
    try:
        with peak_memory() as peak:
            plan = fit(policy, plan, cache=folder / "fit", device=run.device, progress=run.progress,
                       plugins=run.inputs.plugins)
        fitting = time.monotonic() - started
        made = erase_and_audit(policy, plan, folder, run, cache=None)
    except (NumericalError, UsageError) as error:
        run.progress.note(f"{plan.method} refuses: {error.message}")
        return MethodRow(method=plan.method, problem=error.message), None
    erasing = (value for stage, value in made.erasure.seconds.items() if stage not in NOT_ERASING)
    trials = read_trials(folder / "evidence" / TRIALS_NAME)
    row = MethodRow(
        method=plan.method, rates=rates(trials, "governed"), retention=retention(trials),
        broken=made.audit.broken.findings, warnings=made.erasure.warnings,
        peak_bytes=max(peak.bytes, made.peak_bytes), seconds=round(fitting + sum(erasing), 3),
        delta_bytes=(folder / DELTA_NAME).stat().st_size,
    )
    return row, made.governed


def _cleared(out: Path) -> Path:
    """The page's folder, without an earlier comparison's files."""
    for file in out.glob("*") if out.is_dir() else ():
        file.unlink()
    return out
