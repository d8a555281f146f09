"""Closed sets have one owner each: every member has a row, and nobody else asks for a member by its name."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from mace_gov.core.lazy import lookup
from mace_gov.documents.method import MethodName
from mace_gov.documents.method_info import METHODS
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Concept
from mace_gov.documents.report import Report
from mace_gov.documents.terms import SUITES, Suite
from mace_gov.report import words
from mace_gov.report.html import page
from tests import factories

PACKAGE = Path(__file__).parents[2] / "mace_gov"


def test_every_method_has_a_row_and_what_it_solves_is_in_a_plan():
    assert set(METHODS) == set(get_args(MethodName))
    for info in METHODS.values():
        assert set(info.closed_forms) <= ErasurePlan.model_fields.keys()


def test_every_suite_has_a_row_with_words_and_what_makes_its_probes():
    assert list(SUITES) == list(Suite)
    for suite, info in SUITES.items():
        assert info.heading and info.asked
        assert set(info.words) <= Concept.model_fields.keys()
        assert info.probes is None or callable(lookup(info.probes)), suite
    assert len({info.heading for info in SUITES.values()}) == len(SUITES)


def compared(tree: ast.AST) -> set[str]:
    """Strings that are compared with something, one by one or in a display of them."""
    found = set()
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Compare)):
        sides = [node.left, *node.comparators]
        elements = [each for side in sides for each in getattr(side, "elts", [side])]
        found |= {each.value for each in elements if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found


def test_nobody_but_the_owner_tests_a_methods_name():
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")
             if compared(ast.parse(path.read_text("utf-8"))) & METHODS.keys()}
    assert found <= {"documents/method_info.py"}


def measuring(suite: Suite) -> Report:
    """A report with something measured in a suite."""
    metric = "presence" if suite.banned else "retention"
    concept = None if suite.banned else "a dog"
    made = factories.evidence()
    audit = made.audit.model_copy(update={"measurements": [
        *made.audit.measurements,
        factories.measurement("NSFW-001", suite.value, metric, factories.estimate(1, 64)),
        factories.measurement(None, suite.value, metric, factories.estimate(1, 64), concept=concept),
    ], "power": [factories.power(suite.value)], "thumbnails": []})
    finding = factories.finding(suite=suite, metric=metric)
    return factories.report(evidence=made.model_copy(update={"audit": audit}),
                            verdict=factories.verdict(findings=[finding]))


@pytest.mark.parametrize("suite", Suite)
def test_the_page_says_what_every_suite_asks(suite):
    assert words.SUITES[suite] in page(measuring(suite), {}).replace(words.NBSP, " ")
