"""What a fit will search, what it may cost, and what one found before: said before anything runs. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mace_gov.core.canonical import canonical_json, digest_of
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.store import Store
from mace_gov.documents.family_info import family_info
from mace_gov.documents.fit import Fit
from mace_gov.documents.method_info import method_info
from mace_gov.documents.plan import ClosedForm, ErasurePlan
from mace_gov.documents.policy import Policy

FEWEST, MOST, MINUTES = 24, 100, 10.0
"""Pictures of a trial, one of each name that is erased between these bounds, and minutes, unless the policy has a
budget."""

TRIALS = 5
"""Trials that a budget is for: one of the base, and four that halve a line of settings."""
ROUNDS = 10
"""Rounds with concepts weighed one by one, where the policy has no budget of its own; else what it leaves."""
OTHERS = 16
"""Pictures of what was not given to the erasure: of the base, and at up to four points."""

def searched(policy: Policy, plan: ErasurePlan) -> list[str]:
    """The settings that the policy leaves to the model at hand; empty when there is nothing to fit."""
    method = policy.spec.method
    fits = method_info(plan.method).trains == "loras" and plan.method in family_info(plan.base.family).methods
    if not fits or not plan.preserve.relative or plan.preserve.prior == "none":
        return []
    given = method.refine.ridge is not None or method.refine.relative_ridge is not None
    return [*(["preserve.weight"] if method.preserve.weight is None else []),
            *([] if given else ["refine.relativeRidge"])]


def pictures(policy: Policy, plan: ErasurePlan) -> int:
    """Pictures that a fit may draw."""
    if (own := _own_budget(policy)) is not None:
        return own
    each, others = shares(policy, plan)
    return TRIALS * (each + others) + (ROUNDS * each + others if len(plan.targets) > 1 else 0)


def shares(policy: Policy, plan: ErasurePlan) -> tuple[int, int]:
    """Pictures of what is banned and of what was not given to the erasure, of each look."""
    if (own := _own_budget(policy)) is not None:
        others = min(OTHERS, own // (2 * TRIALS))
        return own // TRIALS - others, others
    return min(max(names(plan), FEWEST), MOST), OTHERS


def names(plan: ErasurePlan) -> int:
    """How many are erased, synonyms with them where the erasure is given them."""
    return sum(1 + len(target.other_names or []) if plan.refine_names else 1 for target in plan.targets)


def _own_budget(policy: Policy) -> int | None:
    budget = policy.spec.method.fit
    return None if budget is None else budget.pictures


def minutes(policy: Policy) -> float:
    """Minutes that a fit's trials may take."""
    budget = policy.spec.method.fit
    return MINUTES if budget is None or budget.minutes is None else budget.minutes


VERSION = 18
"""Raised whenever the same plan would be fitted otherwise."""


def kept_fit(plan: ErasurePlan, cache: Path, progress: Progress | None = None) -> Fit | None:
    """What was found for just this plan before; None when it was not, or is not what was kept."""
    store = Store(cache)
    data = store.get(_name(plan))
    store.tell(progress or Silent())
    return None if data is None else Fit.from_json(json.loads(data))


def keep_fit(plan: ErasurePlan, made: Fit, cache: Path) -> None:
    """Keep what was found for a plan, which is the one that was not fitted yet."""
    Store(cache).put(_name(plan), canonical_json(made.to_json()))


def fitted(plan: ErasurePlan, made: Fit) -> ErasurePlan:
    """The plan with the settings that a fit chose, and LoRAs for the concepts that need one."""
    point, targets = made.point, plan.targets
    if made.loras is not None:
        still = set(made.loras)
        targets = [target if target.id in still else target.model_copy(
            update={"lora": target.lora.model_copy(update={"steps": 0})}) for target in targets]
    chosen = at(plan, point.weight, point.relative_ridge).model_copy(update={"targets": targets, "fit": made})
    return weighed(chosen, made.weighed.weights) if made.weighed else chosen


def weighed(plan: ErasurePlan, weights: Mapping[str, float]) -> ErasurePlan:
    """The plan with targets that count so much in the refinement; those that are not named count once."""
    return plan.model_copy(update={"targets": [
        target.model_copy(update={"weight": weights.get(target.id)}) for target in plan.targets]})


def at(plan: ErasurePlan, weight: float, ridge: float | None) -> ErasurePlan:
    """The plan with another weight and, unless None, another ridge of the refinement."""
    changed: dict[str, object] = {"preserve": plan.preserve.model_copy(update={"scale": weight})}
    if ridge is not None:
        changed["refine"] = ClosedForm(relative_ridge=ridge)
    return plan.model_copy(update=changed)


def _name(plan: ErasurePlan) -> str:
    bare = plan.model_copy(update={"notes": [], "fit": None, "guard": None}).to_json()
    del bare["base"]
    return f"fits/{digest_of({'what': f'fit/v{VERSION}', 'base': plan.base.digest, 'plan': bare})}.json"
