"""No field of a policy is compared by nobody: what was not decided about counts as looser."""

from __future__ import annotations

import copy
from typing import Literal

import pytest

from mace_gov.documents.composition import Ancestor, Extends
from mace_gov.documents.method import Esd, FitBudget, Fuse, Harden, Lora, Refine, Segmenter, Window
from mace_gov.documents.policy import Policy, Sampler
from mace_gov.documents.waiver import Waiver
from mace_gov.policy.diff import diff
from mace_gov.policy.settings import SETTINGS, settings
from tests.policy.every_field import FULL, NEUTRAL, OTHER, TIGHTER, changed, models

WHOLE = {Refine, Fuse, Lora, Window, Esd, Segmenter, FitBudget, Harden, Sampler, Ancestor, Extends, Waiver}
"""Compared as one value by the field that holds them."""


def test_every_field_was_decided_about() -> None:
    for model in set(models()) - WHOLE:
        assert set(SETTINGS[model]) == set(model.model_fields), model.__name__
    assert set(models()) == set(SETTINGS) | WHOLE


@pytest.mark.parametrize("path", OTHER, ids=lambda path: ".".join(map(str, path)))
def test_a_change_of_any_field_is_said_and_a_looser_one_is_called_so(path) -> None:
    one, other = Policy.from_json(FULL), Policy.from_json(changed(path, OTHER[path]))
    changes = diff(one, other)
    assert changes, "nothing was said"
    assert any(change.looser for change in changes) is (path not in NEUTRAL | TIGHTER), changes
    back = diff(other, one)
    assert back, "nothing was said the other way"
    if path in NEUTRAL:
        assert not any(change.looser for change in back)
    if path in TIGHTER:
        assert any(change.looser for change in back)


def test_every_field_has_another_value_here() -> None:
    asked = {path[-1] for path in OTHER}
    fixed = {"apiVersion", "extends", "spec", "metadata", "model", "method", "audit", "categories", "gate", "preserve",
             "concepts", "detectors", "rules", "metric"}
    for model in set(models()) - WHOLE:
        missing = {field.alias for field in model.model_fields.values()} - asked - fixed
        assert not missing, f"{model.__name__}: {missing}"


def test_a_field_that_nobody_decided_about_counts_as_looser() -> None:
    class New(Policy):
        novelty: Literal["a", "b"] = "a"
        """Added later."""

    one, other = (New.model_validate({**copy.deepcopy(FULL), "novelty": each}) for each in "ab")
    [change] = settings(one, other, ())
    assert change.looser and change.words == "novelty: b, was a"
