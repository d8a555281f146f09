"""Rounds of search: what is found is erased as one more name, a search is done once, and what must stay bounds them."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.errors import PolicyError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.learnt_words import OTHER_START, _Search, caption_losses, learn_words, word_states
from mace_gov.diffusion.load import load_pipeline
from mace_gov.documents.method import Harden
from mace_gov.documents.plan import HardenSettings
from mace_gov.erase import harden as module
from mace_gov.erase.harden import harden
from mace_gov.erase.methods.mace import mace
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import refine
from mace_gov.erase.second_moments import coexisting_pairs
from mace_gov.erase.texts import kept_reader
from mace_gov.erase.training_pictures import training_pictures
from mace_gov.plan.build import make_plan
from tests import factories
from tests.execute.inside import crew

SETTINGS = HardenSettings(rounds=2, searches=1, vectors=1, steps=3)


@pytest.fixture
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


@pytest.fixture
def brought_back(monkeypatch):
    """Every search counts as having brought its concept back, and nothing bounds the rounds but their number."""
    monkeypatch.setattr(module, "BACK", -float("inf"))
    monkeypatch.setattr(module, "MOST_HARM", float("inf"))
    monkeypatch.setattr(module, "FREE_HARM", float("inf"))


def hardened(pipe, plan, cache):
    with kept_reader(pipe, plan, cache) as reader:
        preserve = preserve_term(reader, plan, cache, None, "refine")
        refined = refine(reader, plan, preserve)
        return refined, *harden(plan, pipe, reader, refined, preserve, plan.targets, cache=cache, progress=Silent())


def test_words_are_learnt_for_several_things_as_for_each_alone(pipe, plan_for):
    plan = plan_for(concepts=("ship", "dog"))
    latents = [p.latents for p in training_pictures(pipe, plan, plan.targets).values()]
    both = learn_words(pipe, latents, [1, 2], steps=4, count=2)
    assert both.vectors.shape == (2, 2, 32)
    for n, own in enumerate(latents):
        alone = learn_words(pipe, [own], [1 + n], steps=4, count=2)
        assert torch.allclose(alone.vectors[0], both.vectors[n], rtol=1e-3, atol=1e-4)
        assert alone.losses[0] == pytest.approx(both.losses[n], rel=1e-3)


def test_of_several_starts_the_best_goes_on_as_it_would_have_alone(pipe, plan_for):
    plan = plan_for(concepts=("ship", "dog"))
    latents = [p.latents for p in training_pictures(pipe, plan, plan.targets).values()]
    chosen = learn_words(pipe, latents, [1, 2], steps=8, starts=3)
    for n, own in enumerate(latents):
        seeds = [1 + n + OTHER_START * start for start in range(3)]
        begun = [_Search(pipe, [own], [seed], 8, 1, lambda _steps: None) for seed in seeds]
        for each in begun:
            each.go_on(2)
        losses = [each.losses()[0] for each in begun]
        alone = learn_words(pipe, [own], [seeds[losses.index(min(losses))]], steps=8)
        assert torch.allclose(alone.vectors[0], chosen.vectors[n], rtol=1e-3, atol=1e-4)


def test_a_learnt_word_tells_more_than_the_word_that_it_began_as(pipe, plan_for):
    plan = plan_for(concepts=("ship",))
    latents = [p.latents for p in training_pictures(pipe, plan, plan.targets).values()]
    assert learn_words(pipe, latents, [1], steps=60).losses[0] < caption_losses(pipe, latents, ["thing"])[0]


def test_what_was_found_goes_to_the_anchor(pipe, plan_for, tmp_path, brought_back):
    plan = plan_for(concepts=("ship",), harden=SETTINGS)
    refined, harder, found = hardened(pipe, plan, tmp_path)
    assert [(h.concept, len(h.recovered), h.words, h.reused) for h in found] == [("ship", 2, 2, False)]
    words = module._kept(module.Store(tmp_path), plan, SETTINGS, plan.targets[0]).vectors
    assert words.shape == (2, 1, 32)
    with kept_reader(pipe, plan, None) as reader:
        anchors, wanted = reader.phrase(plan.targets[0].anchor, plan.templates)
        for vectors in words:
            prompts, states = word_states(WordVectors(pipe), vectors, plan.templates)
            at = [(n, i, j) for n, (one, other) in enumerate(zip(prompts, anchors, strict=True))
                  for i, j in coexisting_pairs(one, other)]
            e_s = torch.stack([states[n, i] for n, i, _ in at])
            e_t = torch.stack([wanted[n, j] for n, _, j in at])
            far = [float((e_s @ m.matrix.T - e_t).square().sum()) for m in (refined, harder)]
            assert far[1] < far[0]
    assert harder.total.trace() > refined.total.trace()


def test_a_search_is_done_once_and_a_new_concept_is_searched_for_alone(
    pipe, plan_for, tmp_path, brought_back, monkeypatch
):
    _, first, found = hardened(pipe, plan_for(concepts=("ship",), harden=SETTINGS), tmp_path)
    asked = []

    def counting(pipe, latents, seeds, **more):
        asked.append(len(latents))
        return learn_words(pipe, latents, seeds, **more)

    monkeypatch.setattr(module, "learn_words", counting)
    _, again, kept = hardened(pipe, plan_for(concepts=("ship",), harden=SETTINGS), tmp_path)
    assert asked == [] and torch.equal(again.matrix, first.matrix)
    assert kept == [found[0].model_copy(update={"reused": True})]
    _, _, both = hardened(pipe, plan_for(concepts=("ship", "dog"), harden=SETTINGS), tmp_path)
    assert asked == [1, 1] and [(h.concept, h.reused) for h in both] == [("ship", True), ("dog", False)]
    _, _, both = hardened(pipe, plan_for(concepts=("ship", "dog"), harden=SETTINGS, exact=True), tmp_path)
    assert len(asked) == 6 and not any(h.reused for h in both)


def test_an_interrupted_run_goes_on_with_the_rounds_that_it_had(pipe, plan_for, tmp_path, brought_back, monkeypatch):
    plan = plan_for(concepts=("ship",), harden=SETTINGS)
    _, whole, _ = hardened(pipe, plan, tmp_path / "whole")

    def interrupted(*args, **more):
        if (tmp_path / "part" / "words").exists():
            raise KeyboardInterrupt
        return learn_words(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(module, "learn_words", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hardened(pipe, plan, tmp_path / "part")
    _, then, _ = hardened(pipe, plan, tmp_path / "part")
    assert torch.equal(then.matrix, whole.matrix)


def test_workers_find_what_this_process_finds(pipe, plan_for, tmp_path, brought_back, monkeypatch):
    plan = plan_for(concepts=("ship", "dog"), harden=SETTINGS)
    _, here, found = hardened(pipe, plan, tmp_path / "here")
    monkeypatch.setattr(module, "learn_words", lambda *_args, **_more: pytest.fail("searched here"))
    with crew():
        _, there, again = hardened(pipe, plan, tmp_path / "there")
    assert torch.equal(there.matrix, here.matrix) and again == found


def test_what_must_stay_ends_the_rounds(pipe, plan_for, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "BACK", -float("inf"))
    monkeypatch.setattr(module, "MOST_HARM", 0.0)
    monkeypatch.setattr(module, "FREE_HARM", 0.0)
    refined, harder, found = hardened(pipe, plan_for(concepts=("ship",), harden=SETTINGS), tmp_path)
    assert [(len(h.recovered), h.words) for h in found] == [(1, 0)] and torch.equal(refined.matrix, harder.matrix)


def test_words_count_as_much_as_what_must_stay_allows(pipe, plan_for, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "BACK", -float("inf"))
    plan = plan_for(concepts=("ship",), harden=SETTINGS)
    monkeypatch.setattr(module, "MOST_HARM", float("inf"))
    monkeypatch.setattr(module, "FREE_HARM", float("inf"))
    refined, whole, found = hardened(pipe, plan, tmp_path / "whole")
    assert found[0].weights == [1.0, 1.0]
    monkeypatch.setattr(module, "WEIGHTS", (1.0, 1e-6))
    monkeypatch.setattr(module, "MOST_HARM", 1.001)
    monkeypatch.setattr(module, "FREE_HARM", 1e-3 * harm_of_names(pipe, plan))
    _, little, found = hardened(pipe, plan, tmp_path / "little")
    assert found[0].weights == pytest.approx([1e-6, 1e-6])
    far = [float((made.matrix - refined.matrix).norm()) for made in (little, whole)]
    assert 0 < far[0] < far[1] / 10
    more = [float((made.total - refined.total).norm()) for made in (little, whole)]
    assert 0 < more[0] < more[1] / 1000  # what LoRAs are fused beside counts words alike


def harm_of_names(pipe, plan) -> float:
    """What the refinement alone does to captions that are held out."""
    with kept_reader(pipe, plan, None) as reader:
        preserve = preserve_term(reader, plan, None, None, "refine")
        return module._Work(plan, pipe, reader, refine(reader, plan, preserve), preserve, None, Silent()).harm()


def test_where_much_moves_already_little_more_may(pipe, plan_for, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "BACK", -float("inf"))
    plan = plan_for(concepts=("ship",), harden=SETTINGS)
    alone = harm_of_names(pipe, plan)
    allowed = []
    monkeypatch.setattr(module._Work, "add_within", lambda _work, _new, limit: allowed.append(limit) or 0.0)
    for free in (alone / 10, 0.5 * alone, 3 * alone):
        monkeypatch.setattr(module, "FREE_HARM", free)
        hardened(pipe, plan, tmp_path / str(free))
    assert allowed == pytest.approx([1.1 * alone, 1.5 * alone, 3 * alone])


def test_a_concept_that_no_search_brings_back_is_left_alone(pipe, plan_for, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "BACK", float("inf"))
    refined, harder, found = hardened(pipe, plan_for(concepts=("ship",), harden=SETTINGS), tmp_path)
    assert [(len(h.recovered), h.words) for h in found] == [(1, 0)] and torch.equal(refined.matrix, harder.matrix)


def test_the_weights_are_the_bases_again_and_the_rounds_are_recorded(pipe, plan_for, tmp_path, brought_back):
    before = {name: tensor.clone() for name, tensor in pipe.unet.state_dict().items()}
    made = mace(plan_for(concepts=("ship",), lora={"steps": 0}, harden=SETTINGS), pipe, cache=tmp_path,
                progress=Silent())
    assert [h.words for h in made.hardening] == [2] and "harden" in made.seconds
    assert all(torch.equal(tensor, before[name]) for name, tensor in pipe.unet.state_dict().items())


def test_it_is_maces_alone_and_an_empty_block_takes_the_defaults(manifest):
    policy = factories.policy()

    def planned(**method):
        spec = policy.spec.model_copy(update={"method": policy.spec.method.model_copy(update=method)})
        return make_plan(policy.model_copy(update={"spec": spec}), manifest)

    assert planned().harden is None
    assert planned(harden=Harden()).harden.rounds == 6
    assert planned(harden=Harden(rounds=2)).harden.searches == 3
    with pytest.raises(PolicyError, match="method.harden is given for the eraser uce, expected mace"):
        planned(harden=Harden(), name="uce")
