"""A policy file and a base model made into a plan: what every run begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.unrelated import held_out
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.plan import ErasurePlan, SegmenterSettings
from mace_gov.documents.policy import Policy
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import LoadedPolicy, load_policy
from mace_gov.preflight.checks import APPLY, Ahead, check_plan, check_policy, check_sight
from mace_gov.workflow.checking import verified_base


@dataclass(frozen=True)
class BaseChoice:
    """The base model that a caller asks for."""

    ref: str | None = None
    """``embedded``, a folder, a ``.safetensors`` file, a hub id or ``registry:NAME/N``; None: the policy's own."""
    revision: str | None = None
    """Commit, branch or tag of a hub id; None: the policy's, if the model is the policy's too."""
    unmeasured: bool = False
    """Take a base of a kind on which no erasure has been measured."""


POLICYS_OWN = BaseChoice()


class Planned(NamedTuple):
    """A policy, its plan, and what the audit asks by the policy alone."""

    loaded: LoadedPolicy
    """The policy, as it was read."""
    plan: ErasurePlan
    """Every setting for the base model."""
    own: list[Probe]
    """The policy's own questions; none where no audit of them follows."""


def plan_policy(
    path: Path, choice: BaseChoice = POLICYS_OWN, *, registry: Path, exact: bool = False,
    plugins: Sequence[str] = (), ahead: Ahead = APPLY,
) -> Planned:
    """Load a policy and fill in every setting for the base model; its text encoder chooses anchors that are missing.

    exact: reuse no LoRA that was trained on another refinement. plugins: ``--plugin`` arguments. ahead: what follows,
    and is checked for now. A base that is a governed version is verified before it is read.
    Raises PolicyError with everything that would end the work late, before any of it; IntegrityError when the base
    does not verify, or is another model than the one that was signed.
    """
    from mace_gov.diffusion.manifest import picture_side, read_manifest

    loaded = load_policy(path)
    check_policy(loaded, plugins)
    policy, asked = loaded.policy, loaded.policy.spec.model
    ref = asked.ref if choice.ref is None else choice.ref
    signed = verified_base(ref, registry)
    revision = choice.revision or (None if choice.ref else asked.revision)
    if ahead.judges:
        check_sight(loaded, picture_side(ref, revision=revision, registry=registry))
    base = read_manifest(ref, revision=revision, registry=registry, unmeasured=choice.unmeasured)
    if signed is not None and signed != base.digest:
        raise IntegrityError(f"base model '{ref}' has digest {base.digest}, signed was {signed}")
    chosen = {}
    if any(concept.anchor is None for _, concept in policy.concepts()):
        from mace_gov.erase.anchors import choose_anchors

        chosen = choose_anchors(policy, base)
    plan = make_plan(policy, base, chosen=chosen, exact=exact, segmenter=named_segmenter(policy),
                     held_out=held_out(policy, lexicon_for(base)))
    return Planned(loaded, plan, check_plan(loaded, plan, ahead))


def named_segmenter(policy: Policy) -> SegmenterSettings | None:
    """The segmenter that a policy names, by content. Raises ModelError when there is none there, or it is not safe."""
    if policy.spec.method.segmenter is None:
        return None
    from mace_gov.diffusion.segmenters import read_segmenter

    return read_segmenter(policy.spec.method.segmenter)


def with_anchors(policy: Policy, plan: ErasurePlan) -> Policy:
    """The policy with the anchors that were chosen for it, so that every run of it has the same."""
    anchors = {target.id: target.anchor for target in plan.targets}
    categories = [
        category.model_copy(update={"concepts": [
            concept.model_copy(update={"anchor": anchors[concept.id]}) for concept in category.concepts
        ]})
        for category in policy.spec.categories
    ]
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"categories": categories})})
