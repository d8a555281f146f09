"""Unified Concept Editing where text enters by joint attention (Stable Diffusion 3, FLUX). Experimental.

Past the context embedder, text and picture mix layer by layer, so that no projection behind it reads the encoder's
states alone. The embedder does, and it is linear: W' = W M there gives all attention behind it the anchor's context for
the concept's. T5 reads both ways, so what stands before the concept is paired as well.
"""

from __future__ import annotations

from pathlib import Path

import torch

from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Progress, working
from mace_gov.diffusion.joint import JointReader
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import pooled_projection
from mace_gov.documents.family_info import family_info
from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.methods.aligned import aligned_pairs
from mace_gov.erase.methods.method_protocol import Erasure, Stopwatch, about, condition_warnings
from mace_gov.erase.pooled import pooled_edit
from mace_gov.erase.preserve import second_moment, weighted_captions
from mace_gov.erase.refine import solve


def context(plan: ErasurePlan, pipe: Pipeline, *, cache: Path | None, progress: Progress) -> Erasure:
    """One edit of all concepts, of the context embedder and of the pooled text. See ``EraseMethod``; nothing is cached.

    Raises UsageError for methods that do not run on the family.
    """
    if plan.method not in (written := family_info(plan.base.family).methods):
        names = " or ".join(written)
        raise UsageError(f"{plan.base.family}: found method {plan.method}, expected {names}: only its closed form is "
                         "written for joint attention", hint=f"Set spec.method.name to {names}.")
    clock, reader = Stopwatch(), JointReader(pipe)
    with clock.stage("preserve"), working(progress, "reading what is preserved"):
        preserve = torch.zeros(reader.width, reader.width, dtype=torch.float64)
        for weight, captions in weighted_captions(plan, reader.tokenizer):
            preserve += weight * second_moment(reader.states(captions), reader.width)
    with clock.stage("refine"):
        a, c = torch.zeros_like(preserve), torch.zeros_like(preserve)
        advance = progress.start("editing", len(plan.targets))
        for target in sorted(plan.targets, key=lambda target: target.id):  # a sum rounds by its order
            for template in plan.templates:
                rows, columns = zip(*context_pairs(reader, template, target.target, target.anchor), strict=True)
                source, other = reader.states([template.replace("{}", p, 1) for p in (target.target, target.anchor)])
                e_s, e_t = source[list(rows)].double(), other[list(columns)].double()  # [pairs, d]
                a.addmm_(e_s.T, e_s)
                c.addmm_(e_t.T, e_s)
            advance(1)
        matrix, system = solve(a, c, plan.refine, preserve)
    with clock.stage("pooled"), working(progress, "editing the pooled text"):
        pooled, pooled_system = pooled_edit(reader, plan)
    delta = ErasureDelta(matrix, about=about(plan, "none"),
                         pooled=dict.fromkeys(pooled_projection(pipe.transformer), pooled))
    systems = [system.record, pooled_system.record]
    said = f"{plan.base.family}: experimental, the context embedder and the pooled text alone are edited"
    return Erasure(delta, systems, [], clock.seconds, [said, *condition_warnings(systems)])


def context_pairs(reader: JointReader, template: str, target: str, anchor: str) -> list[tuple[int, int]]:
    """Positions of the target's prompt and of the anchor's that stand for the same thing, over all streams."""
    pairs = []
    for (stream, one), (_, two) in zip(reader.own(template, target), reader.own(template, anchor), strict=True):
        before = [(n, n) for n in range(min(one.found[0], two.found[0]))]
        pairs += [(stream.start + i, stream.start + j) for i, j in [*before, *aligned_pairs(one, two)]]
    return pairs
