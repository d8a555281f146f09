"""Stage 1 as theorems: identity, stationarity, preservation, and agreement with a per-layer least-squares oracle."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mace_gov.core.errors import NumericalError
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ClosedForm, PreserveSettings
from mace_gov.erase.preserve import preserve_term, prior_captions, second_moment_of
from mace_gov.erase.refine import check_matrix, refine, solve, summed
from mace_gov.erase.second_moments import coexisting_pairs
from tests import factories

D = 12


def embeddings(seed: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, D, generator=generator, dtype=torch.float64)  # [count, d]


def least_squares(w, e_s, e_t, ridge, preserved, mu):
    """The objective as one stacked float64 least-squares problem, solved by QR: no normal equations."""
    rows = torch.cat([e_s, ridge ** 0.5 * torch.eye(e_s.shape[1], dtype=torch.float64), mu ** 0.5 * preserved])
    wanted = torch.cat([e_t @ w.T, ridge ** 0.5 * w.T, mu ** 0.5 * preserved @ w.T])
    return torch.linalg.lstsq(rows, wanted).solution.T  # [out, d]


def test_without_targets_it_is_the_identity():
    zero = torch.zeros(D, D, dtype=torch.float64)
    kept = embeddings(1, 40)
    matrix, _ = solve(zero, zero, ClosedForm(ridge=0.1), 0.5 * kept.T @ kept)
    assert torch.allclose(matrix, torch.eye(D, dtype=torch.float64), atol=1e-12)


def test_it_zeroes_the_gradient_of_its_own_objective():
    e_s, e_t, kept = embeddings(1, 9), embeddings(2, 9), embeddings(3, 30)
    w = embeddings(4, 5)
    matrix, _ = solve(e_s.T @ e_s, e_t.T @ e_s, ClosedForm(ridge=0.3), 0.2 * kept.T @ kept)
    refined = (w @ matrix).requires_grad_()
    loss = ((refined @ e_s.T - w @ e_t.T) ** 2).sum() + 0.3 * ((refined - w) ** 2).sum()
    loss = loss + 0.2 * ((refined @ kept.T - w @ kept.T) ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, refined)
    assert gradient.abs().max() < 1e-9


def test_preserved_embeddings_do_not_move_when_they_weigh_enough():
    e_s, e_t, kept = embeddings(1, 9), embeddings(2, 9), embeddings(3, 4)
    matrix, _ = solve(e_s.T @ e_s, e_t.T @ e_s, ClosedForm(ridge=0.1), 1e7 * kept.T @ kept)
    moved = (kept @ matrix.T - kept).norm(dim=1) / kept.norm(dim=1)
    assert moved.max() < 1e-5
    unpreserved, _ = solve(e_s.T @ e_s, e_t.T @ e_s, ClosedForm(ridge=0.1), torch.zeros(D, D, dtype=torch.float64))
    assert ((kept @ unpreserved.T - kept).norm(dim=1) / kept.norm(dim=1)).min() > 1e-2  # it would have moved


def test_a_target_that_counts_three_times_is_one_that_is_named_three_times(reader, plan_for):
    plan = plan_for(concepts=("ship", "dog"), refine=ClosedForm(ridge=0.5))
    ship, dog = plan.targets
    counted = plan.model_copy(update={"targets": [ship.model_copy(update={"weight": 3.0}), dog]})
    named = plan.model_copy(update={"targets": [
        *(ship.model_copy(update={"id": f"ship-{n}"}) for n in range(3)), dog]})
    kept = preserve_term(reader, plan)
    one, three, once = (refine(reader, each, kept) for each in (counted, named, plan))
    assert torch.allclose(one.matrix, three.matrix, atol=1e-9)
    assert not torch.allclose(one.matrix, once.matrix, atol=1e-4)
    assert torch.allclose(one.total, once.total)  # the fusion's moments are of the states, however they count
    relative = plan.model_copy(update={"refine": ClosedForm(relative_ridge=0.01)})
    ridges = [refine(reader, relative.model_copy(update={"targets": each.targets}), kept).system.ridge
              for each in (counted, plan)]
    assert ridges[0] == pytest.approx(ridges[1])  # what counts more does not loosen what counts less
    assert one.left != once.left and one.left == pytest.approx(summed(reader, plan).named.left(one.matrix))


def test_one_matrix_equals_least_squares_in_every_layer(base_pipe, reader, plan_for):
    plan = plan_for(preserve=PreserveSettings(prior="none", scale=0.0, concepts=["cat"], concept_scale=0.05))
    refined = refine(reader, plan, preserve_term(reader, plan))
    e_s, e_t = [], []
    for target in plan.targets:
        for template in plan.templates:
            one, other = reader.fill(template, target.target), reader.fill(template, target.anchor)
            source, anchor = (state.double() for state in reader.states([one, other]))
            for i, j in coexisting_pairs(one, other):
                e_s.append(source[i])
                e_t.append(anchor[j])
    kept = reader.phrase("cat", plan.templates)[1].flatten(0, 1)
    for name, layer in projections(base_pipe.unet).items():
        w = layer.weight.detach().double()
        oracle = least_squares(w, torch.stack(e_s), torch.stack(e_t), refined.system.ridge, kept, 0.05)
        assert (w @ refined.matrix - oracle).norm() / oracle.norm() < 1e-8, name


def test_targets_order_does_not_matter(reader, plan_for):
    one, other = plan_for(), plan_for(concepts=("dog", "ship", "mira"))
    preserve = preserve_term(reader, one)
    assert torch.equal(refine(reader, one, preserve).matrix, refine(reader, other, preserve).matrix)


def test_own_embeddings_are_summed_over_all_positions(reader, plan_for):
    plan = plan_for(concepts=("ship",))
    states = reader.phrase("ship", plan.templates)[1].flatten(0, 1)
    moment = refine(reader, plan, preserve_term(reader, plan)).total
    assert states.shape[0] == len(plan.templates) * 77
    assert torch.allclose(moment, states.T @ states)


@pytest.mark.parametrize(("template", "target", "anchor", "expected_before", "expected_after"), [
    ("a photo of {}", "ship", "sky", 4, 1),  # begin a photo of | ship | end
    ("{} in the middle", "ship", "a person wearing clothes", 1, 4),
    ("a painting of {} on the street", "mira okafor", "a person", 4, 4),
    ("a photo of {}", "a person wearing ship", "a person wearing clothes", 4, 1),  # shared own words pair with nothing
])
def test_pairs_of_real_tokenisations(reader, template, target, anchor, expected_before, expected_after):
    one, other = reader.fill(template, target), reader.fill(template, anchor)
    pairs = coexisting_pairs(one, other)
    padding = 77 - max(one.used, other.used)
    assert len(pairs) == expected_before + expected_after + padding
    assert pairs[:expected_before] == [(i, i) for i in range(expected_before)]
    for i, j in pairs:
        assert one.ids[i] == other.ids[j]
        assert i not in one.positions
        assert j not in other.positions
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert max(max(pair) for pair in pairs) == 76  # the longer prompt reaches the encoder's length
    assert (one.used - 1, other.used - 1) in pairs  # end of text with end of text


def test_ill_conditioned_system_is_refused_with_its_number():
    e = embeddings(1, 3)  # rank 3 of 12
    zero = torch.zeros(D, D, dtype=torch.float64)
    with pytest.raises(NumericalError, match=r"refine: condition number .* expected at most 1e\+11"):
        solve(e.T @ e, e.T @ e, ClosedForm(ridge=0.0), zero)


def test_non_finite_input_is_refused():
    a = torch.eye(D, dtype=torch.float64)
    a[0, 0] = float("nan")
    with pytest.raises(NumericalError, match="not finite"):
        solve(a, a, ClosedForm(ridge=1.0), torch.zeros(D, D, dtype=torch.float64))


def test_a_matrix_that_blows_up_is_refused():
    with pytest.raises(NumericalError, match="stretches a direction"):
        check_matrix(torch.eye(D, dtype=torch.float64) * 1e4)
    check_matrix(torch.eye(D, dtype=torch.float64))
    check_matrix(torch.eye(D, dtype=torch.float64) * 900)  # whose Frobenius norm is above the limit


def test_relative_ridge_is_a_multiple_of_the_mean_eigenvalue():
    e = embeddings(1, 30)
    a = e.T @ e
    _, system = solve(a, a, ClosedForm(relative_ridge=0.25), torch.zeros(D, D, dtype=torch.float64))
    assert system.ridge == pytest.approx(0.25 * float(torch.linalg.eigvalsh(a).mean()))
    assert system.record.condition == pytest.approx(
        float(torch.linalg.cond(a + system.ridge * torch.eye(D, dtype=torch.float64))), rel=1e-6)


def test_preserve_term_adds_prior_and_concepts_plainly(reader, plan_for):
    def term(**settings):
        return preserve_term(reader, plan_for(preserve=PreserveSettings(**settings)))

    prior = term(prior="general", scale=1.0, concepts=[], concept_scale=0.0)
    cats = term(prior="none", scale=1.0, concepts=["cat"], concept_scale=1.0)
    both = term(prior="general", scale=0.5, concepts=["cat"], concept_scale=3.0)
    assert torch.allclose(both, 0.5 * prior + 3.0 * cats)
    assert torch.equal(term(prior="none", scale=1.0, concepts=["cat"], concept_scale=0.0), torch.zeros(32, 32).double())


def test_moments_are_kept_by_content(reader, plan_for, tmp_path):
    base = plan_for().base
    first = second_moment_of(reader, base, ["a ship", "a dog"], tmp_path)
    assert torch.equal(second_moment_of(reader, base, ["a ship", "a dog"], tmp_path), first)
    assert len(list((tmp_path / "moments").iterdir())) == 1
    second_moment_of(reader, base, ["a ship"], tmp_path)
    assert len(list((tmp_path / "moments").iterdir())) == 2


def test_two_runs_at_once_read_what_is_preserved_once(reader, plan_for, tmp_path, monkeypatch):
    base, read, states = plan_for().base, [], type(reader).states

    def slowly(self, prompts):
        read.append(len(prompts))
        time.sleep(0.3)
        return states(self, prompts)

    monkeypatch.setattr(type(reader), "states", slowly)
    with ThreadPoolExecutor(2) as both:
        one, other = both.map(lambda _run: second_moment_of(reader, base, ["a ship"], tmp_path), range(2))
    assert torch.equal(one, other) and read == [1]


def test_moments_that_changed_places_are_made_anew_and_said(reader, plan_for, tmp_path):
    base, said = plan_for().base, factories.Said()
    made = {words: second_moment_of(reader, base, [words], tmp_path) for words in ("a ship", "a dog")}
    one, two = (tmp_path / "moments").iterdir()
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert all(
        torch.equal(second_moment_of(reader, base, [words], tmp_path, said), found) for words, found in made.items())
    assert len(said.notes) == 2 and (one.read_bytes(), two.read_bytes()) == (first, second)


def test_captions_with_another_name_of_a_target_are_no_prior(plan_for, reader, monkeypatch):
    monkeypatch.setattr("mace_gov.erase.preserve.captions_for", lambda _: ["a dog here", "a hound here", "a cat here"])
    plan = plan_for(concepts=("dog",))
    named = [target.model_copy(update={"other_names": ["hound"]}) for target in plan.targets]
    words = reader.tokenizer
    assert prior_captions(plan, words) == ["a hound here", "a cat here"]
    assert prior_captions(plan.model_copy(update={"targets": named}), words) == ["a cat here"]
