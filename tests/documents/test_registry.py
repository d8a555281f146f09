"""One document owns the registry's layout: nobody else joins its paths, spells its files or reads a version's name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mace_gov.core.errors import UsageError
from mace_gov.documents.registry import (
    EVIDENCE_NAME,
    SIGNED_PLACES,
    Layout,
    names_version,
    parse_reference,
    version_in,
)

PACKAGE = Path(__file__).parents[2] / "mace_gov"
OTHERS = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "documents" / "registry.py"]


@pytest.mark.parametrize("spelled", [
    r"registry / f?\"", r"\"[a-z-]+\.dsse\.json\"", r"\[1-9\]\[0-9\]\{0,8\}", r"\[a-z0-9\._-\]\{0,63\}/",
    r"\"mlflow\.db\"",
])
def test_nobody_else_spells_a_path_a_file_or_a_versions_name(spelled):
    assert [path.name for path in OTHERS if re.search(spelled, path.read_text("utf-8"))] == []


@pytest.mark.parametrize(("reference", "found"), [
    ("nsfw/1", ("nsfw", 1)), ("registry:nsfw/12", ("nsfw", 12)), ("nsfw/v3", ("nsfw", 3)), ("nsfw/0", None),
    ("nsfw/1\n", None), ("Nsfw/1", None), ("a/b/1", None), ("../nsfw/1", None), ("nsfw", None),
    ("nsfw/1234567890", None), ("nsfw/01", None), ("NSFW/V1", None), ("nsfw/latest", None), ("Registry:nsfw/1", None),
    ("nsfw/compliant", None), ("nsfw/ 1", None), ("nsfw/1 ", None),
])
def test_a_version_is_read_in_one_way(reference, found):
    assert version_in(reference) == found
    meant = reference not in ("a/b/1", "../nsfw/1", "nsfw")
    assert names_version(reference) is meant, "what is misspelt is no hub id"
    if found is None:
        with pytest.raises(UsageError, match="expected NAME/N"):
            parse_reference(reference)


@pytest.mark.parametrize("reference", ["runwayml/stable-diffusion-v1-5", "a/b-1", "a/1b", "a/1.5", "embedded", "a/b/1"])
def test_other_models_are_no_versions(reference):
    assert not names_version(reference)


def test_places_lie_below_the_root_and_complete_versions_are_found(tmp_path):
    layout = Layout(tmp_path)
    for name, shelf in (("versions", "versions"), ("audits", "audits")):
        folder = layout.version("nsfw", 1, shelf)
        assert folder == tmp_path / name / "nsfw" / "1"
        folder.mkdir(parents=True)
        (folder / EVIDENCE_NAME).touch()
    layout.chain("nsfw").mkdir(parents=True)
    assert len(list(layout.envelopes())) == 2 and layout.released_names() == ["nsfw"]
    places = (layout.versions, layout.keys, layout.pinned, layout.database, layout.chain("nsfw").parent,
              layout.decisions("0" * 64).parent)
    assert {place.relative_to(tmp_path).as_posix() for place in places} <= set(SIGNED_PLACES)
