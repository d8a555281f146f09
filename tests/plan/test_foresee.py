"""What will be reused is said before anything runs, with the reason, and it is what happens."""

from __future__ import annotations

import json
from pathlib import Path

from mace_gov.core.canonical import canonical_json
from mace_gov.core.store import Store
from mace_gov.documents.reuse import lora_inputs, lora_key, pictures_key, refinement_key, refinement_targets
from mace_gov.plan.foresee import foresee
from tests import factories


def trained(cache: Path, made, names=("nudity", "naked")) -> None:
    """Leave in a cache what training the targets of a plan leaves there."""
    for target in made.targets:
        if target.id in names:
            store, name = Store(cache), f"loras/{lora_key(made, target)}/{refinement_key(made)}/training.json"
            store.put(name, canonical_json(
                {"concept": target.id, "inputs": lora_inputs(made, target), "refinedFor": refinement_targets(made)}))
            store.put(f"pictures/{pictures_key(made, target)}.safetensors", b"")


def with_lora(made, **changes):
    targets = [t.model_copy(update={"lora": t.lora.model_copy(update=changes)}) for t in made.targets]
    return made.model_copy(update={"targets": targets})


def test_nothing_in_the_cache_means_everything_is_made(tmp_path):
    found = foresee(factories.plan(), tmp_path)
    assert [f.concept for f in found] == ["nudity", "naked"]
    assert all((f.lora, f.pictures, f.why) == ("trained", False, "never trained here") for f in found)


def test_the_same_plan_reuses_everything(tmp_path):
    made = factories.plan()
    trained(tmp_path, made)
    for plan in (made, made.model_copy(update={"exact": True})):
        assert [(f.lora, f.pictures) for f in foresee(plan, tmp_path)] == [("reused", True)] * 2


def test_an_added_concept_is_trained_and_the_others_are_kept_unless_exact(tmp_path):
    made = factories.plan()
    trained(tmp_path, made.model_copy(update={"targets": made.targets[:1]}))
    kept, added = foresee(made, tmp_path)
    assert (kept.lora, added.lora) == ("reused", "trained")
    assert kept.why == "trained before on another refinement: with naked"
    kept, added = foresee(made.model_copy(update={"exact": True}), tmp_path)
    assert (kept.lora, added.lora) == ("trained", "trained")
    assert kept.why == "the refinement changed: with naked"


def test_a_changed_setting_is_named(tmp_path):
    made = factories.plan()
    trained(tmp_path, made)
    found = foresee(with_lora(made, learning_rate=0.5, steps=3), tmp_path)
    assert {f.why for f in found} == {"trained before with other lora.learningRate, lora.steps"}
    assert all(f.lora == "trained" and f.pictures for f in found)


def test_what_needs_no_lora_says_why(tmp_path):
    assert {f.why for f in foresee(with_lora(factories.plan(), steps=0), tmp_path)} == {
        "lora.steps is 0: refinement alone"}
    made = factories.plan()
    banned = made.model_copy(update={"targets": [made.targets[0].model_copy(update={"target": "a naked teenager"})]})
    (found,) = foresee(banned, tmp_path)
    assert (found.lora, found.why) == ("none", "no picture of it may ever be made (never-draw/minors)")
    assert foresee(made.model_copy(update={"method": "uce"}), tmp_path) == []


def test_a_description_that_cannot_be_read_counts_as_absent(tmp_path):
    made = factories.plan()
    trained(tmp_path, made)
    for path in (tmp_path / "loras").glob("*/*/training.json"):
        path.write_text(json.dumps(["no", "object"]) if path.stat().st_size % 2 else "{")
    assert {f.why for f in foresee(made, tmp_path)} == {"never trained here"}
