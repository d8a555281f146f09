"""Default settings mean the same whatever the text states' length, text space's axes, captions and templates are."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.progress import Silent
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ClosedForm, PreserveSettings
from mace_gov.erase import preserve as preserve_module
from mace_gov.erase.engine import compute
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import refine

LORA = {"steps": 6, "learning_rate": None, "step_size": 0.1, "init": "focal"}


@pytest.fixture
def plan(plan_for):
    form = ClosedForm(relative_ridge=0.01)
    return plan_for(
        concepts=("ship", "dog"), lora=LORA, refine=form, fuse=form, refine_tokens="all",
        preserve=PreserveSettings(prior="vocabulary", relative=True, scale=0.01, concepts=["cat"], concept_scale=0.01),
    )


def weights(pipe) -> dict[str, torch.Tensor]:
    return {name: layer.weight.detach().clone() for name, layer in projections(pipe.unet).items()}


def governed(pipe, plan) -> dict[str, torch.Tensor]:
    delta = compute(plan, pipe, cache=None, progress=Silent()).delta
    return {name: weight.double() for name, weight in delta.apply(weights(pipe)).items()}


def in_other_text_space(tiny_model, change: torch.Tensor):
    """A pipeline whose states are e C and whose projections are W C^-T: it draws what the plain one draws."""
    pipe = load_pipeline(tiny_model, device="cpu")
    norm = pipe.text_encoder.get_submodule("text_model.final_layer_norm" if hasattr(
        pipe.text_encoder, "text_model") else "final_layer_norm")
    norm.register_forward_hook(lambda _module, _args, out: out @ change.float())
    back = torch.linalg.inv(change).T
    for layer in projections(pipe.unet).values():
        layer.weight.data = (layer.weight.double() @ back).float()
    return pipe


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ["longer", "shorter", "turned"])
def test_scaling_and_turning_text_space_changes_nothing_that_is_drawn(tiny_model, plan, kind):
    plain = load_pipeline(tiny_model, device="cpu")
    width = TextReader.of(plain).width
    if kind == "turned":
        change = torch.linalg.qr(torch.randn(
            width, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)).Q
    else:
        change = torch.eye(width, dtype=torch.float64) * (7.0 if kind == "longer" else 0.2)
    other = in_other_text_space(tiny_model, change)
    before = weights(plain)
    expected, found = governed(plain, plan), governed(other, plan)
    back = torch.linalg.inv(change).T
    for name, weight in expected.items():
        moved = (weight - before[name].double()).norm()
        apart = (found[name] - weight @ back).norm() / (weight @ back).norm()
        assert moved > 1e-3 * weight.norm()  # it does erase
        assert apart < 0.02 * moved / weight.norm(), name


def test_sums_are_not_blind_to_the_length_of_text_states(tiny_model, plan):
    """What the test above would miss if it could not fail: absolute scales and rates differ."""
    absolute = plan.model_copy(update={"refine": ClosedForm(ridge=1.0)})
    plain = load_pipeline(tiny_model, device="cpu")
    width = TextReader.of(plain).width
    other = in_other_text_space(tiny_model, torch.eye(width, dtype=torch.float64) * 7)
    one, two = (refine(TextReader.of(pipe), absolute, preserve_term(TextReader.of(pipe), absolute)).matrix
                for pipe in (plain, other))
    assert (one - two).norm() > 1e-2 * one.norm()


def test_twice_the_templates_give_the_same_refinement(reader, plan):
    doubled = plan.model_copy(update={"templates": plan.templates * 2})
    # the prior's captions stand in the templates, in turn: the same ones for both
    assert preserve_module.prior_captions(plan, reader.tokenizer) == preserve_module.prior_captions(
        doubled, reader.tokenizer)
    one, two = (refine(reader, each, preserve_term(reader, each)).matrix for each in (plan, doubled))
    assert torch.allclose(one, two, atol=1e-6)


def test_twice_the_captions_give_the_same_refinement(reader, plan, monkeypatch):
    one = refine(reader, plan, preserve_term(reader, plan)).matrix
    captions = preserve_module.prior_captions(plan, reader.tokenizer)
    monkeypatch.setattr(preserve_module, "prior_captions", lambda _plan, _tokenizer: captions * 2)
    two = refine(reader, plan, preserve_term(reader, plan)).matrix
    assert torch.allclose(one, two, atol=1e-6)


def test_twice_the_concepts_weigh_as_much_against_the_prior_as_one(reader, plan):
    """Each half of the concepts, said twice, is refined as the half alone."""
    twins = [target.model_copy(update={"id": f"{target.id}-again"}) for target in plan.targets]
    doubled = plan.model_copy(update={"targets": [*plan.targets, *twins]})
    one, two = (refine(reader, each, preserve_term(reader, each)).matrix for each in (plan, doubled))
    assert torch.allclose(one, two, atol=1e-6)
