"""The guard: layers that read no text lead to the anchor whatever keys and values there are, and what stays stays."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from mace_gov.core.errors import NumericalError, PolicyError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import guarded_layers, projections
from mace_gov.documents.method import Guard
from mace_gov.documents.plan import GuardSettings
from mace_gov.documents.terms import Kind
from mace_gov.erase import guard as module
from mace_gov.erase import guard_lessons
from mace_gov.erase.delta import read_delta
from mace_gov.erase.engine import compute, edited_layers, erase
from mace_gov.erase.guard import changing, guard, searched_at
from mace_gov.erase.weight_export import export_weights
from mace_gov.plan.build import make_plan
from mace_gov.plan.presets import GUARD
from tests import factories

SETTINGS = GuardSettings(steps=40, rounds=1, search_steps=2, pictures=16, learning_rate=1e-5)


@pytest.fixture
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


@pytest.fixture
def plan(plan_for):
    return plan_for(concepts=("ship",), lora={"steps": 0}).model_copy(update={"guard": SETTINGS})


def test_it_is_trained_in_every_layer_but_those_that_read_text_or_time(pipe):
    names = guarded_layers(pipe.unet).keys()
    assert not names & projections(pipe.unet).keys()
    assert "conv_in" in names and any(name.endswith("attn2.to_q") for name in names)
    assert not [name for name in names if "time_emb" in name]


def test_told_the_concept_the_u_net_comes_nearer_to_the_anchor_and_the_base_is_as_it_was(pipe, plan, tmp_path):
    before = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    gained, record = guard(plan, pipe, cache=tmp_path, progress=Silent())
    assert record.last_erased < 0.8 * record.first_erased
    assert record.concepts == ["ship"] and record.scale > 0
    after = pipe.unet.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    assert gained.keys() == guarded_layers(pipe.unet).keys()


def test_a_second_run_trains_nothing_and_gives_the_same(pipe, plan, tmp_path, monkeypatch):
    first, record = guard(plan, pipe, cache=tmp_path, progress=Silent())
    monkeypatch.setattr(module, "changing", None)
    again, kept = guard(plan, pipe, cache=tmp_path, progress=Silent())
    assert kept == record and all(torch.equal(first[name], again[name]) for name in first)
    with pytest.raises(TypeError):  # another concept is another guard
        guard(plan.model_copy(update={"seed": 1}), pipe, cache=tmp_path, progress=Silent())


def test_memory_that_runs_out_halves_the_pass_and_changes_rounding_alone(pipe, plan, monkeypatch):
    short = plan.model_copy(update={"guard": SETTINGS.model_copy(update={"steps": 2})})
    whole, _ = guard(short, pipe, cache=None, progress=Silent())
    gradient, sizes = module.torch.autograd.grad, []

    def small(losses, weights):
        sizes.append(len(sizes))
        if len(sizes) == 1:
            raise RuntimeError("out of memory")
        return gradient(losses, weights)

    monkeypatch.setattr(module.torch.autograd, "grad", small)
    parts, _ = guard(short, pipe, cache=None, progress=Silent())
    assert len(sizes) > 2
    assert all(torch.allclose(whole[name], parts[name], atol=1e-4) for name in whole)


def test_a_training_that_leads_nowhere_is_refused(pipe, plan, monkeypatch):
    monkeypatch.setattr(module, "_gradient", lambda _pipe, _changes, _lesson, weights, _size: [
        torch.zeros_like(weight) for weight in weights])
    with pytest.raises(NumericalError, match="guard: the distance to the anchors did not fall"):
        guard(plan, pipe, cache=None, progress=Silent())


def test_weights_are_free_again_when_training_breaks(pipe):
    before = {name for name, weight in pipe.unet.named_parameters() if weight.requires_grad}
    with pytest.raises(KeyError), changing(pipe.unet):
        raise KeyError
    assert {name for name, weight in pipe.unet.named_parameters() if weight.requires_grad} == before


def test_the_governed_model_has_the_guard_beside_the_edit_and_every_form_takes_it_along(pipe, plan, tmp_path):
    record = erase(plan, tmp_path / "out", cache=tmp_path / "cache")
    bare = erase(plan.model_copy(update={"guard": None}), tmp_path / "bare", cache=tmp_path / "cache")
    assert record.guard is not None and bare.guard is None and "guard" in record.seconds
    governed, plain = (load_pipeline(tmp_path / name / "model", device="cpu").unet.state_dict()
                       for name in ("out", "bare"))
    delta = read_delta(tmp_path / "out" / "delta" / "erasure.safetensors")
    moved = {name.removesuffix(".weight") for name in governed if not torch.equal(governed[name], plain[name])}
    assert moved == delta.guard.keys() == guarded_layers(pipe.unet).keys()
    layers = edited_layers(pipe, delta)
    said = delta.apply({name: layer.weight for name, layer in layers.items()})
    assert all(torch.equal(said[name], governed[f"{name}.weight"]) for name in said)
    exported = export_weights(tmp_path / "out" / "delta" / "erasure.safetensors", plan.base, "diffusers",
                              tmp_path / "folder").path
    again = load_pipeline(exported, device="cpu").unet.state_dict()
    assert all(torch.equal(again[name], governed[name]) for name in governed)
    lora = export_weights(tmp_path / "out" / "delta" / "erasure.safetensors", plan.base, "lora", tmp_path / "lora",
                          rank=10_000).path
    tensors = load_file(lora)
    for name, layer in layers.items():
        down, up = tensors[f"unet.{name}.lora_A.weight"], tensors[f"unet.{name}.lora_B.weight"]
        change = (up.flatten(1) @ down.flatten(1)).view_as(layer.weight)
        assert torch.allclose(change, governed[f"{name}.weight"] - layer.weight, atol=1e-2)
    fresh = load_pipeline(tmp_path / "bare" / "model", device="cpu")
    fresh.load_lora_weights(str(tmp_path / "lora"))  # diffusers has a place for all of it


def test_no_picture_is_drawn_of_a_child_where_explicit_content_is_erased(pipe, plan, monkeypatch):
    lists = ["a photo of a child", "a photo of a dog"] * 10
    monkeypatch.setattr(guard_lessons, "other_captions", lambda _plan, _tokenizer: [lists])
    explicit = plan.model_copy(update={"targets": [
        target.model_copy(update={"kind": Kind.EXPLICIT}) for target in plan.targets]})
    for each, children in ((plan, True), (explicit, False)):
        lessons = guard_lessons.Lessons(each, pipe, SETTINGS, each.targets, None, Silent())
        every = guard_lessons._drawable(each, lists)
        assert ("a photo of a child" in every) is children
        assert len(lessons.taught) == min(SETTINGS.pictures, len(guard_lessons.split(every)[0]))


def test_any_eraser_may_have_one(pipe, plan):
    made = compute(plan.model_copy(update={"method": "uce"}), pipe)
    assert made.guard is not None and made.delta.guard


def test_without_a_concept_that_may_be_drawn_there_is_none_and_that_is_said(pipe, plan):
    unseen = [target.model_copy(update={"erase_only": "by the policy"}) for target in plan.targets]
    made = compute(plan.model_copy(update={"targets": unseen}), pipe)
    assert made.guard is None and not made.delta.guard
    assert any("guard" in warning for warning in made.warnings)


def test_a_policy_asks_for_it_and_says_as_much_as_it_likes(manifest):
    policy = factories.policy()

    def planned(base=manifest, **method):
        spec = policy.spec.model_copy(update={"method": policy.spec.method.model_copy(update=method)})
        return make_plan(policy.model_copy(update={"spec": spec}), base)

    assert planned().guard is None
    made = planned(guard=Guard())
    assert made.guard.steps == max(GUARD.steps, 100 * len(made.targets))
    few = planned(guard=Guard(steps=5)).guard
    assert (few.steps, few.rounds) == (5, 5)
    with pytest.raises(PolicyError, match="method.guard has 9 rounds in 8 steps"):
        planned(guard=Guard(steps=8, rounds=9))
    with pytest.raises(PolicyError, match="method.guard is given for flux, expected a model with a U-Net"):
        planned(manifest.model_copy(update={"family": "flux"}), name="uce", guard=Guard())


def test_words_are_searched_for_when_there_is_something_to_find_and_something_to_learn_from_it():
    assert searched_at(450, 6) == {100, 150, 200, 250, 300, 350}
    assert searched_at(450, 0) == set() and searched_at(450, 1) == {225}
    for steps, rounds in ((450, 50), (300, 2), (50, 50), (7, 3)):
        found = searched_at(steps, rounds)
        assert 0 < len(found) <= rounds and 2 * steps // 9 == min(found) and max(found) == 7 * steps // 9


def test_a_guard_is_kept_by_kind_since_what_may_be_drawn_is(plan):
    kinds = [plan.model_copy(update={"targets": [t.model_copy(update={"kind": kind}) for t in plan.targets]})
             for kind in (Kind.OBJECT, Kind.CELEBRITY, Kind.EXPLICIT)]
    assert len({module._key(each, SETTINGS, each.targets) for each in kinds}) == 3


def test_without_a_caption_to_keep_it_is_refused(pipe, plan, monkeypatch):
    monkeypatch.setattr(guard_lessons, "other_captions", lambda _plan, _tokenizer: [])
    with pytest.raises(NumericalError, match="no caption is left"):
        guard_lessons.Lessons(plan, pipe, SETTINGS, plan.targets, None, Silent())
    few = ["a photo of a dog", "a photo of a lamp"]
    monkeypatch.setattr(guard_lessons, "other_captions", lambda _plan, _tokenizer: [few])
    lessons = guard_lessons.Lessons(plan, pipe, SETTINGS, plan.targets, None, Silent())
    assert len(lessons.held) == len(lessons.taught) == 2
