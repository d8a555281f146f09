"""Anchors that nobody named: near, harmless, the same twice, and a clear word when there is none."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.errors import PolicyError
from mace_gov.documents.policy import Policy
from mace_gov.erase import anchors as module
from mace_gov.erase.anchors import candidates, choose_anchors, end, words
from mace_gov.plan.build import make_plan


def policy(*concepts: dict, kind: str = "object", neighbours=(), preserve=()) -> Policy:
    rules = [{"id": "THING-001", "suite": "direct", "metric": "presence", "atMost": 0.5}]
    category = {"id": "things", "kind": kind, "severity": "low", "detectors": ["always-absent"], "rules": rules,
                "concepts": list(concepts), "neighbours": list(neighbours)}
    return Policy.model_validate({
        "apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
        "metadata": {"name": "things", "version": "1.0.0", "owner": "me", "reviewBy": "2099-01-01"},
        "spec": {"model": {"ref": "embedded"}, "categories": [category],
                 "method": {"preserve": {"concepts": list(preserve)}}},
    })


def first(made: Policy, *, small: bool = False) -> list[str]:
    return candidates(made, made.spec.categories[0], made.spec.categories[0].concepts[0], small=small)


SHIP = {"id": "ship", "target": "ship"}


def test_nothing_banned_and_nothing_preserved_is_a_candidate():
    assert "a vehicle" in first(policy(SHIP))
    assert "a vehicle" not in first(policy(SHIP, {"id": "car", "target": "a red vehicle", "anchor": "sky"}))
    assert "a vehicle" not in first(policy({**SHIP, "broader": ["vehicle"]}))
    assert "a vehicle" not in first(policy(SHIP, preserve=["Vehicle"]))
    assert "a vehicle" not in first(policy(SHIP, neighbours=["the vehicle"]))
    assert first(policy(SHIP), small=True) == ["sky", "ground", "street"]


def test_none_left_is_an_error_that_asks_for_one():
    made = policy({"id": "people", "target": "person"}, kind="celebrity")
    with pytest.raises(PolicyError, match="no harmless anchor is left for people, tried a person") as refused:
        first(made, small=True)
    assert "Name an anchor" in refused.value.hint


def test_the_nearest_in_the_text_encoder_is_taken_and_named_anchors_stay(manifest, monkeypatch):
    made = policy(SHIP, {"id": "dog", "target": "dog", "anchor": "the sea"})
    near = {"ship": [1.0, 0.0], "sky": [0.9, 0.1], "ground": [0.0, 1.0], "street": [-1.0, 0.0]}

    def planted(reader, prompts):
        import torch

        found = next((state for phrase, state in near.items() if prompts[0].endswith(phrase)), [0.0, 0.0])
        return torch.tensor(found)

    monkeypatch.setattr(module, "end", planted)
    chosen = choose_anchors(made, manifest)
    assert list(chosen) == ["ship"]
    assert (chosen["ship"].phrase, chosen["ship"].runner_up) == ("sky", "ground")
    plan = make_plan(made, manifest, chosen=chosen)
    assert [target.anchor for target in plan.targets] == ["sky", "the sea"]
    assert any("anchor of ship: 'sky', the nearest harmless superclass" in note for note in plan.notes)


def test_it_chooses_the_same_twice_with_the_real_encoder(manifest):
    made = policy(SHIP)
    one, other = choose_anchors(made, manifest), choose_anchors(made, manifest)
    assert one == other
    assert -1 - 1e-6 <= one["ship"].similarity <= 1 + 1e-6 and one["ship"].phrase in ("sky", "ground", "street")


def test_a_plan_without_any_anchor_is_refused(manifest):
    with pytest.raises(PolicyError, match="'ship' has no anchor"):
        make_plan(policy(SHIP), manifest)


def test_the_end_of_text_is_the_last_used_position(reader):
    prompt = "a photo of ship"
    tokens = reader.tokens(prompt)
    (state,) = reader.states([tokens])
    assert torch.allclose(end(reader, [prompt]), state[tokens.used - 1].to(end(reader, [prompt]).dtype), atol=1e-5)
    assert words("The face of a Person") == ["face", "person"]
