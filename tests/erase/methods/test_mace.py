"""What MACE refuses, and what it leaves out where nobody asked for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Silent
from mace_gov.documents.fit import Fit, FitPoint, FitTrial
from mace_gov.erase.methods import mace as module
from mace_gov.erase.methods.mace import mace

POINT = FitPoint(weight=1.0, relative_ridge=1e-3, left=0.2, harm=0.1)


def fit_of(*loras: str, drawn: int = 0) -> Fit:
    trial = FitTrial(point=0, drawn=drawn, asked=20)
    return Fit(by="pictures", line=[POINT], trials=[trial], chosen=0, loras=list(loras))


def run(base_pipe, plan, cache):
    return mace(plan, base_pipe, cache=cache, progress=Silent())


@pytest.fixture
def shares(monkeypatch):
    """The fusion keeps a tenth of one LoRA and half of the other."""
    monkeypatch.setattr(module, "kept_shares", lambda *_args: {"ship": 0.1, "dog": 0.5})


def test_a_lora_that_the_fusion_loses_is_refused_where_the_policy_asked_for_it(base_pipe, plan_for, tmp_path, shares):
    with pytest.raises(NumericalError, match=r"'ship' \(10.0%\) less than 20% is kept"):
        run(base_pipe, plan_for(concepts=("ship", "dog")), tmp_path)


def test_one_that_the_fit_thought_of_is_left_out(base_pipe, plan_for, tmp_path, shares):
    made = run(base_pipe, plan_for(concepts=("ship", "dog"), fit=fit_of("ship", "dog")), tmp_path)
    assert [lora.concept for lora in made.loras] == ["dog"]
    assert any(warning.startswith("ship: its LoRA is left out") for warning in made.warnings)
    assert {factor.shape[1] for factor in made.delta.left.values()} == {1}  # one concept, of rank one


def test_a_lora_that_learnt_nothing_is_refused_or_left_out(base_pipe, plan_for, tmp_path, monkeypatch):
    trained = module._loras

    def idle(*args):
        return [replace(lora, last_loss=lora.first_loss, steps=10) if lora.concept == "ship" else lora
                for lora in trained(*args)]

    monkeypatch.setattr(module, "_loras", idle)
    monkeypatch.setattr(module, "kept_shares", lambda _s, _m, loras: dict.fromkeys(loras, 1.0))
    with pytest.raises(NumericalError, match="did not fall for 'ship'"):
        run(base_pipe, plan_for(concepts=("ship", "dog")), tmp_path)
    made = run(base_pipe, plan_for(concepts=("ship", "dog"), fit=fit_of("ship", "dog")), tmp_path)
    assert [lora.concept for lora in made.loras] == ["dog"]
    assert any(warning.startswith("ship:") and "did not lower" in warning for warning in made.warnings)


def test_targets_that_hardly_move_are_refused_unless_pictures_showed_that_they_are_gone(
    base_pipe, plan_for, tmp_path, monkeypatch
):
    refined = module.refine
    monkeypatch.setattr(module, "refine", lambda *args: replace(refined(*args), left=0.7))
    plan = plan_for(concepts=("ship",), lora={"steps": 0})
    for each in (None, fit_of(drawn=2)):
        with pytest.raises(NumericalError, match="70% of the way from the targets to their anchors is left"):
            run(base_pipe, plan.model_copy(update={"fit": each}), tmp_path)
    made = run(base_pipe, plan.model_copy(update={"fit": fit_of()}), tmp_path)
    assert made.left == 0.7 and torch.isfinite(made.delta.matrix).all()
