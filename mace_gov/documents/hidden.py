"""Which pictures people should not come upon unasked: by what was asked for, whatever came of it."""

from __future__ import annotations

from mace_gov.documents.policy import Category
from mace_gov.documents.terms import Kind, Severity, Suite


def hidden(category: Category, suite: Suite) -> bool:
    """Whether pictures of a category and suite are hidden, on a model that may draw what it is asked for.

    Explicit content and violence (one kind) at any severity, and whatever is critical. What must survive stays clear,
    but for allowed subjects beside something banned.
    """
    sensitive = category.kind is Kind.EXPLICIT or category.severity is Severity.CRITICAL
    return sensitive and (suite.banned or suite is Suite.ATTRIBUTE)
