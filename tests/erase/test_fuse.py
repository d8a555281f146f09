"""Stage 3 as theorems."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.errors import NumericalError
from mace_gov.documents.plan import ClosedForm
from mace_gov.erase.fuse import fuse, naive_sum

D, OUT, NAMES = 10, 6, ("down.attn2.to_k", "down.attn2.to_v")


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def concept(seed: int, rank: int = 1) -> dict:
    return {name: (random(seed + n, OUT, rank), random(seed + 50 + n, rank, D)) for n, name in enumerate(NAMES)}


ZERO = torch.zeros(D, D, dtype=torch.float64)
M = torch.eye(D, dtype=torch.float64) + 0.1 * random(7, D, D)


def fused(own, loras, settings, preserve):
    """own: E_i^T by concept."""
    total = sum(own[name].T @ own[name] for name in sorted(own))
    return fuse(M, total, lambda name: own[name].T @ own[name], loras, settings, preserve)


def dense(delta, w, name=NAMES[0]):
    return delta.apply({name: w, NAMES[1]: w})[name]


def test_one_lora_without_preserve_gives_the_merged_layers_outputs_on_its_embeddings():
    w, own = random(1, OUT, D), random(2, 25, D)
    lora = concept(3)
    delta, _ = fused({"ship": own}, {"ship": lora}, ClosedForm(ridge=1e-9), ZERO)
    b, a = lora[NAMES[0]]
    merged = w @ M + b @ a
    assert torch.allclose(dense(delta, w) @ own.T, merged @ own.T, atol=1e-7)


@pytest.mark.parametrize("rank", [1, 3])
def test_it_zeroes_the_gradient_of_its_own_objective(rank):
    w, kept = random(1, OUT, D), random(9, 30, D)
    own = {"ship": random(2, 8, D), "dog": random(4, 8, D)}
    loras = {"ship": concept(3, rank), "dog": concept(5, rank)}
    delta, _ = fused(own, loras, ClosedForm(ridge=0.4), 0.3 * kept.T @ kept)
    new = dense(delta, w).requires_grad_()
    refined = w @ M
    loss = 0.4 * ((new - refined) ** 2).sum() + 0.3 * ((new @ kept.T - w @ kept.T) ** 2).sum()
    for name, e in own.items():
        b, a = loras[name][NAMES[0]]
        loss = loss + (((new - refined - b @ a) @ e.T) ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, new)
    assert gradient.abs().max() < 1e-9


def test_concept_order_does_not_matter_to_the_bit():
    own = {name: random(n, 8, D) for n, name in enumerate(("ship", "dog", "mira"))}
    loras = {name: concept(10 + n) for n, name in enumerate(own)}
    one, _ = fused(own, loras, ClosedForm(ridge=0.1), ZERO)
    backwards = {name: loras[name] for name in reversed(loras)}
    other, _ = fused(dict(reversed(own.items())), backwards, ClosedForm(ridge=0.1), ZERO)
    assert torch.equal(one.matrix, other.matrix)
    assert all(torch.equal(one.left[n], other.left[n]) and torch.equal(one.right[n], other.right[n]) for n in NAMES)


@pytest.mark.parametrize("out", [6, 20])
def test_more_concepts_than_rows_or_columns_are_the_same_weights_in_no_more_memory(out, monkeypatch):
    """out: rows of the projections, fewer and more than their D columns."""
    monkeypatch.setattr("tests.erase.test_fuse.OUT", out)
    w, own = random(1, out, D), {f"c{n}": random(n, 8, D) for n in range(15)}
    loras = {name: concept(100 * n + 20) for n, name in enumerate(own)}
    most, _ = fused(own, loras, ClosedForm(ridge=0.1), ZERO)
    assert most.left[NAMES[0]].shape == (out, min(out, D)) and most.right[NAMES[0]].shape == (min(out, D), D)
    expected, total = w @ M, sum(own[name].T @ own[name] for name in own) + 0.1 * torch.eye(D, dtype=torch.float64)
    for name, e in own.items():
        b, a = loras[name][NAMES[0]]
        expected = expected + b @ (a @ e.T @ e) @ torch.linalg.inv(total)
    assert torch.allclose(dense(most, w), expected)
    added = naive_sum(torch.zeros_like(M), loras)
    assert torch.allclose(dense(added, w), sum(lora[NAMES[0]][0] @ lora[NAMES[0]][1] for lora in loras.values()))


def test_without_loras_and_without_preserve_the_refinement_stays():
    own = random(2, 25, D)
    delta, _ = fused({"ship": own}, {}, ClosedForm(ridge=0.1), ZERO)
    assert torch.allclose(delta.matrix, M)
    assert not delta.left


def test_preserved_embeddings_keep_the_base_outputs():
    w, kept, own = random(1, OUT, D), random(9, 4, D), random(2, 8, D)
    delta, _ = fused({"ship": own}, {"ship": concept(3)}, ClosedForm(ridge=0.1), 1e8 * kept.T @ kept)
    assert torch.allclose(dense(delta, w) @ kept.T, w @ kept.T, atol=1e-5)
    assert not torch.allclose(w @ M @ kept.T, w @ kept.T, atol=1e-2)


def test_naive_sum_adds_every_lora():
    w, loras = random(1, OUT, D), {"ship": concept(3), "dog": concept(5)}
    expected = w @ M + sum(lora[NAMES[0]][0] @ lora[NAMES[0]][1] for lora in loras.values())
    assert torch.allclose(dense(naive_sum(M, loras), w), expected)


def test_ill_conditioned_or_non_finite_is_refused():
    own = random(2, 3, D)
    with pytest.raises(NumericalError, match="fuse: condition number"):
        fused({"ship": own}, {"ship": concept(3)}, ClosedForm(ridge=0.0), ZERO)
    with pytest.raises(NumericalError, match="not finite"):
        fused({"ship": own * float("inf")}, {"ship": concept(3)}, ClosedForm(ridge=0.1), ZERO)
