"""What every method keeps: plan and pristine weights in, a finite delta out, the base untouched, the same twice."""

from __future__ import annotations

import json
from typing import get_args

import pytest
import torch

from mace_gov.core.lazy import lookup
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.documents.method import MethodName
from mace_gov.documents.method_info import METHODS, method_info
from mace_gov.documents.plan import EsdSettings
from mace_gov.erase.delta import read_delta
from mace_gov.erase.engine import compute, erase

ESD = EsdSettings(steps=3, learning_rate=1e-2, guidance=1.0, start_guidance=3.0)


def plan_of(plan_for, method: str):
    info = method_info(method)
    kept = plan_for().preserve.model_copy(update={"leak": info.leak})
    return plan_for(method=method, esd=ESD if info.trains == "projections" else None, preserve=kept,
                    expansion=info.expansion)


def test_the_policy_accepts_exactly_the_methods_that_exist():
    assert set(get_args(MethodName)) == set(METHODS)
    assert all(callable(lookup(info.erase)) for info in METHODS.values())


@pytest.fixture(scope="module", params=METHODS)
def erased(request, plan_for, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param)
    plan = plan_of(plan_for, request.param)
    return plan, erase(plan, out, device="cpu"), out


def test_the_governed_model_is_another_model_in_what_its_delta_names_alone(erased, base_pipe):
    plan, record, out = erased
    whole = load_pipeline(out / "model", device="cpu")
    governed = whole.unet.state_dict()
    changed = {name for name, value in base_pipe.unet.state_dict().items() if not torch.equal(value, governed[name])}
    delta = read_delta(out / "delta" / "erasure.safetensors")
    identity = torch.eye(len(delta.matrix), dtype=torch.float64)
    edited = delta.left if torch.equal(delta.matrix, identity) else projections(base_pipe.unet)
    assert changed == {f"{name}.weight" for name in edited} & set(base_pipe.unet.state_dict())
    own, read = (dict(pipe.text_encoder.named_parameters()) for pipe in (base_pipe, whole))
    widened = {name for name, weight in own.items() if weight.shape != read[name].shape}
    assert all(torch.equal(weight, read[name]) for name, weight in own.items() if name not in widened)
    assert bool(changed) != bool(widened) and bool(widened) == bool(delta.neurons)
    assert all(torch.isfinite(governed[name]).all() for name in changed)
    assert (record.plan_digest, record.base_digest) == (plan.content_digest(), plan.base.digest)


def test_the_delta_says_what_it_is(erased):
    plan, _, out = erased
    about = read_delta(out / "delta" / "erasure.safetensors").about
    assert about["method"] == plan.method
    assert about["concepts"] == ["ship", "mira", "dog"]
    assert (about["baseDigest"], about["policyDigest"]) == (plan.base.digest, plan.policy_digest)
    assert json.dumps(about)


def test_the_same_plan_gives_the_same_delta_and_the_base_its_weights_back(erased, base_pipe):
    plan, _, out = erased
    before = {name: value.clone() for name, value in base_pipe.unet.state_dict().items()}
    again = compute(plan, base_pipe).delta.rounded()
    written = read_delta(out / "delta" / "erasure.safetensors")
    assert torch.equal(again.matrix, written.matrix)
    assert all(torch.equal(again.left[name], written.left[name]) for name in written.left)
    assert all(torch.equal(value, before[name]) for name, value in base_pipe.unet.state_dict().items())
    assert not any(parameter.requires_grad for parameter in base_pipe.unet.parameters())
