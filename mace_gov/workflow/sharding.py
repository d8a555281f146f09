"""An audit whose pictures are drawn on several machines, and the merge that makes one audit of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.errors import UsageError
from mace_gov.core.resources import Dtype, asked, using
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.registry import Layout
from mace_gov.documents.shard import Shard, ShardFacts, ShardRequest
from mace_gov.policy.load import LoadedPolicy
from mace_gov.preflight.checks import Ahead, check_machine, check_plan
from mace_gov.workflow.planning import POLICYS_OWN, BaseChoice, plan_policy

if TYPE_CHECKING:
    from mace_gov.audit.pictures import Drawer
    from mace_gov.workflow.applying import RunResult


def draw_shard(
    model: str, path: Path, out: Path, shard: str, *, base: BaseChoice = POLICYS_OWN, registry: Path,
    run: AuditRun | None = None,
) -> Shard:
    """Draw share ``shard`` (see ``audit.shards.parse_share``) of an audit's pictures into ``out``.

    Nothing is signed and nothing is written into the registry but a single-file model that is unpacked. Run it again
    after an interruption: what was drawn is reused.
    """
    from mace_gov.audit.shards import check_shardable, draw_share, facts_of, parse_share
    from mace_gov.diffusion.manifest import read_manifest

    share, run = parse_share(shard), run or AuditRun()
    inputs = run.inputs
    check_shardable(inputs)
    loaded, plan, own = plan_policy(path, base, registry=registry, plugins=inputs.plugins,
                                    ahead=Ahead(judges=False, erases=False))
    check_machine(None, out)
    governed = read_manifest(model, registry=registry, unmeasured=base.unmeasured, whole=True)
    check_plan(loaded, plan, Ahead(asks=False, judges=False, erases=False))
    facts = facts_of(share.count, loaded.file_digest, plan.base, governed, plan.generation, inputs)
    request = ShardRequest(model=_place(model), policy=str(path.resolve()), base=base.ref and _place(base.ref),
                           prompts=[str(each.resolve()) for each in inputs.prompts], plugins=list(inputs.plugins),
                           unmeasured=base.unmeasured)
    begun = Shard(index=share.index, facts=facts, request=request, drawn={}, files={})
    return draw_share(loaded.policy, plan.base, governed, plan.generation, begun, out,
                      replace(run, trained_on=plan.templates, own=own))


def merge_shards(
    folders: Sequence[Path], *, path: Path | None = None, registry: Path, reports: Path, run: AuditRun | None = None,
) -> RunResult:
    """One audit of all shards: the same evidence as if this machine had drawn the pictures. None is drawn here.

    path: the policy, where it lies elsewhere than where the shards read it.
    """
    from mace_gov.audit.shards import read_shards
    from mace_gov.workflow.applying import audit_model

    first = read_shards(folders)[0]
    request, precision = first.request, first.facts.precision
    inputs = Inputs(prompts=tuple(map(Path, request.prompts)), plugins=tuple(request.plugins),
                    tiers=frozenset(first.facts.tiers), calibrations=Layout(registry).calibrations)
    policy = path or Path(request.policy)
    if lost := [str(each) for each in (policy, *inputs.prompts) if not each.is_file()]:
        raise UsageError(f"the shards were drawn with {lost[0]}, which is not here",
                         hint="Give the policy with --policy; put files of prompts where the shards read them.")
    given = Dtype(precision) if precision in set(Dtype) else None
    with using(batch=asked().batch, precision=given):
        return audit_model(request.model, policy, base=BaseChoice(request.base, unmeasured=request.unmeasured),
                           registry=registry, reports=reports, run=replace(run or AuditRun(), inputs=inputs),
                           shards=folders)


def drawer_of(
    folders: Sequence[Path], loaded: LoadedPolicy, plan: ErasurePlan, governed: ModelManifest, inputs: Inputs
) -> Drawer:
    """What takes every picture from the shards; see ``audit.shards.merged_drawer``."""
    from mace_gov.audit.shards import facts_of, merged_drawer

    facts: ShardFacts = facts_of(len(folders), loaded.file_digest, plan.base, governed, plan.generation, inputs)
    return merged_drawer(folders, facts)


def _place(reference: str) -> str:
    """A model's reference as it is, a folder or a file by its whole path."""
    return str(Path(reference).resolve()) if Path(reference).exists() else reference
