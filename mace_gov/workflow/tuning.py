"""Settings for a policy, searched within a time budget: erase, ask, change one setting, again.

Above the workflow, like the comparison of methods: nothing here is signed, recorded or gated. What it asks, the audit
does not (audit.probes.tuning); the best of several choices still looks better than it is, and the audit decides.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IncompleteError, NumericalError
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.comparison import Rates
from mace_gov.documents.method import Method
from mace_gov.documents.method_info import method_info
from mace_gov.documents.plan import ClosedForm, ErasurePlan, ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import Layout
from mace_gov.documents.tuning import Attempt, Settings, Tuning
from mace_gov.plan.build import make_plan
from mace_gov.preflight.checks import check_machine
from mace_gov.workflow.attempt import erase_and_audit
from mace_gov.workflow.planning import named_segmenter, plan_policy, with_anchors

FIRST_FACTOR, LAST_FACTOR = 4.0, 1.3
"""A setting is multiplied or divided by the first; the factor's root is taken until it is below the last."""


class BudgetSpentError(Exception):
    """Raised on purpose when the next attempt would not end in time."""


def tune(
    path: Path, *, minutes: float, model: str | None = None, revision: str | None = None, unmeasured: bool = False,
    registry: Path, plugins: Sequence[str] = (), device: str | None = None, progress: Progress | None = None,
) -> Tuning:
    """Search ridges, preserve scales and steps for a policy, the policy's own settings first.

    Pictures of the base, training pictures and LoRAs come from the registry's cache where they are there, and stay in
    it: an apply with the settings found trains nothing anew. The first attempt is made whatever the budget.
    plugins: as ``--plugin``.
    Raises UsageError for policies with styles, IncompleteError when no attempt gave a model that draws.
    """
    started = time.monotonic()
    progress = progress or Silent()
    loaded, plan = plan_policy(
        path, model=model, revision=revision, unmeasured=unmeasured, registry=registry, plugins=plugins
    )
    check_machine(loaded.policy, registry)
    policy = with_anchors(loaded.policy, plan)
    from mace_gov.audit.engine import check_detectors
    from mace_gov.audit.metrics.intervals import CONFIDENCE

    inputs = Inputs(plugins=tuple(plugins), calibrations=Layout(registry).calibrations)
    check_detectors(policy, inputs)
    run = AuditRun(cache=Layout(registry).cache, device=device, progress=progress, inputs=inputs)
    attempts: list[Attempt] = []
    bases: list[Rates] = []

    def attempt(settings: Settings) -> float:
        used = time.monotonic() - started
        longest = max((each.seconds for each in attempts), default=0.0)
        if attempts and used + longest > 60 * minutes:
            raise BudgetSpentError
        made, base = _attempt(policy, settings, plan.base, run)
        attempts.append(made)
        bases.extend([base] if base else [])
        progress.note(f"attempt {len(attempts)}: {described(settings)}: {_told(made)}")
        return made.score

    exhausted = True
    from mace_gov.fitting.fit import fit

    fitted = fit(policy, plan, cache=Layout(registry).cache, device=device, progress=progress, plugins=plugins)
    try:
        climb(knobs(fitted), attempt)
    except BudgetSpentError:
        exhausted = False
    best = max(range(len(attempts)), key=lambda n: (attempts[n].score, -n))
    if attempts[best].score < 0:
        raise IncompleteError(f"none of {len(attempts)} attempts drew anything: {attempts[0].problem}")
    return Tuning(
        created=timestamp(), policy_name=policy.metadata.name, policy_digest=plan.policy_digest,
        base_ref=plan.base.ref, base_digest=plan.base.digest, confidence=CONFIDENCE, budget_minutes=minutes,
        seconds=round(time.monotonic() - started, 3), exhausted=exhausted, base=bases[0], attempts=attempts, best=best,
        method=with_settings(loaded.policy.spec.method, attempts[best].settings),
    )


