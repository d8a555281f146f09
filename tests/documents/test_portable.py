"""What is signed says nothing about the disk that it was made on."""

from __future__ import annotations

import pytest

from mace_gov.documents.evidence import Evidence
from mace_gov.documents.plan import portable_ref
from tests import factories


@pytest.mark.parametrize(("ref", "kept"), [
    ("embedded", "embedded"),
    ("CompVis/stable-diffusion-v1-4", "CompVis/stable-diffusion-v1-4"),
    ("registry:nsfw/1", "registry:nsfw/1"),
    ("models/sd14", "models/sd14"),
    ("/home/jane/models/sd14", "sd14"),
    ("/home/jane/models/sd14/", "sd14"),
    ("~/sd14", "sd14"),
    ("../jane/sd14", "sd14"),
    (r"C:\Users\jane\sd14", "sd14"),
    ("/", "model"),
])
def test_a_reference_keeps_what_means_the_same_everywhere(ref: str, kept: str) -> None:
    assert portable_ref(ref) == kept


def test_evidence_does_not_carry_the_folder_of_the_base() -> None:
    made = factories.evidence()
    assert "/nowhere" in factories.plan().base.path
    assert b"/nowhere" not in made.canonical() and made.plan.content_digest() == factories.plan().content_digest()
    # Evidence signed before this rule still reads, and names the same plan.
    old = made.to_json()
    old["plan"]["base"]["path"] = "/home/jane/base"
    assert Evidence.from_json(old) == made
