"""Stage 3, closed-form fusion: one model that does on each concept's own embeddings what that concept's LoRA does.

    min over W*   sum_i |W* E_i - (W' + dW_i) E_i|^2  +  lambda |W* - W'|^2  +  mu |W* E_p - W E_p|^2

With A_i = E_i E_i^T, G = sum A_i + lambda I + mu P, W' = W M and dW_i = b_i a_i the solution is

    W* = W [ M + (I - M) mu P G^-1 ]  +  sum_i b_i c_i^T,     c_i = G^-1 A_i a_i^T

one factorisation in all, and O(d^2) for each concept and projection. With W' E_p instead of W E_p in the last term, as
the default has it, the first bracket is M: the fusion holds what is preserved where the refinement left it, rather than
weigh it against the targets a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import torch

from mace_gov.documents.plan import ClosedForm
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.lora_file import Factors
from mace_gov.erase.second_moments import Moments
from mace_gov.erase.systems import Factored


def fuse(
    matrix: torch.Tensor, total: torch.Tensor, moment: Callable[[str], torch.Tensor], loras: Mapping[str, Factors],
    settings: ClosedForm, preserve: torch.Tensor, advance: Callable[[int], None] = lambda _steps: None, *,
    as_refined: bool = False,
) -> tuple[ErasureDelta, Factored]:
    """The fused delta, and the system that was solved.

    matrix is M [d, d]; total is sum A_i [d, d] over every target, also those without a LoRA, whose refined output is
    kept; moment gives A_i [d, d] of a concept, one is held at a time; loras are the trained factors by concept id;
    preserve is mu P [d, d]. All float64. as_refined: what is preserved stays as refined, not as in the base.
    The order of concepts does not matter, to the bit.
    Raises NumericalError when the system is ill-conditioned.
    """
    system = Factored("fuse", total, settings, preserve)
    shared = matrix
    if not as_refined:
        identity = torch.eye(matrix.shape[0], dtype=matrix.dtype)
        shared = matrix + system.divide_from_right((identity - matrix) @ preserve)
    added = _Sum(loras, len(matrix))
    for concept in sorted(loras):
        factors = loras[concept]
        stacked = torch.cat([a for _, a in factors.values()])  # [projections r, d], the a of all
        solved = system.divide(moment(concept) @ stacked.T).T  # [projections r, d], the c of all
        for (name, (b, _)), c in zip(factors.items(), solved.split([len(a) for _, a in factors.values()]), strict=True):
            added.add(name, b, c)
        advance(1)
    return ErasureDelta(shared, *added.factors()), system


def kept_shares(
    system: Factored, moments: Callable[[str], Moments], loras: Mapping[str, Factors]
) -> dict[str, float]:
    """By concept, the share of what its LoRA answers to its own tokens that is left of it in the fused model.

    sum (c_i e) (a_i e) / sum (a_i e)^2 over the concept's own states e: 1 kept whole, 0 gone.
    """
    shares = {}
    for concept, factors in loras.items():
        stacked = torch.cat([a for _, a in factors.values()])  # [k, d]
        of = moments(concept)
        heard = of.own @ stacked.T  # [n, k]
        fused = of.own @ system.divide(of.every @ stacked.T)
        before = float(heard.square().sum())
        shares[concept] = float((heard * fused).sum()) / before if before > 0 else 0.0
    return shares


class _Sum:
    """sum_i b_i c_i^T of every projection W [out, d].

    Factors stand side by side while they are fewer than the product's rows or columns. From there on they would be
    larger than the product, which is summed up instead: no number of concepts takes more than some copies of the W.
    """

    def __init__(self, loras: Mapping[str, Factors], width: int) -> None:
        ranks: Counter[str] = Counter()
        rows: dict[str, int] = {}
        for lora in loras.values():
            for name, (b, a) in lora.items():
                ranks[name] += len(a)
                rows[name] = len(b)
        many = {name for name, rank in ranks.items() if rank > min(rows[name], width)}
        # all at once: small tensors kept between large ones that go would fragment the heap
        self._products = {name: torch.zeros(rows[name], width, dtype=torch.float64) for name in ranks if name in many}
        self._left = {name: torch.empty(rows[name], rank, dtype=torch.float64)
                      for name, rank in ranks.items() if name not in many}
        self._right = {name: torch.empty(ranks[name], width, dtype=torch.float64) for name in self._left}
        self._filled = dict.fromkeys(self._left, 0)

    def add(self, name: str, b: torch.Tensor, c: torch.Tensor) -> None:
        """Add b [out, r] c [r, d] to a projection's."""
        if name in self._products:
            self._products[name].addmm_(b, c)
            return
        rows = slice(self._filled[name], self._filled[name] + len(c))
        self._left[name][:, rows], self._right[name][rows] = b, c
        self._filled[name] = rows.stop

    def factors(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """B [out, k] and C [k, d] by projection; one of them is the identity where the product was summed up."""
        for name, product in self._products.items():
            one = torch.eye(min(product.shape), dtype=product.dtype)
            wide = product.shape[0] <= product.shape[1]
            self._left[name], self._right[name] = (one, product) if wide else (product, one)
        return self._left, self._right


def naive_sum(matrix: torch.Tensor, loras: Mapping[str, Factors]) -> ErasureDelta:
    """W* = W M + sum_i dW_i, every LoRA added as it is. For the ablation: summed LoRAs disturb one another."""
    added = _Sum(loras, len(matrix))
    for concept in sorted(loras):
        for name, (b, a) in loras[concept].items():
            added.add(name, b, a)
    return ErasureDelta(matrix, *added.factors())
