"""Unified Concept Editing (Gandikota et al., WACV 2024): every concept's outputs become its anchor's, in closed form.

    min over W'   sum |W' c_i - W c*_i|^2  +  mu sum |W' c_j - W c_j|^2  +  lambda |W' - W|^2

over the states c_i of the concepts' own tokens (and of all that follows them), c*_i of their anchors', c_j of what is
preserved. It is the objective of MACE's refinement over other pairs, so W' = W M by the same solver. By default the
concept stands in the plan's captions and weights are relative, as for every other method; with ``preset: paper`` the
bare name is edited, sums are plain and named concepts alone are preserved (``MethodInfo.published``).
"""

from __future__ import annotations

from pathlib import Path

from mace_gov.core.progress import Progress
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import aligned_moments
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about, condition_warnings
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import solve
from mace_gov.erase.texts import kept_reader


def uce(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One edit of all concepts. See ``EraseMethod``."""
    clock = Stopwatch()
    with kept_reader(pipe, plan, cache, progress) as reader:
        with clock.stage("preserve"):
            preserve = preserve_term(reader, plan, cache, progress)
        with clock.stage("refine"):
            pairs = aligned_moments(reader, plan, progress.start("editing", len(plan.targets)))
            matrix, system = solve(pairs.a, pairs.c, plan.refine, preserve)
    systems = [system.record]
    delta = ErasureDelta(matrix, about=about(plan, "none"))
    return Erasure(delta, systems, [], clock.seconds, condition_warnings(systems))
