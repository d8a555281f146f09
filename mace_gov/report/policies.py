"""The page of ``policy diff``: what one policy asks more or less than another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from markupsafe import Markup

from mace_gov.core.version import __version__
from mace_gov.documents.policy import Policy
from mace_gov.documents.terms import Severity
from mace_gov.report.html import content_security_policy, environment, style_sheet


class Difference(Protocol):
    """One change, as ``policy.diff`` finds it."""

    @property
    def subject(self) -> str:
        """A rule id or a setting."""

    @property
    def effect(self) -> str:
        """What it does: bans, unbans, tightens, loosens or changes."""

    @property
    def words(self) -> str:
        """The same in a sentence."""

    @property
    def severity(self) -> Severity | None:
        """Of the category that it is about, if it is about one."""

    @property
    def looser(self) -> bool:
        """Whether the second policy asks less here."""


def policies_page(first: Policy, second: Policy, summary: str, changes: Sequence[Difference]) -> str:
    """The page, self-contained and without a script; equal input gives equal bytes. summary: all changes in a line."""
    css = style_sheet()
    return environment().get_template("policies.html.j2").render(
        first=first, second=second, summary=summary, changes=changes, looser=any(each.looser for each in changes),
        css=Markup(css), csp=content_security_policy(css), made_by=__version__,
    )
