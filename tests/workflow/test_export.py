"""Exporting a signed version: it must verify first."""

from __future__ import annotations

import json
import sys

import pytest

from mace_gov.cli import main
from mace_gov.core.digest import folder_files
from mace_gov.core.errors import IntegrityError
from mace_gov.workflow.exporting import export_version
from tests.workflow.planting import World


def test_a_version_is_verified_and_then_written(world: World, monkeypatch, capsys) -> None:
    made = world.apply()
    out = world.root / "exported"
    arguments = ["export", made.version, "--to", "diffusers", "--out", str(out), "--base", str(world.model),
                 "--registry", str(world.registry), "--json"]
    monkeypatch.setattr(sys, "argv", ["mace-gov", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["form"], told["verdict"], told["path"]) == ("diffusers", "PASS", str(out))
    assert folder_files(out) == folder_files(made.model)
    card = (world.root / "exported.README.md").read_text("utf-8")
    assert card.startswith("---\n") and "**PASS**" in card and made.verdict.governed_digest in card

    delta = made.folder / "delta" / "erasure.safetensors"
    good = delta.read_bytes()
    delta.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(IntegrityError, match=r"delta/erasure\.safetensors"):
        export_version(made.folder, "diffusers", world.root / "again", base=str(world.model), registry=world.registry)
    assert not (world.root / "again").exists()
