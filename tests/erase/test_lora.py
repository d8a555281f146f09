"""Stage 2: the adapters are peft's, load through diffusers, and lower the attention that they were trained on."""

from __future__ import annotations

import weakref
from contextlib import contextmanager

import pytest
import torch
from peft import LoraConfig, set_peft_model_state_dict
from safetensors.torch import load

from mace_gov.core.errors import IncompleteError, NumericalError
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.reuse import derived_seed, training_templates
from mace_gov.erase import training_pictures as module
from mace_gov.erase.lora import course, train
from mace_gov.erase.lora_file import FILE_NAME, factors
from mace_gov.erase.training_pictures import TrainingPictures, training_pictures
from tests import factories


@pytest.fixture
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


def trained(pipe, plan, target=None):
    """The training of one target, and the refined U-Net's output with its adapter, which peft itself applies."""
    target = target or plan.targets[0]
    result, = train(pipe, plan, [target], training_pictures(pipe, plan, [target]))
    with torch.no_grad(), peft_adapter(pipe.unet, result.weights):
        return result, predict(pipe)


@contextmanager
def peft_adapter(unet, weights):
    """The adapter in a diffusers LoRA file, put on by peft."""
    state = {name.removeprefix("unet."): tensor for name, tensor in load(weights).items()}
    rank = next(t.shape[0] for name, t in state.items() if name.endswith("lora_A.weight"))
    names = sorted({name.rsplit(".lora_", 1)[0] for name in state})
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=names), adapter_name="erased")
    outcome = set_peft_model_state_dict(unet, state, adapter_name="erased")
    assert not outcome.unexpected_keys
    yield
    unet.delete_adapters("erased")
    for name in names:
        unet.set_submodule(name, unet.get_submodule(name).get_base_layer())


def predict(pipe) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    noisy, states = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 77, 32, generator=generator)
    return pipe.unet(noisy, 300, encoder_hidden_states=states).sample


def test_file_loads_through_diffusers_and_gives_peft_outputs(pipe, plan_for, tmp_path):
    result, expected = trained(pipe, plan_for(lora={"steps": 6, "learning_rate": 0.05, "rank": 2}))
    with torch.no_grad():
        plain = predict(pipe)
    (tmp_path / FILE_NAME).write_bytes(result.weights)
    pipe.load_lora_weights(str(tmp_path))
    with torch.no_grad():
        assert torch.allclose(predict(pipe), expected, atol=1e-6)
    assert not torch.allclose(plain, expected, atol=1e-4)  # the adapter did something


def test_factors_are_the_adapters_change_of_each_weight(pipe, plan_for):
    result, expected = trained(pipe, plan_for(lora={"steps": 6, "learning_rate": 0.05}))
    for name, (b, a) in factors(result.weights).items():
        assert b.shape[1] == a.shape[0] == 1
        projections(pipe.unet)[name].weight.data += (b @ a).float()
    with torch.no_grad():
        assert torch.allclose(predict(pipe), expected, atol=1e-5)


def test_adapters_come_off_without_a_trace(pipe, plan_for):
    before = {name: value.clone() for name, value in pipe.unet.state_dict().items()}
    for rank in (1, 2):
        plan = plan_for(lora={"rank": rank, "steps": 1})
        train(pipe, plan, plan.targets[:1], training_pictures(pipe, plan, plan.targets[:1]))
    after = pipe.unet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_lowers_the_attention(pipe, plan_for):
    result, _ = trained(pipe, plan_for(lora={"steps": 60, "learning_rate": 0.05, "images": 1}))
    assert sum(result.losses[-10:]) < 0.5 * sum(result.losses[:10])
    assert 0 < result.coverage < 1


def test_only_cross_attention_is_trained(pipe, plan_for):
    result, _ = trained(pipe, plan_for(lora={"steps": 1}))
    assert set(factors(result.weights)) == set(projections(pipe.unet))


def test_together_is_as_alone(pipe, plan_for):
    plan = plan_for(lora={"steps": 12, "learning_rate": 0.01, "images": 2})
    pictures = training_pictures(pipe, plan, plan.targets)
    together = train(pipe, plan, plan.targets, pictures)
    assert len(together) > 2
    for target, result in zip(plan.targets, together, strict=True):
        alone, = train(pipe, plan, [target], pictures)
        assert result.losses == pytest.approx(alone.losses, rel=1e-4)
        assert result.coverage == alone.coverage
        for (b, a), (lone_b, lone_a) in zip(factors(result.weights).values(), factors(alone.weights).values(),
                                            strict=True):
            assert torch.allclose(b @ a, lone_b @ lone_a, atol=1e-4)


def test_seeds_come_from_the_concept_and_not_from_the_order(pipe, plan_for):
    forwards, backwards = plan_for(), plan_for(concepts=("dog", "mira", "ship"))
    one, _ = trained(pipe, forwards, forwards.targets[0])
    torch.manual_seed(99)  # nothing may read the global generator
    other, _ = trained(pipe, backwards, backwards.targets[2])
    assert one.weights == other.weights
    assert derived_seed(0, "ship") != derived_seed(0, "dog") != derived_seed(1, "dog")


