"""What every method takes and gives."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.erasure import GuardRecord, Hardening, SystemRecord
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.reuse import TrainedLora
from mace_gov.erase.systems import CONDITION_WARNING


@dataclass(frozen=True)
class Erasure:
    """All of a method's results, before anything is written."""

    delta: ErasureDelta
    """The governed model, as a difference."""
    systems: list[SystemRecord]
    """Linear systems solved."""
    loras: list[TrainedLora]
    """In the plan's order; empty when no target has steps, or the method trains none."""
    seconds: dict[str, float]
    """Wall time by stage."""
    warnings: list[str]
    """What looked odd."""
    left: float | None = None
    """See ``erase.refine.Refinement.left``."""
    hardening: list[Hardening] | None = None
    """Rounds of search by concept, where there were any."""
    guard: GuardRecord | None = None
    """Training of the layers that read no text, where there was any."""


class EraseMethod(Protocol):
    """Anything that turns a plan and pristine weights into a delta."""

    def __call__(self, plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
        """Erase in memory on a loaded base pipeline, whose weights are the base's again at the end.

        Raises NumericalError when a system is ill-conditioned or something is not finite.
        """
        ...


@dataclass
class Stopwatch:
    """Wall time by stage; a stage that comes twice is summed."""

    seconds: dict[str, float] = field(default_factory=dict)
    """By stage, in the order of their first start."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)


def about(plan: ErasurePlan, fusion: str) -> dict[str, object]:
    """What a delta says of itself."""
    return {
        "baseDigest": plan.base.digest, "policyDigest": plan.policy_digest, "planDigest": plan.content_digest(),
        "family": plan.base.family or "sd1", "method": plan.method, "fusion": fusion,
        "concepts": [target.id for target in plan.targets],
    }


def condition_warnings(systems: Sequence[SystemRecord]) -> list[str]:
    """Systems that were solved, but only just."""
    return [
        f"{system.stage}: condition number {system.condition:.2g}; a larger ridge would be steadier"
        for system in systems if system.condition > CONDITION_WARNING
    ]
