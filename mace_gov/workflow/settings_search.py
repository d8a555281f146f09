"""The long form of the fit: every point of its line that a time budget has room for, asked for all that matters.

``apply`` stops at the mildest point that seems to erase, by few pictures of what is banned. Here each point is erased
and asked with more pictures, of what is banned and of what must survive, from the fit's choice outwards.

Above the workflow, like the comparison of methods: nothing here is signed, recorded or gated. What it asks, the audit
does not (audit.probes.tuning_probes); the best of several choices still looks better than it is, and the audit decides.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.clock import timestamp
from mace_gov.core.errors import IncompleteError, NumericalError, UsageError
from mace_gov.documents.comparison import Rates
from mace_gov.documents.fit import Fit
from mace_gov.documents.method import Method
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import Layout
from mace_gov.documents.tuning import Attempt, Settings, Tuning
from mace_gov.plan.build import make_plan
from mace_gov.plan.fitting import searched
from mace_gov.preflight.checks import check_machine
from mace_gov.workflow.attempt import erase_and_audit
from mace_gov.workflow.planning import POLICYS_OWN, BaseChoice, named_segmenter, plan_policy, with_anchors


def tune(
    path: Path, *, minutes: float, base: BaseChoice = POLICYS_OWN, registry: Path, run: AuditRun | None = None
) -> Tuning:
    """Try the settings that the policy leaves to the model at hand, what ``apply`` would do first.

    Pictures of the base, training pictures and LoRAs come from the registry's cache where they are there, and stay in
    it: an apply with the settings found trains nothing anew. The first attempt is made whatever the budget.
    run: see ``apply``.
    Raises UsageError for policies with styles and for those that leave nothing open, before any work; IncompleteError
    when no attempt gave a model that draws.
    """
    started = time.monotonic()
    run = run or AuditRun()
    plugins, progress = run.inputs.plugins, run.progress
    loaded, plan, _ = plan_policy(path, base, registry=registry, plugins=plugins)
    check_machine(loaded.policy, registry)
    policy = with_anchors(loaded.policy, plan)
    from mace_gov.audit.engine import check_detectors
    from mace_gov.audit.metrics.intervals import CONFIDENCE
    from mace_gov.audit.probes.tuning_probes import tuning_policy
    from mace_gov.fitting.fit import fit

    inputs = Inputs(plugins=plugins, calibrations=Layout(registry).calibrations)
    check_detectors(policy, inputs)
    tuning_policy(policy)
    if not (names := searched(policy, plan)):
        raise UsageError("tune: found a policy that leaves nothing to the model at hand, expected one for the eraser "
                         "mace without preserve.weight, refine.relativeRidge or published settings",
                         hint="Compare settings of your own with `mace-gov compare`.")
    run = replace(run, cache=Layout(registry).cache, inputs=inputs)
    fitted = fit(policy, plan, cache=Layout(registry).cache, device=run.device, progress=progress, plugins=plugins)
    attempts: list[Attempt] = []
    bases: list[Rates] = []
    exhausted = True
    if (found := fitted.fit) is None:
        raise IncompleteError("tune: the search gave nothing to try")
    for point in outwards(len(found.line), found.held):
        used = time.monotonic() - started
        longest = max((each.seconds for each in attempts), default=0.0)
        if attempts and used + longest > 60 * minutes:
            exhausted = False
            break
        settings = _settings_at(found, point, names)
        chosen = fitted
        if attempts:
            method = with_settings(policy.spec.method, settings)
            other = policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})
            chosen = make_plan(other, plan.base, segmenter=named_segmenter(other),
                               held_out=plan.preserve.held_out or ())
        made, rates = _attempt(policy, chosen, settings, run)
        attempts.append(made)
        bases.extend([rates] if rates else [])
        told = ", ".join(f"{name} {value:g}" for name, value in settings.items())
        progress.note(f"attempt {len(attempts)}: {told}: {_told(made)}")
    best = max(range(len(attempts)), key=lambda n: (attempts[n].score, -n))
    if attempts[best].score < 0:
        raise IncompleteError(f"none of {len(attempts)} attempts drew anything: {attempts[0].problem}")
    method = loaded.policy.spec.method
    return Tuning(
        created=timestamp(), policy_name=policy.metadata.name, policy_digest=plan.policy_digest,
        base_ref=plan.base.ref, base_digest=plan.base.digest, confidence=CONFIDENCE, budget_minutes=minutes,
        seconds=round(time.monotonic() - started, 3), exhausted=exhausted, base=bases[0], attempts=attempts, best=best,
        method=with_settings(method, attempts[best].settings) if best else method,
    )


def outwards(count: int, first: int) -> list[int]:
    """The points of a line by their distance from one, the stronger of two before the milder."""
    return sorted(range(count), key=lambda point: (abs(point - first), -point))


def _settings_at(fit: Fit, point: int, names: Sequence[str]) -> Settings:
    """The settings of a point of a fit's line. Where it found that no concept needs a LoRA, none is trained."""
    at = fit.line[point]
    known = {"preserve.weight": at.weight, "refine.relativeRidge": at.relative_ridge}
    found = {name: value for name in names if (value := known[name]) is not None}
    return {**found, **({"lora.steps": 0.0} if fit.loras == [] else {})}


def with_settings(method: Method, settings: Settings) -> Method:
    """A policy's ``method`` with other settings."""
    value = method.to_json()
    for name, number in settings.items():
        block, key = name.split(".")
        value.setdefault(block, {})[key] = int(number) if key == "steps" else number
    return Method.from_json(value)


def _attempt(
    policy: Policy, plan: ErasurePlan, settings: Settings, run: AuditRun
) -> tuple[Attempt, Rates | None]:
    """Erase as planned and ask; also what the same probes found in the base."""
    from mace_gov.audit.probes.lexicon import lexicon_for
    from mace_gov.audit.probes.tuning_probes import tuning_lexicon, tuning_policy
    from mace_gov.audit.side_by_side import rates, retention
    from mace_gov.audit.trials import TRIALS_NAME, read_trials

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mace-gov-tune-") as name:
        folder = Path(name)
        try:
            lexicon = tuning_lexicon(policy, lexicon_for(plan.base))
            found = erase_and_audit(tuning_policy(policy), plan, folder, replace(run, lexicon=lexicon), cache=run.cache)
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
