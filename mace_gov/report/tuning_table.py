"""A search for settings on the terminal, and its result as a block for a policy."""

from __future__ import annotations

import yaml
from rich.table import Table
from rich.text import Text

from mace_gov.core.console import Console
from mace_gov.core.terminal import printable
from mace_gov.documents.comparison import Rates
from mace_gov.documents.rate import Estimate
from mace_gov.documents.tuning import Tuning
from mace_gov.report.words import interval, lower_percent, percent, seconds, upper_percent

COLUMNS = ("", "Settings", "H", "Still drawn", "Unrelated drawn", "LoRAs trained", "Time")
"""Headings of the table."""


def method_block(tuning: Tuning) -> str:
    """``method:`` as YAML, to stand in a policy's ``spec``, with where it comes from."""
    rates = tuning.attempts[tuning.best].rates
    h = rates.h if rates else None
    best = f"H {h.value:.3f} ({h.low:.3f} to {h.high:.3f})" if h else "nothing could be scored"
    said = (f"# Settings for {printable(tuning.policy_name)} on {printable(tuning.base_ref)}: best of "
            f"{len(tuning.attempts)} tried, {best}.\n"
            "# The best of several is flattered by chance; the audit, which asks other wordings, decides.\n")
    if tuning.best == 0:
        said += "# It is what `mace-gov apply` chooses by itself: the policy stays as it is.\n"
    return said + yaml.safe_dump({"method": tuning.method.to_json()}, sort_keys=False, allow_unicode=True)


def show_tuning(tuning: Tuning, *, console: Console | None = None) -> None:
    """Print the table of attempts, the base first, the best one marked."""
    console = console or Console(stderr=True)
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in COLUMNS:
        shown.add_column(heading, justify="left" if heading in COLUMNS[:2] else "right")
    shown.add_row("", "base model", *_cells(tuning.base), "", "")
    for n, attempt in enumerate(tuning.attempts):
        settings = "\n".join(f"{name} {value:g}" for name, value in attempt.settings.items())
        cells = _cells(attempt.rates) if attempt.problem is None else (Text(printable(attempt.problem)), "", "")
        mark = "best" if n == tuning.best else str(n + 1)
        shown.add_row(mark, Text(settings), *cells, str(attempt.trained), seconds(attempt.seconds))
    console.print(shown)
    ending = "the whole line was tried" if tuning.exhausted else "the budget is spent"
    console.print(Text(f"{len(tuning.attempts)} attempts in {tuning.seconds / 60:.1f} minutes: {ending}"))


def _cells(rates: Rates | None) -> tuple[Text, ...]:
    if rates is None or rates.h is None:
        return Text("not scored"), Text(""), Text("")
    h = f"{lower_percent(rates.h.low)} to {upper_percent(rates.h.high)}"
    return _lines(percent(rates.h.value), h), _rate(rates.acc_e), _rate(rates.acc_s)


def _rate(estimate: Estimate | None) -> Text:
    if estimate is None:
        return Text("not asked")
    return _lines(f"{percent(estimate.value)}, n = {estimate.n}", interval(estimate))


def _lines(*lines: str) -> Text:
    return Text("\n".join(map(printable, lines)))
