"""The verb ``load_policy``: one YAML file in, one checked ``Policy`` out, or every error at once with its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mace_gov.core.clock import wall_clock
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import PolicyError
from mace_gov.documents.consistency import inconsistencies
from mace_gov.documents.policy import Policy
from mace_gov.policy.extend import join
from mace_gov.policy.reading import File, fail, read_file, validate
from mace_gov.policy.source import Source

DEEPEST = 8
"""Policies in a chain of ``extends``."""


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy together with the file that it came from."""

    policy: Policy
    """The checked document, joined with what it extends."""
    path: Path
    """Its file."""
    data: bytes
    """What is kept beside the evidence: the file's exact bytes, or the joined policy when the file extends another."""
    source: Source
    """Places in the file, for messages about single fields."""

    def rule_places(self) -> dict[str, tuple[int, int]]:
        """Line and column of every rule, by its id; of an inherited one, those of ``extends``."""
        return {
            rule.id: self.source.places.get(("spec", "categories", i, "rules", j), self.source.place(()))
            for i, category in enumerate(self.policy.spec.categories) for j, rule in enumerate(category.rules)
        }

    @property
    def file_digest(self) -> str:
        """SHA-256 of ``data``."""
        return sha256_bytes(self.data)


def load_policy(path: Path, *, today: date | None = None, ended: bool = False) -> LoadedPolicy:
    """Read and check a policy file, and join it with the policy that it extends.

    ``today`` decides whether a waiver for what a child loosens still holds; the real date unless given. With ``ended``
    one that holds no more is no error: the gate says what it means for a release. Raises UsageError when there is no
    such file, PolicyError with every problem found, each as
    ``file:line:column: field: what was found, what was expected``.
    """
    return load_file(read_file(path, "policy"), today=today, ended=ended)


def load_file(file: File, *, today: date | None = None, ended: bool = False) -> LoadedPolicy:
    """The same for a file that was read. Raises PolicyError with every problem found."""
    return _load(file, today or wall_clock().date(), ended, DEEPEST)


def _load(file: File, today: date, ended: bool, deepest: int) -> LoadedPolicy:
    source = file.source
    if "extends" in source.value:
        if deepest == 1:
            raise PolicyError(f"{file.path}:1:1: extends: found more than {DEEPEST} policies in a chain")
        joined, data, source = join(file, lambda parent: _load(parent, today, ended, deepest - 1).policy, today, ended)
        return LoadedPolicy(joined, file.path, data, source)
    policy, problems = validate(Policy, source.value, inconsistencies)
    problems += source.problems
    if problems or policy is None:
        raise fail(file.path, source, problems)
    return LoadedPolicy(policy, file.path, file.data, source)
