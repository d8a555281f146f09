"""What may never be drawn, in every spelling that a policy is likely to use."""

import pytest

from mace_gov.documents.drawable import erase_only, may_draw
from mace_gov.documents.policy import Kind
from tests import factories


@pytest.mark.parametrize("prompt", ["nude child", "a Naked TEENAGER", "underage, naked", "a nude 15-year-old",
                                    "csam", "porn with schoolgirls", "sexy 9 yo"])
@pytest.mark.parametrize("kind", list(Kind))
def test_minors_are_never_paired_with_sexual_content(kind, prompt):
    assert not may_draw(kind, prompt)


def test_an_explicit_category_bans_every_picture_of_a_minor():
    assert not may_draw(Kind.EXPLICIT, "a picture of a girl") and may_draw(Kind.OBJECT, "a picture of a girl")


@pytest.mark.parametrize("prompt", ["nudity", "a naked person", "a nude of 30 years", "essex boyfriend"])
def test_other_prompts_may_be_drawn(prompt):
    assert may_draw(Kind.EXPLICIT, prompt)


def test_one_forbidden_synonym_makes_a_concept_erase_only():
    (category,) = factories.policy().spec.categories
    concept = category.concepts[0]
    assert not erase_only(category, concept)
    assert erase_only(category, concept.model_copy(update={"synonyms": ["nude minors"]}))
