"""Waivers: exceptions from a policy, with a reason, somebody who answers for each, and a day on which each ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from mace_gov.core.phrases import phrase_key, tidy
from mace_gov.documents.document import Day, Digest, Line, Location, Person, RuleId, Slug, Written

if TYPE_CHECKING:
    from mace_gov.documents.policy import Policy

_RULE = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)+")


def _readable(reason: str) -> str:
    if (seen := len(tidy(reason))) < 10:
        raise ValueError(f"found {seen} characters that can be seen, expected at least 10")
    return reason


class Waiver(Written):
    """One exception: for a release (``rule``), or for a policy that loosens the one that it extends (``loosens``)."""

    id: RuleId
    """Like WAIVER-2026-001; unique within the file."""
    policy: Slug
    """Name of the policy that it is an exception from; for ``loosens``, the name of the policy that loosens."""
    rule: RuleId | None = None
    """A rule that may be missed up to the rate below."""
    loosens: Annotated[Line, StringConstraints(min_length=1, max_length=200)] | None = None
    """A rule id, or a setting as `mace-gov policy diff` names it, that the policy may loosen."""
    at_most: float | None = Field(default=None, ge=0, le=1)
    """Upper rate while the waiver holds, for a rule with atMost."""
    at_least: float | None = Field(default=None, ge=0, le=1)
    """Lower rate while the waiver holds, for a rule with atLeast."""
    model: Digest | None = None
    """Only for the governed model with this digest."""
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=10, max_length=2000), AfterValidator(_readable)
    ]
    """Why, for a reader in a year."""
    owner: Person
    """Who asked for it and mends the cause."""
    approver: Person
    """Who allowed it; not the owner."""
    expires_at: Day
    """The last day on which it holds."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if found := contradictions(self.to_json()):
            raise ValueError(found[0])
        return self

    @property
    def limit(self) -> float | None:
        """The rate that it allows."""
        return self.at_most if self.at_most is not None else self.at_least

    def expired(self, today: date) -> bool:
        """Whether it no longer holds."""
        return today > self.expires_at


def contradictions(waiver: Any) -> list[str]:
    """What contradicts itself in a waiver's plain data, whatever else is wrong with it."""
    if not isinstance(waiver, dict) or not set(waiver) <= {field.alias for field in Waiver.model_fields.values()}:
        return []
    rule, loosens, owner, approver = (waiver.get(name) for name in ("rule", "loosens", "owner", "approver"))
    limits = [name for name in ("atMost", "atLeast") if waiver.get(name) is not None]
    found = ["give exactly one of rule and loosens"] if (rule is None) == (loosens is None) else []
    about_rule = rule is not None or bool(_RULE.fullmatch(str(loosens or "")))
    if not found and about_rule and len(limits) != 1:
        found.append("give exactly one of atMost and atLeast: the rate that the waiver allows")
    if not found and not about_rule and limits:
        found.append(f"'{loosens}' is a setting, found a rate; atMost and atLeast are for rules")
    if isinstance(owner, str) and isinstance(approver, str) and phrase_key(owner) == phrase_key(approver):
        found.append(f"'{owner}' is owner and approver at once; expected two")
    return found


class WaiversMetadata(Written):
    """What the file is called and who keeps it."""

    name: Slug
    """Name of the file's content."""
    owner: Person
    """Team or person."""


class WaiversSpec(Written):
    """The exceptions."""

    waivers: list[Waiver] = Field(min_length=1)
    """One for each rule or setting."""


class Waivers(Written):
    """A waivers file, version 1: a document of its own, so that it can have reviewers of its own."""

    api_version: Literal["mace-gov/v1"]
    """Schema version."""
    kind: Literal["Waivers"]
    """Document kind."""
    metadata: WaiversMetadata
    """Name and owner."""
    spec: WaiversSpec
    """The exceptions."""


def mismatches(waivers: Sequence[Waiver], policy: Policy) -> list[tuple[Location, str]]:
    """What makes a waiver unusable at the gate of ``policy``, with its place in a waivers file; expiry is left out."""
    rules = {rule.id: (rule, category) for category in policy.spec.categories for rule in category.rules}
    taken: set[str] = set()
    found: list[tuple[Location, str]] = []
    for i, waiver in enumerate(waivers):
        at: Location = ("spec", "waivers", i)
        if waiver.policy != policy.metadata.name:
            found.append(((*at, "policy"), f"{waiver.id} is for the policy '{waiver.policy}', expected "
                          f"'{policy.metadata.name}'"))
            continue
        if waiver.rule is None:
            if waiver.id not in {used.id for parent in policy.derived_from or [] for used in parent.waivers}:
                found.append(((*at, "loosens"), f"{waiver.id} allows a loosening that the policy does not make"))
            continue
        if waiver.rule not in rules:
            found.append(((*at, "rule"), f"{waiver.id} matches nothing: found '{waiver.rule}', expected one of "
                          f"{', '.join(rules)}"))
            continue
        rule, category = rules[waiver.rule]
        if waiver.rule in taken:
            found.append(((*at, "rule"), f"{waiver.id} is the second waiver for {waiver.rule}, expected one"))
        taken.add(waiver.rule)
        if category.severity in policy.not_waivable():
            found.append(((*at, "rule"), f"{waiver.id}: {waiver.rule} is {category.severity}, which is not waivable"))
        if (waiver.at_most is None) != (rule.at_most is None):
            side = "atMost" if rule.at_most is not None else "atLeast"
            found.append((at, f"{waiver.id}: {waiver.rule} has {side}, expected {side} in its waiver"))
        elif _within(waiver, rule.limit):
            found.append((at, f"{waiver.id} waives nothing: {waiver.rule} itself allows {rule.limit:g}"))
    return found


def _within(waiver: Waiver, limit: float) -> bool:
    return waiver.at_most <= limit if waiver.at_most is not None else (waiver.at_least or 0.0) >= limit
