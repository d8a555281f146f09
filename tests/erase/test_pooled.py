"""The pooled text's closed form: the target's vector gives the anchor's output, captions keep theirs."""

from __future__ import annotations

import pytest
import torch

from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ClosedForm, PreserveSettings
from mace_gov.erase.engine import compute
from mace_gov.erase.pooled import pooled_edit, pooled_texts
from tests.conftest import WIDTHS, build_tiny_model

CAPTIONS = ["a cat on the street", "a dog and a house", "a person in the middle", "art on the ground"]


@pytest.fixture(scope="module")
def planned(plan_for, tmp_path_factory):
    folder = build_tiny_model(tmp_path_factory.mktemp("pooled") / "sdxl", family="sdxl", widths=WIDTHS["sdxl"])
    (folder / "captions.txt").write_text("\n".join(CAPTIONS))
    none = PreserveSettings(prior="none", scale=0.0, concepts=[], concept_scale=0.0)
    templates = ["a photo of {}", "{} on the street"]
    plan = plan_for(base=read_manifest(str(folder)), concepts=("ship",), templates=templates,
                    refine=ClosedForm(relative_ridge=1e-6), preserve=none, lora={"steps": 0})
    pipe = load_pipeline(folder, device="cpu")
    return plan, pipe, TextReader.of(pipe)


def test_the_target_becomes_its_anchor_and_captions_stay(planned):
    plan, _, reader = planned
    matrix, system = pooled_edit(reader, plan)

    target, anchor = (pooled_texts(reader, [t.format(word) for t in plan.templates]) for word in ("ship", "sky"))
    assert (target @ matrix.T - anchor).norm() < 0.05 * (target - anchor).norm()
    kept = pooled_texts(reader, CAPTIONS)
    assert (kept @ matrix.T - kept).norm() < 0.05 * kept.norm()
    assert system.record.stage == "pooled"


def test_the_solution_zeroes_the_gradient_of_its_objective(planned):
    plan, pipe, reader = planned
    matrix, system = pooled_edit(reader, plan)

    source, anchor = (pooled_texts(reader, [t.format(word) for t in plan.templates]) for word in ("ship", "sky"))
    kept = pooled_texts(reader, CAPTIONS)
    weight = pipe.unet.add_embedding.linear_1.weight[:, :40].double()
    new = (weight @ matrix).requires_grad_(True)
    loss = (source @ new.T - anchor @ weight.T).square().sum() + system.ridge * (new - weight).square().sum()
    loss = loss + len(source) / len(kept) * (kept @ new.T - kept @ weight.T).square().sum()
    (gradient,) = torch.autograd.grad(loss, new)
    assert gradient.norm() < 1e-6 * (source.T @ source).norm() * weight.norm()


def test_a_target_that_counts_three_times_is_one_that_is_named_three_times(planned):
    plan, _, reader = planned
    plan = plan.model_copy(update={"refine": ClosedForm(relative_ridge=1.0)})  # so that nothing is mapped whole
    ship = plan.targets[0]
    cat = ship.model_copy(update={"id": "cat", "target": "cat"})
    counted = plan.model_copy(update={"targets": [ship.model_copy(update={"weight": 3.0}), cat]})
    named = plan.model_copy(update={"targets": [*(ship.model_copy(update={"id": f"s{n}"}) for n in range(3)), cat]})
    once = plan.model_copy(update={"targets": [ship, cat]})
    one, three, plain = (pooled_edit(reader, each)[0] for each in (counted, named, once))
    assert torch.allclose(one, three, atol=1e-7) and not torch.allclose(one, plain, atol=1e-4)


def test_esd_says_that_it_leaves_the_pooled_text_alone(planned, plan_for):
    from mace_gov.documents.plan import EsdSettings

    plan, pipe, _ = planned
    settings = EsdSettings(steps=1, batch=1, learning_rate=1e-4, guidance=1.0, start_guidance=3.0)
    made = compute(plan.model_copy(update={"method": "esd", "esd": settings}), pipe)
    assert not made.delta.pooled and any("pooled text" in warning for warning in made.warnings)
