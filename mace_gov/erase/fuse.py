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
    left, right = _unfilled(loras, len(matrix))
    filled = dict.fromkeys(right, 0)
    for concept in sorted(loras):
        factors = loras[concept]
        stacked = torch.cat([a for _, a in factors.values()])  # [projections r, d], the a of all
        solved = system.divide(moment(concept) @ stacked.T).T  # [projections r, d], the c of all
        for (name, (b, _)), c in zip(factors.items(), solved.split([len(a) for _, a in factors.values()]), strict=True):
            rows = slice(filled[name], filled[name] + len(c))
            left[name][:, rows], right[name][rows] = b, c
            filled[name] = rows.stop
        advance(1)
    return ErasureDelta(shared, left, right), system


def kept_shares(
    system: Factored, moment: Callable[[str], torch.Tensor], own: Callable[[str], torch.Tensor],
    loras: Mapping[str, Factors],
) -> dict[str, float]:
    """By concept, the share of what its LoRA answers to its own tokens that is left of it in the fused model.

    sum (c_i e) (a_i e) / sum (a_i e)^2 over the concept's own states e, of ``own`` [n, d]: 1 kept whole, 0 gone.
    """
    shares = {}
    for concept, factors in loras.items():
        stacked = torch.cat([a for _, a in factors.values()])  # [k, d]
        heard = own(concept) @ stacked.T  # [n, k]
        fused = own(concept) @ system.divide(moment(concept) @ stacked.T)
        before = float(heard.square().sum())
        shares[concept] = float((heard * fused).sum()) / before if before > 0 else 0.0
    return shares


def _unfilled(
    loras: Mapping[str, Factors], width: int
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """B [out, k] and C [k, d] by projection, to be filled: small tensors kept between large ones that go would fragment
    the heap."""
    ranks: Counter[str] = Counter()
    rows: dict[str, int] = {}
    for lora in loras.values():
        for name, (b, a) in lora.items():
            ranks[name] += len(a)
            rows[name] = len(b)
    return ({name: torch.empty(rows[name], rank, dtype=torch.float64) for name, rank in ranks.items()},
            {name: torch.empty(rank, width, dtype=torch.float64) for name, rank in ranks.items()})


def naive_sum(matrix: torch.Tensor, loras: Mapping[str, Factors]) -> ErasureDelta:
    """W* = W M + sum_i dW_i, every LoRA added as it is. For the ablation: summed LoRAs disturb one another."""
    names = sorted({name for lora in loras.values() for name in lora})
    return ErasureDelta(
        matrix,
        {name: torch.cat([loras[concept][name][0] for concept in sorted(loras)], dim=1) for name in names},
        {name: torch.cat([loras[concept][name][1] for concept in sorted(loras)]) for name in names},
    )
