"""What is used from outside: small, documented, typed, light to import, and the package's own example holds."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import mace_gov
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.verdict import Outcome, Verdict
from tests import factories
from tests.factories import SignedVersion
from tests.workflow.planting import World, policy_file

FUNCTIONS = [name for name in mace_gov.__all__ if not name.startswith("_")]


@pytest.fixture
def signed(tmp_path: Path) -> SignedVersion:
    return factories.version_folder(tmp_path, complete=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_says_what_goes_in_what_comes_out_and_what_is_raised(name: str) -> None:
    function = getattr(mace_gov, name)
    signature = inspect.signature(function)
    assert signature.return_annotation and "Raises" in function.__doc__
    assert all(each.annotation is not each.empty for each in signature.parameters.values())


def test_it_is_marked_as_typed() -> None:
    assert (Path(mace_gov.__file__).parent / "py.typed").is_file()


def test_verify_and_decide_by_name_by_folder_and_with_plain_strings(signed: SignedVersion) -> None:
    places = {"key": str(signed.key), "registry": str(signed.registry)}
    for version in ("nsfw/1", str(signed.folder), signed.folder):
        found = mace_gov.verify(version, **places)
        assert isinstance(found, VerifiedEvidence) and found.verdict.outcome is Outcome.PASS and found.checks
        verdict = mace_gov.decide(version, **places)
        assert isinstance(verdict, Verdict) and verdict.exit_code == 0
    assert mace_gov.decide("nsfw/1", signed.folder / "policy.yaml", **places).findings == verdict.findings
    (signed.folder / "policy.yaml").write_bytes(b"changed")
    with pytest.raises(IntegrityError, match=r"policy\.yaml"):
        mace_gov.verify("nsfw/1", **places)


def test_a_policy_and_a_model_become_a_version_in_ten_lines(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example in the package's docstring, word for word, with a policy of its own."""
    policy = policy_file(world.root)
    asked = json.loads(policy.read_text("utf-8"))
    asked["spec"]["model"] = {"ref": str(world.model)}
    policy.write_text(json.dumps(asked), "utf-8")
    monkeypatch.chdir(world.root)
    example = inspect.cleandoc(mace_gov.__doc__ or "").split("::\n\n", 1)[1].split("\n\nThe map", 1)[0]
    code = inspect.cleandoc("\n" + example)
    for name in ("policies/nsfw.yaml", "policies/stricter.yaml"):
        assert name in code
        code = code.replace(name, str(policy))
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    told: dict[str, Any] = {}
    exec(compile(code, "example", "exec"), told)
    assert told["run"].verdict.outcome is Outcome.PASS and told["verdict"].exit_code == 0 and told["pipe"].unet