def test_pictures_are_the_same_from_the_cache_and_with_another_batch(pipe, plan_for, tmp_path):
    plan = plan_for(lora={"images": 3})
    told = []
    first = training_pictures(pipe, plan, plan.targets, tmp_path, told.append)
    again = training_pictures(pipe, plan, plan.targets, tmp_path)
    single = plan.model_copy(update={"generation": plan.generation.model_copy(update={"batch": 1})})
    alone = training_pictures(pipe, single, plan.targets)
    assert sum(told) == len(plan.targets)
    for target in plan.targets:
        assert torch.equal(first[target.id].latents, again[target.id].latents)
        assert torch.equal(first[target.id].heat, again[target.id].heat)
        assert torch.allclose(first[target.id].latents, alone[target.id].latents, atol=1e-4)
        assert torch.allclose(first[target.id].heat, alone[target.id].heat, atol=1e-5)
    assert not torch.allclose(first["ship"].latents, first["dog"].latents, atol=0.1)


def test_non_finite_training_is_refused(pipe, plan_for):
    plan = plan_for()
    pictures = TrainingPictures(torch.full((2, 4, 8, 8), float("inf")), torch.rand(2, 8, 8))
    with pytest.raises(NumericalError, match=f"'{plan.targets[0].id}'.*expected a finite number"):
        train(pipe, plan, plan.targets[:1], {plan.targets[0].id: pictures})


def test_kept_pictures_that_changed_places_or_a_bit_are_drawn_anew_and_said(pipe, plan_for, tmp_path):
    plan, said = plan_for(lora={"images": 1}), factories.Said()
    first = training_pictures(pipe, plan, plan.targets, tmp_path)
    one, two, three = (tmp_path / "pictures").iterdir()
    good = [path.read_bytes() for path in (one, two, three)]
    one.write_bytes(good[1])
    two.write_bytes(good[0])
    three.write_bytes(good[2][:-1] + bytes([good[2][-1] ^ 1]))
    again = training_pictures(pipe, plan, plan.targets, tmp_path, progress=said)
    assert [path.read_bytes() for path in (one, two, three)] == good and "and 2 more" in said.notes[0]
    assert all(torch.equal(first[t.id].latents, again[t.id].latents) for t in plan.targets)


def test_kept_pictures_are_in_memory_while_they_are_looked_at_and_no_longer(pipe, plan_for, tmp_path, monkeypatch):
    alive = weakref.WeakSet()

    class Counted(TrainingPictures):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            alive.add(self)

    monkeypatch.setattr(module, "TrainingPictures", Counted)
    plan = plan_for(lora={"images": 1, "steps": 1})
    pictures = training_pictures(pipe, plan, plan.targets, tmp_path)
    assert len(pictures) == 3 and not alive
    most = 0
    for target in plan.targets:
        train(pipe, plan, [target], pictures)
        looked = pictures[target.id]
        most = max(most, len(alive))
        del looked
    assert most == 1 and not alive
    (tmp_path / module._name(plan, plan.targets[0])).unlink()
    with pytest.raises(IncompleteError, match=f"the training pictures of '{plan.targets[0].id}'.* are gone"):
        pictures[plan.targets[0].id]


def made(pipe, plan_for, **lora):
    plan = plan_for(lora={"steps": 400, **lora})
    target = plan.targets[0]
    return course(pipe, plan, target, training_pictures(pipe, plan, [target])[target.id]), plan


def test_a_begins_as_the_settings_say(pipe, plan_for):
    normal, _ = made(pipe, plan_for, init="normal", rank=2)
    even, _ = made(pipe, plan_for, init="random", rank=2)
    spread = torch.cat([a.flatten() for a in normal.initial.values()])
    assert float(spread.std()) == pytest.approx(1 / 2, rel=0.1)  # deviation 1/rank, over some hundreds of numbers
    bound = even.states.shape[-1] ** -0.5
    assert all(float(a.abs().max()) <= bound for a in even.initial.values())


def test_the_end_of_text_and_its_padding_are_suppressed_where_asked(pipe, plan_for):
    own, plan = made(pipe, plan_for)
    ended, _ = made(pipe, plan_for, end_of_text=True)
    reader = TextReader.of(pipe)
    for row, other, template in zip(own.tokens, ended.tokens, training_templates(plan, plan.targets[0]), strict=True):
        used = reader.fill(template, plan.targets[0].target).used
        assert not row[used - 1:].any() and other[used - 1:].all()
        assert torch.equal(row[:used - 1], other[:used - 1])


def test_a_caption_of_each_step_is_any_template_and_the_picture_stays_its_own(pipe, plan_for):
    fixed, plan = made(pipe, plan_for)
    drawn, _ = made(pipe, plan_for, captions="step")
    assert fixed.read == fixed.order and len(fixed.states) == len(fixed.latents)
    assert len(drawn.states) == len(plan.templates) and set(drawn.read) == set(range(len(plan.templates)))
    assert drawn.order == fixed.order and max(drawn.order) < len(drawn.latents)
