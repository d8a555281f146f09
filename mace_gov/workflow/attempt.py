"""Erase with a plan, then audit what came of it against its base: what apply, compare and tune have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mace_gov.audit.inputs import AuditRun
from mace_gov.core.memory import peak_memory
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.erasure import ErasureRecord
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.policy import Policy


@dataclass(frozen=True)
class Audited:
    """A model that was erased and audited."""

    erasure: ErasureRecord
    """How it was erased."""
    governed: ModelManifest
    """The governed model, in ``model/``."""
    audit: AuditResult
    """What was seen; pictures and trials lie in ``evidence/``."""
    peak_bytes: int
    """Largest resident memory of the process while it erased."""


def erase_and_audit(
    policy: Policy, plan: ErasurePlan, folder: Path, run: AuditRun, *, cache: Path | None
) -> Audited:
    """Run a plan into ``folder`` and audit the result as ``policy`` asks.

    cache: where the erasure keeps LoRAs and text states, see ``erase``; the audit has its own in ``run``.
    Raises what ``erase`` and ``audit`` raise.
    """
    from mace_gov.audit.engine import audit
    from mace_gov.diffusion.manifest import read_manifest
    from mace_gov.erase.engine import erase

    with peak_memory() as peak:
        erasure = erase(plan, folder, cache=cache, device=run.device, progress=run.progress)
    # The base was taken as it is before, so what is odd about it is no reason to stop here.
    governed = read_manifest(str(folder / "model"), unmeasured=True, whole=True)
    seen = audit(policy, plan.base, governed, plan.generation, folder / "evidence",
                 replace(run, trained_on=plan.templates))
    return Audited(erasure, governed, seen, peak.bytes)
