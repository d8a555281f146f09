"""From a policy file to a plan, with anchors that nobody named."""

from __future__ import annotations

import yaml

from mace_gov.planning import plan_policy


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
    loaded, plan = plan_policy(path, model=None, revision=None, registry=tmp_path / "registry", exact=True)
    ship, dog = plan.targets
    assert ship.anchor in ("ground", "street") and dog.anchor == "a cat"  # the sky is preserved
    assert any(note.startswith(f"anchor of ship: '{ship.anchor}'") for note in plan.notes)
    assert any("warning: the anchor 'a cat' of dog is itself preserved" in note for note in plan.notes)
    assert plan.exact and plan.policy_digest == loaded.policy.content_digest()
