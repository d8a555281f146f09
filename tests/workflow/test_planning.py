"""From a policy file to a plan, with anchors that nobody named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from mace_gov.core.errors import IntegrityError, RecalledError, UsageError
from mace_gov.preflight.checks import Ahead
from mace_gov.workflow import plan_policy as plan_verified
from mace_gov.workflow import recall
from mace_gov.workflow.planning import BaseChoice, plan_policy
from tests import factories


def test_a_concept_without_an_anchor_gets_one_from_the_models_text_encoder(tiny_model, tmp_path):
    rules = [{"id": "THING-001", "suite": "direct", "metric": "presence", "atMost": 0.5}]
    category = {"id": "things", "kind": "object", "severity": "low", "detectors": ["always-absent"], "rules": rules,
                "concepts": [{"id": "ship", "target": "ship"}, {"id": "dog", "target": "dog", "anchor": "a cat"}],
                "neighbours": ["a cat", "sky"]}
    value = {"apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
             "metadata": {"name": "things", "version": "1.0.0", "owner": "me", "reviewBy": "2099-01-01"},
             "spec": {"model": {"ref": str(tiny_model)}, "categories": [category]}}
    path = tmp_path / "things.yaml"
    path.write_text(yaml.safe_dump(value))
    loaded, plan, _ = plan_policy(path, registry=tmp_path / "registry", exact=True)
    ship, dog = plan.targets
    assert ship.anchor in ("ground", "street") and dog.anchor == "a cat"  # the sky is preserved
    assert any(note.startswith(f"anchor of ship: '{ship.anchor}'") for note in plan.notes)
    assert any("warning: the anchor 'a cat' of dog is itself preserved" in note for note in plan.notes)
    assert plan.exact and plan.policy_digest == loaded.policy.content_digest()


@pytest.mark.parametrize("model", ["", "  "])
def test_an_empty_model_is_not_the_policys(tmp_path: Path, model: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps(factories.policy().to_json()))
    with pytest.raises(UsageError, match="reference is empty"):
        plan_policy(path, BaseChoice(model), registry=tmp_path / "registry")


@pytest.mark.parametrize("ref", ["registry:nsfw/1", "nsfw/1"])
def test_a_governed_base_is_verified_before_it_is_read(tiny_model: Path, tmp_path: Path, ref: str) -> None:
    files = {path.relative_to(tiny_model).as_posix(): path.read_bytes() for path in tiny_model.rglob("*")
             if path.is_file()}
    made = factories.version_folder(tmp_path, files=files, complete=True)

    def plan() -> str:
        return plan_verified(
            made.folder / "policy.yaml", BaseChoice(ref), registry=made.registry,
            ahead=Ahead(judges=False))[1].base.digest

    assert plan() == made.evidence.audit.governed_digest
    config = made.folder / "model" / "unet" / "config.json"
    kept = config.read_bytes()
    config.write_bytes(kept + b"\n")
    with pytest.raises(IntegrityError, match="unet/config.json"):
        plan()
    config.write_bytes(kept)
    shutil.copytree(made.folder / "model" / "unet", tmp_path / "unet")
    shutil.rmtree(made.folder / "model" / "unet")
    (made.folder / "model" / "unet").symlink_to(tmp_path / "unet")
    with pytest.raises(IntegrityError, match="unet"):
        plan()
    (made.folder / "model" / "unet").unlink()
    shutil.copytree(tmp_path / "unet", made.folder / "model" / "unet")
    recall("nsfw/1", registry=made.registry, by="Ada", reason="it came back")
    with pytest.raises(RecalledError):
        plan()
