"""The page and the terminal's table of a comparison of methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from mace_gov.core.atomic import write_bytes, write_text
from mace_gov.core.console import Console
from mace_gov.core.terminal import printable
from mace_gov.documents.comparison import Interval, MethodComparison, SheetRow
from mace_gov.documents.rate import Estimate
from mace_gov.report.html import content_security_policy, environment, style_sheet
from mace_gov.report.words import NBSP, SUITES, interval, lower_percent, p_value, percent, seconds, upper_percent

PAGE, DOCUMENT = "index.html", "comparison.json"

COLUMNS = ("Method", "H", "Still drawn", "By synonym", "Unrelated drawn", "Retention", "Neighbours", "Time", "Memory",
           "Delta")
"""Headings of the table; the first is the row's own."""


NAMES = {"h": "H", "accE": "still drawn", "accG": "by synonym", "accS": "unrelated drawn", "retention": "retention",
         "near": "neighbours"}
"""Measures over seeds, as the headings name them."""


def render_comparison(comparison: MethodComparison, sheet: Sequence[SheetRow], out: Path) -> None:
    """Write ``out/comparison.json`` (canonical) and ``out/index.html``, self-contained with its pictures."""
    write_bytes(out / DOCUMENT, comparison.canonical())
    write_text(out / PAGE, _comparison_page(comparison, sheet))


def _comparison_page(comparison: MethodComparison, sheet: Sequence[SheetRow]) -> str:
    """The page; equal input gives equal bytes."""
    css = style_sheet()
    columns = ["base", *(row.method for row in comparison.rows if row.problem is None)]
    return environment().get_template("comparison.html.j2").render(
        comparison=comparison, sheet=sheet, columns=columns, headings=COLUMNS, table=table(comparison),
        spreads=spreads(comparison), differences=differences(comparison), css=Markup(css),
        csp=content_security_policy(css),
    )


def table(comparison: MethodComparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """Rows as (name, cells), a cell as (value, interval or nothing); the base model first, refusals left out."""
    base = comparison.base
    rows = [("base model", [_bounded(base.h), *map(_rate, (base.acc_e, base.acc_g, base.acc_s)), ("", ""),
                            _rate(base.near), ("", ""), ("", ""), ("", "")])]
    for row in comparison.rows:
        if row.rates is None:
            continue
        rates = row.rates
        rows.append((row.method, [
            _bounded(rates.h), *map(_rate, (rates.acc_e, rates.acc_g, rates.acc_s, row.retention, rates.near)),
            (seconds(row.seconds or 0.0), ""), (size(row.peak_bytes), ""), (size(row.delta_bytes), ""),
        ]))
    return rows


def differences(comparison: MethodComparison) -> list[tuple[str, str, str]]:
    """Rows as (two methods, what was asked, p-value); none where one method has pictures."""
    first = next((row.method for row in comparison.rows if row.rates is not None), None)
    return [(f"{row.method} against {first}", SUITES[suite], p_value(p))
            for row in comparison.rows for suite, p in row.p_values.items()]


def spreads(comparison: MethodComparison) -> list[tuple[str, str, str, str]]:
    """Rows as (method, measure, mean and deviation, lowest to highest); none where one seed was asked for."""
    return [
        (f"{row.method}, seeds {row.seeds[0]} to {row.seeds[-1]}", NAMES[name],
         f"{percent(own.mean)} ± {percent(own.deviation)}", f"{percent(own.lowest)} to {percent(own.highest)}")
        for row in comparison.rows for name, own in row.spread.items()
    ]


def size(count: int | None) -> str:
    """Bytes in the unit that reads best."""
    value = float(count or 0)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g}{NBSP}{unit}"
        value /= 1000
    return f"{value:.3g}{NBSP}GB"


def show_comparison(comparison: MethodComparison, page: Path, *, console: Console | None = None) -> None:
    """Print the table, what was refused and where the page lies."""
    console = console or Console()
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in COLUMNS:
        shown.add_column(heading, justify="left" if heading == COLUMNS[0] else "right")
    for name, cells in table(comparison):
        shown.add_row(name, *(Text("\n".join(map(printable, filter(None, cell)))) for cell in cells))
    console.print(shown)
    for difference in differences(comparison):
        console.print(Text(printable("  ".join(difference))), soft_wrap=True)
    for spread in spreads(comparison):
        console.print(Text(printable("  ".join(spread))), soft_wrap=True)
    for row in comparison.rows:
        notes = [f"refused: {row.problem}"] if row.problem else [*row.broken, *row.warnings]
        for note in notes:
            console.print(Text(printable(f"{row.method}: {note}")), soft_wrap=True)
    console.print(Text(f"page  {page}"), soft_wrap=True)


def _rate(estimate: Estimate | None) -> tuple[str, str]:
    return ("not asked", "") if estimate is None or estimate.n == 0 else (percent(estimate.value), interval(estimate))


def _bounded(value: Interval | None) -> tuple[str, str]:
    if value is None:
        return "not asked", ""
    return percent(value.value), f"{lower_percent(value.low)} to {upper_percent(value.high)}"