def knobs(plan: ErasurePlan) -> Settings:
    """What can be turned for a plan, with the values that it has. A scale of zero stays zero: it is a choice."""
    found: Settings = {}
    info = method_info(plan.method)
    for stage in info.closed_forms:
        form: ClosedForm = getattr(plan, stage)
        if form.ridge:
            found[f"{stage}.ridge"] = form.ridge
        elif form.relative_ridge:
            found[f"{stage}.relativeRidge"] = form.relative_ridge
    kept = plan.preserve
    if info.closed_forms:
        one, named = ("weight", "conceptWeight") if kept.relative else ("scale", "conceptScale")
        found |= {f"preserve.{one}": kept.scale} if kept.prior != "none" and kept.scale else {}
        found |= {f"preserve.{named}": kept.concept_scale} if kept.concepts and kept.concept_scale else {}
        found |= {"preserve.leak": kept.leak} if kept.leak else {}
    steps = {target.lora.steps for target in plan.targets} - {0}
    if info.trains == "loras" and steps:
        found["lora.steps"] = float(max(steps))
    if plan.esd:
        found |= {"esd.steps": float(plan.esd.steps), "esd.guidance": plan.esd.guidance}
    return found


def climb(start: Settings, score: Callable[[Settings], float]) -> None:
    """Coordinate search in logarithms: each setting up, else down, for as long as it helps, then by smaller factors."""
    known: dict[tuple[float, ...], float] = {}

    def ask(settings: Settings) -> float:
        key = tuple(settings.values())
        if key not in known:
            known[key] = score(settings)
        return known[key]

    best, top, factor = start, ask(start), FIRST_FACTOR
    while factor > LAST_FACTOR:
        before = best
        for name in start:
            for step in (factor, 1 / factor):
                here = best
                while (value := ask(tried := {**best, name: moved(name, best[name], step)})) > top:
                    best, top = tried, value
                if best is not here:
                    break
        if best is before:
            factor **= 0.5


def moved(name: str, value: float, factor: float) -> float:
    """A setting times a factor, in two digits; whole steps, and a share below one."""
    new = value * factor
    if name.endswith("steps"):
        return float(max(1, round(new)))
    return float(f"{min(new, 0.9) if name.endswith('leak') else new:.2g}")


def with_settings(method: Method, settings: Settings) -> Method:
    """A policy's ``method`` with other settings."""
    value = method.to_json()
    for name, number in settings.items():
        block, key = name.split(".")
        held = value.setdefault(block, {})
        for other in {"ridge", "relativeRidge"} - {key} if key.lower().endswith("ridge") else ():
            held.pop(other, None)
        held[key] = int(number) if key == "steps" else number
    return Method.from_json(value)


def described(settings: Settings) -> str:
    """Settings in one line."""
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())


def _attempt(
    policy: Policy, settings: Settings, base: ModelManifest, run: AuditRun
) -> tuple[Attempt, Rates | None]:
    """Erase with the settings and ask; also what the same probes found in the base."""
    from mace_gov.audit.probes.tuning import tuning_lexicon, tuning_policy
    from mace_gov.audit.side_by_side import rates, retention
    from mace_gov.audit.trials import TRIALS_NAME, read_trials

    started = time.monotonic()
    method = with_settings(policy.spec.method, settings)
    chosen = policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})
    plan = make_plan(chosen, base, segmenter=named_segmenter(chosen))
    with tempfile.TemporaryDirectory(prefix="mace-gov-tune-") as name:
        folder = Path(name)
        try:
            found = erase_and_audit(tuning_policy(chosen), plan, folder,
                                    replace(run, lexicon=tuning_lexicon(policy, base)), cache=run.cache)
        except NumericalError as error:
            seconds = round(time.monotonic() - started, 3)
            return Attempt(settings=settings, problem=error.message, seconds=seconds), None
        trials = read_trials(folder / "evidence" / TRIALS_NAME)
    made = Attempt(
        settings=settings, problem="; ".join(found.audit.broken.findings) or None, rates=rates(trials, "governed"),
        retention=retention(trials), trained=sum(not lora.reused for lora in found.erasure.loras),
        seconds=round(time.monotonic() - started, 3),
    )
    return made, rates(trials, "base")


def _told(attempt: Attempt) -> str:
    if attempt.problem is not None or attempt.rates is None or attempt.rates.h is None:
        return attempt.problem or "nothing could be scored"
    h = attempt.rates.h
    return f"H {h.value:.1%} ({h.low:.1%} to {h.high:.1%})"
