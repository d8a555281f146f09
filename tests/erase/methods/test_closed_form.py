"""UCE and the null-space editor as theorems: stationarity, what is preserved, what the concept's own tokens give."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ClosedForm, PreserveSettings
from mace_gov.erase.methods.aligned import aligned_moments, aligned_pairs
from mace_gov.erase.methods.nullspace import influenced_term, invariants, null_projector, nullspace
from mace_gov.erase.methods.uce import uce
from mace_gov.erase.preserve import preserve_term, prior_captions

KEPT = PreserveSettings(prior="none", scale=0.0, concepts=["cat"], concept_scale=0.05, leak=1e-3)


def paired_states(reader, plan) -> tuple[torch.Tensor, torch.Tensor]:
    """The states that aligned pairs stand for, [pairs, d] each."""
    e_s, e_t = [], []
    for target in plan.targets:
        for template in plan.templates:
            one, other = reader.fill(template, target.target), reader.fill(template, target.anchor)
            source, anchor = (state.double() for state in reader.states([one, other]))
            for i, j in aligned_pairs(one, other):
                e_s.append(source[i])
                e_t.append(anchor[j])
    return torch.stack(e_s), torch.stack(e_t)


def kept_states(reader, plan) -> torch.Tensor:
    return reader.phrase("cat", plan.templates)[1].flatten(0, 1)


@pytest.mark.parametrize(("target", "anchor"), [
    ("ship", "sky"), ("ship", "a person wearing clothes"), ("a person wearing clothes", "sky"),
])
def test_own_tokens_go_to_the_anchors_and_all_that_follows_with_them(reader, target, anchor):
    one, other = reader.fill("a photo of {}", target), reader.fill("a photo of {}", anchor)
    pairs = aligned_pairs(one, other)
    (first, end), (anchor_first, anchor_end) = one.own, other.own
    assert [i for i, _ in pairs] == list(range(first, first + len(pairs)))
    assert (end - 1, anchor_end - 1) in pairs  # the last subject token of each
    assert (one.used - 1, other.used - 1) in pairs  # end of text with end of text
    assert pairs[0][1] == max(anchor_first, anchor_end - (end - first))  # what is left over goes to the first
    assert max(max(pair) for pair in pairs) == 76


def test_moments_are_those_of_the_pairs(reader, plan_for):
    plan = plan_for()
    e_s, e_t = paired_states(reader, plan)
    found = aligned_moments(reader, plan)
    assert torch.allclose(found.a, e_s.T @ e_s)
    assert torch.allclose(found.c, e_t.T @ e_s)
    assert torch.allclose(found.residual, (e_s - e_t).T @ (e_s - e_t), atol=1e-6)


def test_moments_are_means_over_the_names_that_are_erased(reader, plan_for):
    plan = plan_for(concepts=("ship",), refine_names="all")
    [target] = plan.targets
    names = [target.target, "boat", "dog"]
    both = plan.model_copy(update={"targets": [target.model_copy(update={"other_names": names[1:]})]})
    each = [aligned_moments(reader, plan.model_copy(
        update={"targets": [target.model_copy(update={"target": name})]})) for name in names]
    found = aligned_moments(reader, both)
    for part in ("a", "c", "anchors"):
        assert torch.allclose(getattr(found, part), sum(getattr(one, part) for one in each) / len(names))


def test_uce_zeroes_the_gradient_of_its_own_objective(base_pipe, reader, plan_for):
    plan = plan_for(preserve=KEPT)
    result = uce(plan, base_pipe, cache=None, progress=Silent())
    ridge = result.systems[0].ridge
    e_s, e_t, kept = *paired_states(reader, plan), kept_states(reader, plan)
    w = next(iter(projections(base_pipe.unet).values())).weight.detach().double()
    edited = (w @ result.delta.matrix).requires_grad_()
    loss = ((edited @ e_s.T - w @ e_t.T) ** 2).sum() + ridge * ((edited - w) ** 2).sum()
    loss = loss + 0.05 * ((edited @ kept.T - w @ kept.T) ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, edited)
    assert gradient.abs().max() < 1e-8 * loss.item()


def test_uce_gives_a_concept_its_anchors_outputs(base_pipe, reader, plan_for):
    nothing = PreserveSettings(prior="none", scale=0.0, concepts=[], concept_scale=0.0)
    plan = plan_for(preserve=nothing, refine=ClosedForm(relative_ridge=1e-6), concepts=("ship",),
                    templates=["a photo of {}"])
    matrix = uce(plan, base_pipe, cache=None, progress=Silent()).delta.matrix
    one, other = reader.fill("a photo of {}", "ship"), reader.fill("a photo of {}", "sky")
    source, anchor = (state.double() for state in reader.states([one, other]))
    for layer in projections(base_pipe.unet).values():
        w = layer.weight.detach().double()
        before, after, wanted = w @ source[4], w @ matrix @ source[4], w @ anchor[4]
        assert (after - wanted).norm() < 0.05 * (before - wanted).norm()


def test_the_null_space_holds_what_it_may_and_no_more(reader, plan_for):
    plan = plan_for(preserve=KEPT)
    preserve = preserve_term(reader, plan)
    projector = null_projector(preserve, 1e-3)
    assert torch.allclose(projector @ projector, projector, atol=1e-10)
    assert 0 < torch.trace(projector) < reader.width
    leaked = torch.trace(projector @ preserve) / torch.trace(preserve)
    assert leaked <= 1e-3
    wider = null_projector(preserve, 1e-1)
    assert torch.trace(wider) > torch.trace(projector)
    assert torch.trace(wider @ preserve) / torch.trace(preserve) > leaked


def test_nullspace_solves_its_restricted_objective(base_pipe, reader, plan_for):
    plan = plan_for(preserve=KEPT)
    result = nullspace(plan, base_pipe, cache=None, progress=Silent())
    ridge, projector = result.systems[0].ridge, null_projector(preserve_term(reader, plan), 1e-3, invariants(reader))
    e_s, e_t = paired_states(reader, plan)
    w = next(iter(projections(base_pipe.unet).values())).weight.detach().double()
    change = w @ (result.delta.matrix - torch.eye(reader.width, dtype=torch.float64))
    assert torch.allclose(change @ projector, change, atol=1e-10)  # it lies in the null space
    free = change.clone().requires_grad_()
    inside = free @ projector
    loss = ((w @ e_s.T + inside @ e_s.T - w @ e_t.T) ** 2).sum() + ridge * (inside ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, free)
    assert gradient.abs().max() < 1e-8 * loss.item()


@pytest.mark.parametrize("leak", [1e-4, 1e-3, 1e-2])
def test_nullspace_moves_preserved_states_by_no_more_than_what_leaks(base_pipe, reader, plan_for, leak):
    plan = plan_for(preserve=KEPT.model_copy(update={"leak": leak}))
    matrix = nullspace(plan, base_pipe, cache=None, progress=Silent()).delta.matrix
    reach = float(torch.linalg.matrix_norm(matrix - torch.eye(reader.width, dtype=torch.float64), 2))
    assert 0 < moved(kept_states(reader, plan), matrix) <= leak**0.5 * reach


def test_nullspace_leaves_the_preserve_set_alone_where_uce_moves_it(base_pipe, reader, plan_for):
    plan = plan_for(preserve=KEPT.model_copy(update={"leak": 1e-4}))
    kept = kept_states(reader, plan)
    narrow, free = (m(plan, base_pipe, cache=None, progress=Silent()).delta.matrix for m in (nullspace, uce))
    assert moved(kept, narrow) < 0.5 * moved(kept, free)


def moved(states: torch.Tensor, matrix: torch.Tensor) -> float:
    """How far M moves states [n, d], as a share of their length."""
    return float((states @ matrix.T - states).norm() / states.norm())


def test_nullspace_refuses_to_work_without_a_preserve_set(base_pipe, plan_for):
    nothing = PreserveSettings(prior="none", scale=0.0, concepts=[], concept_scale=0.0)
    with pytest.raises(NumericalError, match="nothing is preserved"):
        nullspace(plan_for(preserve=nothing), base_pipe, cache=None, progress=Silent())
    with pytest.raises(NumericalError, match="no direction holds as little"):
        null_projector(torch.eye(8, dtype=torch.float64), 1e-3)


def test_nullspace_keeps_what_every_picture_reads(base_pipe, reader, plan_for):
    """The beginning of text and the empty prompt, whose length the leak would let it move."""
    plan = plan_for(preserve=KEPT.model_copy(update={"leak": 1e-1}))
    matrix = nullspace(plan, base_pipe, cache=None, progress=Silent()).delta.matrix
    assert moved(kept_states(reader, plan), matrix) > 1e-3
    assert moved(invariants(reader), matrix) < 1e-9


def test_of_the_prior_only_what_an_edit_would_move_takes_room(reader, plan_for):
    """Influence along one direction: states that have less of it than their mean are not in the term."""
    plan = plan_for(preserve=PreserveSettings(prior="general", scale=1.0, concepts=["cat"], concept_scale=0.5))
    states = torch.cat([s.double() for s in reader.states([reader.tokens(c) for c in prior_captions(
        plan, reader.tokenizer)])])
    direction = torch.linalg.eigh(states.T @ states).eigenvectors[:, -2]
    read = torch.diag(torch.arange(1.0, reader.width + 1, dtype=torch.float64))
    term = influenced_term(reader, plan, torch.outer(direction, direction), read)
    weight = (states @ direction).square()
    chosen = states[weight > weight.mean()]
    assert 0 < len(chosen) < 0.6 * len(states)
    few = int((read.diagonal().cumsum(0) <= 0.01 * read.trace()).sum())  # read is diagonal, ascending
    unread = torch.diag((torch.arange(reader.width) < few).double())
    assert few
    square = float(chosen.square().mean())
    named = kept_states(reader, plan)
    expected = 11 * chosen.T @ chosen + 10 * len(chosen) * square * unread + 0.5 * named.T @ named
    assert torch.allclose(term, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
