"""Anchors that work against the policy are pointed out, each at its place."""

from __future__ import annotations

from mace_gov.documents.anchors import doubtful_anchors
from mace_gov.documents.policy import Policy
from tests import factories


def with_anchor(anchor: str | None) -> Policy:
    made = factories.policy().to_json()
    concept = made["spec"]["categories"][0]["concepts"][0]
    concept.pop("anchor")
    if anchor is not None:
        concept["anchor"] = anchor
    return Policy.model_validate(made)


def told(anchor: str | None, **chosen: str) -> list[str]:
    return [message for _, message in doubtful_anchors(with_anchor(anchor), chosen)]


def test_a_harmless_anchor_is_no_matter():
    assert told("a person wearing clothes") == [] == told(None)


def test_a_banned_synonym_or_a_phrase_that_holds_one_is():
    (message,) = told("an unclothed statue")
    assert "'an unclothed statue' of nudity names the banned 'unclothed' (naked)" in message
    assert "names the banned 'naked' (naked)" in told("a NAKED statue")[0]
    assert told("nakedly") == []  # another word


def test_a_kind_of_what_is_banned_is():
    made = with_anchor("a beach with a nudist").to_json()
    made["spec"]["categories"][0]["concepts"][0]["narrower"] = ["nudist"]
    ((_, message),) = doubtful_anchors(Policy.model_validate(made))
    assert "names the banned 'nudist' (nudity)" in message


def test_a_preserved_anchor_is():
    assert "'swimwear' of nudity is itself preserved" in told("swimwear")[0]
    assert "'The swimwear' of nudity is itself preserved" in told("The  swimwear")[0]
    assert told("swimwear on a line") == []


def test_a_chosen_anchor_counts_like_a_named_one():
    assert "is itself preserved" in told(None, nudity="swimwear")[0]
    at, _ = doubtful_anchors(with_anchor("swimwear"))[0]
    assert at == ("spec", "categories", 0, "concepts", 0, "anchor")
