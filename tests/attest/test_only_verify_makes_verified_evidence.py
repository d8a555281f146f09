"""The gate cannot be handed unchecked evidence: one module alone constructs ``VerifiedEvidence``."""

from __future__ import annotations

import ast
from pathlib import Path

import mace_gov

PACKAGE = Path(mace_gov.__file__).parent


def _constructs(source: str) -> bool:
    """Whether the source calls VerifiedEvidence, or copies one with changes."""
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    dataclass_replace = "VerifiedEvidence" in source and bool(
        {"__new__", "_make"} & called or "from dataclasses import replace" in source or "dataclasses.replace" in source
    )
    return "VerifiedEvidence" in called or dataclass_replace


def test_the_walk_sees_a_construction() -> None:
    assert _constructs("evidence.VerifiedEvidence(a, b)")
    assert _constructs("from dataclasses import replace\nx: VerifiedEvidence = replace(y)")
    assert not _constructs("def f(x: VerifiedEvidence) -> None: ...")


def test_only_attest_verify_constructs_it() -> None:
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if _constructs(path.read_text())}
    assert found == {"attest/verify.py"}
