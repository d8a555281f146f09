"""The short form of a report for a terminal; plain lines when the output is not one."""

from __future__ import annotations

from collections.abc import Mapping

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mace_gov.core.console import Console
from mace_gov.core.terminal import printable
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.verdict import Finding, Outcome, Verdict
from mace_gov.report.words import (
    IF_ENFORCED,
    MEASURES,
    effect,
    interval,
    observed,
    percent,
    sentence,
)

STYLES = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.REVIEW: "yellow"}
"""Colour of each outcome; the word always stands beside it."""

AUDIT_MODE = "Audit mode: reported, not enforced."


def next_step(verdict: Verdict, paths: Mapping[str, str], check: ReleaseCheck | None = None) -> str:
    """What to do now, in one line."""
    if check and check.standing(verdict.outcome) is Outcome.FAIL and verdict.outcome is not Outcome.FAIL:
        return "do not use it; `mace-gov registry list` shows which version is compliant"
    if verdict.outcome is Outcome.PASS:
        return f"mace-gov verify {paths.get('version', 'VERSION')} --key KEY   (a public key that you got another way)"
    look = paths.get("report", "the report")
    if verdict.outcome is Outcome.FAIL:
        return f"see the failed rules in {look}; change the policy's method or its concepts, then apply again"
    if verdict.evidence_policy_digest:
        return "mace-gov apply POLICY   (evidence under this policy; sign-offs are about the one that was signed)"
    return f"a person must look: {look}"


def _consequence(verdict: Verdict, check: ReleaseCheck | None) -> str:
    if verdict.mode == "audit" and (check is None or check.exit_code == 0):
        return f"{AUDIT_MODE} {IF_ENFORCED[verdict.outcome]}"
    return effect(verdict, check)


def _about(verdict: Verdict) -> str:
    return f"policy {verdict.policy_name} {verdict.policy_version}, model sha256:{verdict.governed_digest[:12]}"


def _reasons(finding: Finding) -> str:
    return printable("; ".join(finding.reasons))


def _measures(measures: Mapping[str, float]) -> str:
    known = [name for name in MEASURES if name in measures]
    names = [*known, *sorted(set(measures) - set(known))]
    shown = (f"{name} {percent(measures[name]) if 0 <= measures[name] <= 1 else format(measures[name], '.4g')}"
             for name in names)
    return printable("   ".join(shown))


def plain_lines(
    verdict: Verdict, measures: Mapping[str, float], paths: Mapping[str, str], check: ReleaseCheck | None = None
) -> list[str]:
    """Everything as plain lines, for logs and pipes."""
    word = check.headline(verdict.outcome) if check else verdict.outcome.value
    lines = [f"{word}  {_about(verdict)}", f"      {_consequence(verdict, check)}"]
    lines += [f"      {printable(reason)}" for reason in verdict.reasons]
    for f in verdict.findings:
        lines.append(f"{f.outcome.value:6}  {f.rule}  {f.requirement}: {sentence(f.estimate)}; "
                     f"base {sentence(f.base)}; {_reasons(f)}")
    if measures:
        lines.append(f"measures  {_measures(measures)}")
    lines += [f"{name}  {path}" for name, path in paths.items()]
    lines.append(f"next  {next_step(verdict, paths, check)}")
    return [printable(line) for line in lines]


def _rules(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("Rule", "Requirement", "Before", "After", "Interval", "Outcome", "Why"):
        table.add_column(heading, justify="right" if heading in ("Before", "After") else "left",
                         no_wrap=heading in ("Rule", "Outcome"))
    for f in verdict.findings:
        cells = (f.rule, f.requirement, observed(f.base), observed(f.estimate), interval(f.estimate))
        table.add_row(*(Text(printable(cell)) for cell in cells),
                      Text(f.outcome.value, style=f"bold {STYLES[f.outcome]}"), Text(_reasons(f), style="dim"))
    return table


def show(
    verdict: Verdict, measures: Mapping[str, float], paths: Mapping[str, str], *, check: ReleaseCheck | None = None,
    console: Console | None = None,
) -> None:
    """Print verdict, rules, measures, paths and the next step. ``console`` is standard output unless given.

    ``check`` says how the verdict stands now.
    """
    console = console or Console()
    if not console.is_terminal:
        for line in plain_lines(verdict, measures, paths, check):
            console.print(Text(line), soft_wrap=True)
        return
    style = STYLES[check.standing(verdict.outcome) if check else verdict.outcome]
    body = Text()
    body.append(check.headline(verdict.outcome) if check else verdict.outcome.value, style=f"bold {style}")
    body.append(f"  {printable(_about(verdict))}\n{_consequence(verdict, check)}")
    for reason in verdict.reasons:
        body.append(f"\n{printable(reason)}")
    console.print(Panel(body, border_style=style, expand=False, padding=(0, 2)))
    console.print(_rules(verdict))
    if measures:
        console.print(Text.assemble(("measures  ", "dim"), _measures(measures)))
    for name, path in paths.items():
        console.print(Text.assemble((f"{name:9} ", "dim"), printable(path)), soft_wrap=True)
    console.print(Text.assemble(("next      ", "bold"), printable(next_step(verdict, paths, check))), soft_wrap=True)
