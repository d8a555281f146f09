"""The comparison's page and table: every figure with its interval, every name escaped, nothing loaded."""

from __future__ import annotations

import io
import json
import re

from rich.console import Console

from mace_gov.documents.comparison import Interval, MethodComparison, MethodRow, Rates, SheetRow
from mace_gov.documents.policy import Suite
from mace_gov.report.comparison_page import render_comparison, show_comparison, size, table
from tests import factories

PIXEL = "data:image/png;base64,AAAA"


def made(**overrides) -> MethodComparison:
    rates = Rates(acc_e=factories.estimate(0, 60), acc_s=factories.estimate(118, 120), near=factories.estimate(40, 50),
                  h=Interval(value=0.99, low=0.953, high=0.997))
    rows = [
        MethodRow(method="mace", rates=rates, retention=factories.estimate(110, 118), seconds=12.5,
                  peak_bytes=1_500_000_000, delta_bytes=11_200_000, warnings=["the masks cover 95% of the pictures"]),
        MethodRow(method="nullspace", problem="nullspace: nothing is preserved"),
    ]
    fields = {"created": factories.CREATED, "policy_name": "<b>ten</b>", "policy_version": "1.0.0",
              "policy_digest": "0" * 64, "base_ref": "embedded", "base_digest": "1" * 64, "concepts": 10,
              "confidence": 0.95, "base": Rates(acc_e=factories.estimate(59, 60)), "rows": rows, "environment": {}}
    return MethodComparison(**{**fields, **overrides})


SHEET = [SheetRow(Suite.DIRECT, "ship", "a <i>ship</i>", 7, False, {"base": (PIXEL, True), "mace": (PIXEL, False)})]


def test_the_page_holds_figures_intervals_pictures_and_no_outside_markup(tmp_path):
    render_comparison(made(), SHEET, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "99.0\u00a0%" in page and "95.3\u00a0% to 99.7\u00a0%" in page and "1.5\u00a0GB" in page
    assert "12.5\u00a0s" in page and "11.2\u00a0MB" in page
    assert "<b>nullspace</b> refused: nullspace: nothing is preserved" in page
    assert "&lt;b&gt;ten&lt;/b&gt;" in page and "<b>ten" not in page and "<i>ship" not in page
    assert page.count(PIXEL) == 2
    assert "<script" not in page and not re.search(r"(src|href)=\"(?!data:)", page)
    assert MethodComparison.from_json(json.loads((tmp_path / "comparison.json").read_text())) == made()
    render_comparison(made(), SHEET, tmp_path)
    assert (tmp_path / "index.html").read_text() == page


def test_differences_between_methods_are_said_with_their_p_values(tmp_path):
    rows = [*made().rows, made().rows[0].model_copy(update={"method": "uce", "p_values": {Suite.UNRELATED: 0.0123}})]
    out = io.StringIO()
    show_comparison(made(rows=rows), tmp_path, console=Console(file=out, width=200))
    assert "uce against mace  unrelated prompts  0.012" in out.getvalue()
    for comparison, said in ((made(rows=rows), True), (made(), False)):
        render_comparison(comparison, [], tmp_path)
        assert ("McNemar" in (tmp_path / "index.html").read_text()) is said


def test_every_row_has_a_cell_for_every_heading_and_refusals_have_none():
    rows = table(made())
    assert [name for name, _ in rows] == ["base model", "mace"]
    assert {len(cells) for _, cells in rows} == {9}
    assert rows[1][1][2] == ("not asked", "")  # no synonyms


def test_the_terminal_says_the_same_and_where_the_page_lies(tmp_path):
    out = io.StringIO()
    show_comparison(made(), tmp_path / "index.html", console=Console(file=out, width=200))
    told = out.getvalue()
    assert "99.0 %" in told and "95.3 % to 99.7 %" in told and "0.0 % to" in told
    assert "nullspace: refused: nullspace: nothing is preserved" in told
    assert "mace: the masks cover 95% of the pictures" in told and str(tmp_path) in told


def test_sizes_read_well():
    assert [size(n) for n in (999, 11_240_000, 2_000_000_000)] == ["999\u00a0B", "11.2\u00a0MB", "2\u00a0GB"]
