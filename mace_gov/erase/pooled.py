"""The pooled text in closed form: what reaches the picture past cross-attention becomes the anchor's as well.

Of every prompt SDXL's U-Net also reads one vector p, through a linear layer. That layer has the refinement's objective,

    min over W'   sum |W' p_s - W p_t|^2  +  lambda |W' - W|^2  +  sum_p mu_p |W' p - W p|^2

with p_s of a target's prompt and p_t of the same prompt with its anchor, and so W' = W M by the same solver. A prompt's
states hold the rest in place by tokens that target and anchor share; its one pooled vector has none, so the general
captions are preserved whatever the policy says, and weigh as much as the targets' prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from mace_gov.documents.plan import ErasurePlan
from mace_gov.erase.preserve import prior_captions, weighted_captions
from mace_gov.erase.refine import solve
from mace_gov.erase.second_moments import names_of
from mace_gov.erase.systems import Factored


class PooledReader(Protocol):
    """Reads the pooled text of prompts: ``TextReader``, or ``JointReader`` where text enters by joint attention."""

    tokenizer: Any
    """Spells prompts."""

    def tokens(self, prompt: str) -> Any:
        """A prompt, as ``pooled`` takes it."""
        ...

    def pooled(self, prompts: Sequence[Any]) -> Iterator[torch.Tensor]:
        """The pooled text of each prompt, [1, p] at a time."""
        ...


@dataclass(frozen=True)
class PooledSums:
    """What the system is made of, all float64 on the CPU. It depends on neither ridge nor weights."""

    targets: list[str]
    """Whose each pair is, by id."""
    source: torch.Tensor
    """p_s [pairs, p] of the prompts of every name that is erased."""
    anchor: torch.Tensor
    """p_t [pairs, p]."""
    preserve: torch.Tensor
    """sum mu_p p p^T [p, p]."""

    def edit(self, plan: ErasurePlan) -> tuple[torch.Tensor, Factored]:
        """M [p, p] for the layer that reads the pooled text, and the system that was solved.

        Ridge and weights are those of ``plan``; since what is preserved here counts as much as all pairs, the weights
        share them out anew. Raises NumericalError as the refinement does.
        """
        weights = {target.id: target.weight or 1.0 for target in plan.targets}
        counts = torch.tensor([weights[each] for each in self.targets], dtype=torch.float64)
        counted = self.source * (counts / counts.mean())[:, None]
        return solve(self.source.T @ counted, self.anchor.T @ counted, plan.refine, self.preserve, stage="pooled")


def pooled_sums(reader: PooledReader, plan: ErasurePlan) -> PooledSums:
    """The sums over a plan's targets, by the names that it erases, and over what it preserves."""
    pairs = [(target.id, template.replace("{}", name, 1), template.replace("{}", target.anchor, 1))
             for target in plan.targets for name in names_of(plan, target) for template in plan.templates]
    targets, names, anchors = zip(*pairs, strict=True)
    source, anchor = pooled_texts(reader, names), pooled_texts(reader, anchors)
    captions = prior_captions(plan, reader.tokenizer)
    named = [(weight, group) for weight, group in weighted_captions(plan, reader.tokenizer) if group != captions]
    preserve = torch.zeros(source.shape[1], source.shape[1], dtype=torch.float64)
    for weight, group in [(len(source) / max(1, len(captions)), captions), *named]:
        if group:
            vectors = pooled_texts(reader, group)
            preserve += weight * (vectors.T @ vectors)
    return PooledSums(list(targets), source, anchor, preserve)


def pooled_edit(reader: PooledReader, plan: ErasurePlan) -> tuple[torch.Tensor, Factored]:
    """See ``PooledSums.edit``."""
    return pooled_sums(reader, plan).edit(plan)


def pooled_texts(reader: PooledReader, prompts: Sequence[str]) -> torch.Tensor:
    """Pooled text of prompts, [n, p] float64 on the CPU."""
    return torch.cat(list(reader.pooled([reader.tokens(prompt) for prompt in prompts]))).cpu().double()
