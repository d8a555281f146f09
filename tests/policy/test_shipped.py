"""The policies that ship can be had without a checkout."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mace_gov.core.errors import UsageError
from mace_gov.policy import shipped
from mace_gov.policy.shipped import copy_policy, shipped_policies

ROOT = Path(__file__).parents[2]


def test_all_are_named_and_copied_byte_by_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {"nsfw", "objects-one", "stable-diffusion/explicit"} <= shipped_policies().keys()
    for name, path in shipped_policies().items():
        assert copy_policy(name) == Path("policies", f"{name}.yaml")
        assert Path("policies", f"{name}.yaml").read_bytes() == path.read_bytes() == (
            ROOT / "policies" / f"{name}.yaml").read_bytes()


def test_one_of_ones_own_is_not_written_over_and_an_unknown_name_is_told_the_others(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "mine.yaml"
    assert copy_policy("nsfw", place) == place
    place.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        copy_policy("nsfw", place)
    assert place.read_text() == "mine"
    with pytest.raises(UsageError, match="expected one of .*nsfw"):
        copy_policy("../nsfw")
    with pytest.raises(UsageError, match="cannot be written"):
        copy_policy("nsfw", place / "below.yaml")


def test_a_wheel_has_its_own_beside_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    (there,) = build["force-include"].items()
    assert there == ("policies", "mace_gov/policies")
    (tmp_path / "mace_gov" / "policies").mkdir(parents=True)
    (tmp_path / "mace_gov" / "policies" / "own.yaml").write_text("own")
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "mace_gov")
    assert shipped_policies() == {"own": tmp_path / "mace_gov" / "policies" / "own.yaml"}
