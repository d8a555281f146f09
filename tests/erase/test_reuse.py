"""LoRAs from the cache: what was kept for this very concept and refinement, whole, or none."""

import json
from pathlib import Path

import pytest

from mace_gov.core.errors import IncompleteError
from mace_gov.documents.reuse import lora_key, refinement_key
from mace_gov.erase.lora import Training
from mace_gov.erase.lora_file import FILE_NAME
from mace_gov.erase.reuse import finished, load_lora
from tests.factories import Said


@pytest.fixture
def kept(plan_for, tmp_path):
    """A plan, and by concept the folder of its LoRA in the cache."""
    plan, folders = plan_for(), {}
    for target in plan.targets:
        key, same = lora_key(plan, target), refinement_key(plan)
        weights = f"weights of {target.id}".encode()
        finished(plan, target, Training(weights, [1.0] * 4, 1.0, 0.5, 0.25), tmp_path)
        folders[target.id] = tmp_path / "loras" / key / same
    return plan, folders


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def test_what_was_kept_comes_back(kept, tmp_path):
    plan, _ = kept
    said = Said()
    for target in plan.targets:
        lora = load_lora(plan, target, tmp_path, said)
        assert lora is not None and lora.read() == f"weights of {target.id}".encode() and lora.reused
        assert (lora.first_loss, lora.last_loss, lora.coverage) == (1.0, 0.5, 0.25)
    assert said.notes == [] and load_lora(plan, plan.targets[0], None) is None


@pytest.mark.parametrize("name", [FILE_NAME, "training.json", ""])
def test_two_loras_that_changed_places_are_trained_anew_and_said(kept, tmp_path, name):
    plan, folders = kept
    one, other, *_ = plan.targets
    swap(folders[one.id] / name, folders[other.id] / name)
    said = Said()
    assert load_lora(plan, one, tmp_path, said) is None and load_lora(plan, other, tmp_path, said) is None
    assert len(said.notes) == 2 and load_lora(plan, plan.targets[2], tmp_path) is not None


def test_a_changed_fact_or_bit_is_noticed_and_what_is_trained_then_takes_its_place(kept, tmp_path):
    plan, folders = kept
    target = plan.targets[0]
    facts = folders[target.id] / "training.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "coverage": 0.9}))
    assert load_lora(plan, target, tmp_path) is None
    anew = finished(plan, target, Training(b"anew", [1.0] * 4, 1.0, 0.1, 0.5), tmp_path)
    found = load_lora(plan, target, tmp_path)
    assert found is not None and (found.read(), found.coverage, found.digest) == (anew.read(), 0.5, anew.digest)
    weights = folders[target.id] / FILE_NAME
    weights.write_bytes(b"anev")
    assert load_lora(plan, target, tmp_path) is None
    for one in (anew, found):
        with pytest.raises(IncompleteError, match="gone or changed"):
            one.read()


def test_without_a_cache_a_lora_is_held(plan_for):
    plan = plan_for()
    lora = finished(plan, plan.targets[0], Training(b"weights", [1.0] * 4, 1.0, 0.1, None), None)
    assert lora.read() == b"weights" and not lora.reused
