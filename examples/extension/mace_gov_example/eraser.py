"""An eraser: the concepts' own tokens become their anchors', in closed form, with nothing preserved."""

from __future__ import annotations

from pathlib import Path

import torch

from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import aligned_moments
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about, condition_warnings
from mace_gov.erase.refine import solve
from mace_gov.erase.texts import kept_reader


def plain(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One edit of all concepts. See ``mace_gov.erase.methods.method_protocol.EraseMethod``."""
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader, clock.stage("refine"):
        pairs = aligned_moments(reader, plan, progress.start("editing", len(plan.targets)))
        matrix, system = solve(pairs.a, pairs.c, plan.refine, torch.zeros_like(pairs.a))
    systems = [system.record]
    return Erasure(ErasureDelta(matrix, about=about(plan, "none")), systems, [], clock.seconds,
                   condition_warnings(systems))
