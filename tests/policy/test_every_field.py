"""No field of a policy is compared by nobody: what was not decided about counts as looser."""

from __future__ import annotations

import copy
import itertools
import random
from typing import Literal

import pytest

from mace_gov.documents.composition import Ancestor, Extends
from mace_gov.documents.method import Esd, FitBudget, Fuse, Guard, Harden, Lora, Refine, Segmenter, Window
from mace_gov.documents.policy import Policy, Sampler
from mace_gov.documents.waiver import Waiver
from mace_gov.policy.diff import diff
from mace_gov.policy.settings import SETTINGS, settings
from tests.policy.every_field import FULL, NEUTRAL, OTHER, TIGHTER, Path, changed, models, put

WHOLE = {Refine, Fuse, Lora, Window, Esd, Segmenter, FitBudget, Guard, Harden, Sampler, Ancestor, Extends, Waiver}
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


def _pairs() -> list[tuple[Path, Path]]:
    """Fields of which neither holds the other."""
    return [(one, two) for one, two in itertools.permutations(OTHER, 2)
            if one[:len(two)] != two and two[:len(one)] != one]


def _hidden(pairs: list[tuple[Path, Path]]) -> tuple[int, list[tuple[Path, Path]]]:
    """How many pairs of changes make a policy, and those of which neither is called looser though one alone is."""
    before, tried, hidden = Policy.from_json(FULL), 0, []
    for pair in pairs:
        data = changed(pair[0], OTHER[pair[0]])
        try:
            put(data, pair[1], OTHER[pair[1]])
            after = Policy.from_json(data)
        except (ValueError, KeyError, IndexError):
            continue
        tried += 1
        alone = any(path not in NEUTRAL | TIGHTER for path in pair)
        if alone and not any(change.looser for change in diff(before, after)):
            hidden.append(pair)
    return tried, hidden


def test_no_change_hides_a_looser_one() -> None:
    tried, hidden = _hidden(random.Random(1).sample(_pairs(), 150))
    assert tried > 100 and not hidden


@pytest.mark.nightly
def test_no_change_hides_a_looser_one_whichever_two_there_are() -> None:
    tried, hidden = _hidden(_pairs())
    assert tried > 3000 and not hidden
