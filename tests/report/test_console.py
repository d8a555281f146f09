"""The terminal: plain lines in a pipe, a table on a terminal, and no control characters from a policy."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mace_gov.documents.verdict import Outcome
from mace_gov.report import console
from tests import factories

PATHS = {"version": "registry/versions/nsfw/1", "report": "reports/nsfw-v1/index.html"}


def printed(verdict, *, terminal: bool) -> str:
    out = io.StringIO()
    screen = Console(file=out, force_terminal=terminal, width=160, color_system="truecolor" if terminal else None)
    console.show(verdict, {"Acc_e": 0.0, "H_o": 0.994, "other": 3.0}, PATHS, console=screen)
    return out.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_says_outcome_rules_measures_paths_and_next_step(outcome, terminal):
    verdict = factories.verdict(outcome=outcome, reasons=["the review date is past"])
    text = printed(verdict, terminal=terminal)
    for wanted in (outcome.value, "NSFW-001", "0 of 60", "H_o 99.4 %", "the review date is past",
                   *PATHS.values(), "next"):
        assert wanted in text


def test_plain_text_in_a_pipe():
    text = printed(factories.verdict(), terminal=False)
    assert text.isascii()
    assert "\x1b" not in text
    assert any(line.startswith("PASS    NSFW-001  presence at most 5 %") for line in text.splitlines())


def test_audit_mode_is_said():
    for terminal in (False, True):
        assert console.AUDIT_MODE in printed(factories.verdict(mode="audit"), terminal=terminal)


def test_names_cannot_steer_the_terminal():
    hostile = factories.finding(reasons=["\x1b]0;owned\x07[red]x[/red]"])
    text = printed(factories.verdict(findings=[hostile], reasons=["\x1b[2J"]), terminal=False)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]x[/red]" in text


def test_nothing_measured():
    text = printed(factories.verdict(findings=[factories.finding(estimate=None, base=None)]), terminal=False)
    assert "not measured; base not measured" in text
