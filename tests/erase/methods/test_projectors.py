"""OCE, CURE and the projection of values as theorems, on exact inputs."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import PreserveSettings
from mace_gov.erase.methods.aligned import Aligned, aligned_moments
from mace_gov.erase.methods.cure import cure, spectral_eraser, spectral_projector
from mace_gov.erase.methods.oce import TURNED, oce, planes, turned
from mace_gov.erase.methods.valuespace import VALUES, Outputs, taken_out, valuespace
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.texts import kept_reader

WIDTH = 12
KEPT, ANCHOR, OWN, OTHER = range(0, 4), range(4, 7), range(7, 9), range(9, 12)
"""Coordinates of text space: what is kept, what the anchors have, what sets the targets apart, what nobody has."""


def within(places, count=20, seed=0) -> torch.Tensor:
    """States [count, WIDTH] that lie along the given coordinates."""
    states = torch.zeros(count, WIDTH, dtype=torch.float64)
    states[:, list(places)] = torch.randn(count, len(places), generator=torch.Generator().manual_seed(seed)).double()
    return states


@pytest.fixture
def exact():
    """Outputs of a random orthogonal projection, in which those four spaces are orthogonal to one another."""
    w = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)).double()).Q
    e_t, apart, kept = within(ANCHOR), within(OWN, seed=2), within(KEPT, seed=3)
    e_s = e_t + apart
    pairs = Aligned(e_s.T @ e_s, e_t.T @ e_s, e_t.T @ e_t)
    return Outputs.of(w, pairs, kept.T @ kept), w, apart, kept


def outputs_of(states: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return states @ w.T


@pytest.fixture
def turn():
    """W, states of targets, anchors and what is kept, and the P of OCE for a weight of what is kept.

    Targets are their anchors, turned into coordinates of their own, so that a turn can bring all of them back.
    """
    w = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)).double()).Q
    anchors, targets, kept = (torch.zeros(20, WIDTH, dtype=torch.float64) for _ in range(3))
    anchors[:, list(ANCHOR)[:2]] = targets[:, list(OWN)] = within(range(2))[:, :2]
    kept[:, list(KEPT)] = within(KEPT, seed=3)[:, list(KEPT)]

    def of(weight: float = 1.0, everything: float = 0.0) -> torch.Tensor:
        kept_moment = weight * kept.T @ kept + everything * torch.eye(WIDTH, dtype=torch.float64)
        return turned(w @ (anchors.T @ targets + kept_moment) @ w.T)

    return w, targets, anchors, kept, of


def test_oce_turns_targets_to_their_anchors_and_leaves_what_is_kept(turn):
    w, targets, anchors, kept, of = turn
    p = of()
    assert torch.allclose(p @ p.T, torch.eye(WIDTH, dtype=p.dtype), atol=1e-9)
    assert torch.allclose(outputs_of(targets, p @ w), outputs_of(anchors, w), atol=1e-6)
    assert torch.allclose(outputs_of(kept, p @ w), outputs_of(kept, w), atol=1e-6)
    assert torch.allclose(outputs_of(within(OTHER), p @ w), outputs_of(within(OTHER), w), atol=1e-6)  # nobody's stay
    assert torch.linalg.svdvals(p @ w) == pytest.approx(torch.linalg.svdvals(w))


def test_no_other_turn_comes_nearer_than_that_of_oce(turn):
    w, _, _, kept, of = turn
    targets, anchors = within([*OWN, *ANCHOR], seed=5), within(ANCHOR, seed=6)  # no turn brings all of them back
    p = turned(w @ (anchors.T @ targets + kept.T @ kept) @ w.T)

    def cost(q: torch.Tensor) -> float:
        gone = (outputs_of(targets, q @ w) - outputs_of(anchors, w)).square().sum()
        return float(gone + (outputs_of(kept, q @ w) - outputs_of(kept, w)).square().sum())

    for seed in range(20):
        skew = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(seed)).double()
        assert cost(p) < cost(torch.linalg.matrix_exp(0.01 * (skew - skew.T)) @ p)
    assert cost(p) < min(cost(torch.eye(WIDTH, dtype=p.dtype)), cost(of()))


def test_oce_turns_less_the_more_is_kept_along_the_way(turn):
    w, targets, *_, of = turn
    moved = [float((outputs_of(targets, of(everything=more) @ w) - outputs_of(targets, w)).norm())
             for more in (0.0, 10.0, 1e6)]
    assert moved[0] > moved[1] > moved[2] and moved[2] < 1e-3 * moved[0]


def test_planes_that_turn_most_are_kept_and_the_rest_is_left_as_it_is():
    skew = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    for place, angle in ((0, 2.0), (2, 0.5), (4, 1e-3), (6, 0.5)):  # radians, each in a plane of its own
        skew[place, place + 1], skew[place + 1, place] = -angle, angle
    own = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(4)).double()).Q
    p = own @ torch.linalg.matrix_exp(skew) @ own.T
    identity = torch.eye(WIDTH, dtype=p.dtype)
    for share, directions in ((0.5, 2), (0.9, 6), (TURNED, 6), (1.0, 8)):
        basis, turn = planes(p, share)
        thin = identity + basis @ (turn - torch.eye(len(turn), dtype=p.dtype)) @ basis.T
        assert basis.shape[1] == directions, share  # planes that turn alike go together
        assert torch.allclose(thin @ thin.T, identity, atol=1e-9)
        assert (thin - p).square().sum() <= (1 - share) * (p - identity).square().sum() + 1e-9
    assert planes(identity)[0].shape == (WIDTH, 0)


@pytest.mark.parametrize("method", [oce, valuespace])
def test_left_factors_are_orthogonal_or_thin_on_a_model(base_pipe, plan_for, method):
    plan = plan_for(preserve=PreserveSettings(prior="none", scale=0.0, concepts=["cat"], concept_scale=0.05))
    delta = method(plan, base_pipe, cache=None, progress=Silent()).delta
    assert torch.equal(delta.matrix, torch.eye(len(delta.matrix), dtype=torch.float64))
    for name, layer in projections(base_pipe.unet).items():
        if method is valuespace and not name.endswith(VALUES):
            assert name not in delta.left
            continue
        w = layer.weight.detach().double()
        edited = w + delta.left[name] @ delta.right[name]
        if method is oce:
            assert torch.allclose(edited.T @ edited, w.T @ w, atol=1e-6 * float((w.T @ w).abs().max()))
        assert (edited - w).norm() > 0


def test_values_tell_a_target_from_its_anchor_no_more_and_what_is_kept_stays(exact):
    outputs, w, apart, kept = exact
    left, right = taken_out(outputs)
    edited = w + left @ right
    assert left.shape[1] == len(OWN)
    assert (apart @ edited.T).norm() < 1e-6 * apart.norm()
    assert torch.allclose(kept @ edited.T, kept @ w.T, atol=1e-9)
    assert torch.allclose(within(ANCHOR) @ edited.T, within(ANCHOR) @ w.T, atol=1e-9)


def test_of_all_edits_that_hide_a_target_that_of_values_moves_what_is_kept_least(base_pipe, plan_for):
    plan = plan_for(preserve=PreserveSettings(prior="none", scale=0.0, concepts=["cat"], concept_scale=0.05))
    with kept_reader(base_pipe, plan, None) as reader:
        pairs, preserve = aligned_moments(reader, plan), preserve_term(reader, plan)
    name, layer = next((n, each) for n, each in projections(base_pipe.unet).items() if n.endswith(VALUES))
    outputs = Outputs.of(layer.weight, pairs, preserve)
    g, (left, _) = outputs.discriminating(), taken_out(outputs)
    inverse = torch.linalg.inv(outputs.kept)

    def cost(b: torch.Tensor) -> float:  # tr (B G^T) R (B G^T)^T in the metric of R
        change = b @ g.T
        return float(torch.trace(inverse @ change @ outputs.kept @ change.T))

    assert torch.allclose(g.T @ left, -torch.eye(g.shape[1], dtype=g.dtype), atol=1e-6)  # it hides all of them
    other = torch.randn(left.shape, generator=torch.Generator().manual_seed(0)).double()
    other -= g @ torch.linalg.solve(g.T @ g, g.T @ other)  # so that g^T B is as it was
    assert cost(left) < cost(left + 1e-3 * other) and cost(left) < cost(left - 1e-3 * other), name


@pytest.mark.parametrize(("method", "problem"), [(oce, "nothing to turn"), (valuespace, "no direction tells")])
def test_where_everything_is_kept_there_is_nothing_to_edit(base_pipe, plan_for, method, problem):
    plan = plan_for(preserve=PreserveSettings(prior="general", scale=1e9, concepts=[], concept_scale=0.0))
    with pytest.raises(NumericalError, match=problem):
        method(plan, base_pipe, cache=None, progress=Silent())


def test_cures_projector_is_idempotent_at_its_ends():
    moment = within(KEPT).T @ within(KEPT)
    flat = spectral_projector(moment, 1e12)
    assert torch.allclose(flat @ flat, flat, atol=1e-6) and float(flat.trace()) == pytest.approx(len(KEPT))
    assert torch.allclose(spectral_projector(moment, 1.0), moment / moment.trace())
    middle = torch.linalg.eigvalsh(spectral_projector(moment, 5.0))
    shares = torch.linalg.eigvalsh(moment / moment.trace()).clamp_min(0)
    assert torch.allclose(middle, 5 * shares / (4 * shares + 1))
    assert not spectral_projector(torch.zeros_like(moment), 5.0).any()


def test_cure_takes_out_what_is_the_targets_alone_and_leaves_what_they_share():
    forget, kept = within([*KEPT, *OWN]), within(KEPT, seed=3)
    matrix = spectral_eraser(forget.T @ forget, kept.T @ kept, 1e12)
    assert (within(OWN) @ matrix.T).norm() < 1e-4
    for stays in (within(KEPT), within(OTHER)):
        assert torch.allclose(stays @ matrix.T, stays, atol=1e-4)
    same = spectral_eraser(kept.T @ kept, kept.T @ kept, 1e12)
    assert torch.allclose(same, torch.eye(WIDTH, dtype=same.dtype), atol=1e-6)


def test_cure_takes_more_out_the_further_spectra_are_expanded(base_pipe, plan_for):
    nothing = PreserveSettings(prior="none", scale=0.0, concepts=[], concept_scale=0.0)
    deltas = [cure(plan_for(preserve=nothing, expansion=alpha), base_pipe, cache=None, progress=Silent()).delta
              for alpha in (1.0, 5.0, 100.0)]
    traces = [float(delta.matrix.trace()) for delta in deltas]
    assert traces == sorted(traces, reverse=True) and traces[0] < len(deltas[0].matrix)
