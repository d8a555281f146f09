"""The report as it is opened from a disk: complete, silent, readable by everybody, with script and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mace_gov.documents.comparison import SheetRow
from mace_gov.documents.policy import Policy
from mace_gov.documents.terms import Suite
from mace_gov.policy.diff import diff, headline
from mace_gov.report.comparison_page import render_comparison
from mace_gov.report.policies import policies_page
from mace_gov.report.render import render
from tests import factories
from tests.report.test_comparison import PIXEL, made
from tests.report.test_shown import report_on, thumbnail
from tests.review.test_in_a_browser import serious, sideways


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A failed report with violations, losses and pictures that nobody scored."""
    factories.write_files(tmp_path / "evidence", factories.evidence_files())
    measured = [factories.measurement(None, suite, "presence", factories.estimate(hits, 20), concept=concept)
                for suite in ("direct", "synonym") for concept, hits in (("nudity", 0), ("naked", 7))]
    report = report_on(
        thumbnail("nudity", "direct", True, False), thumbnail("naked", "direct", True, True),
        thumbnail("naked", "synonym", True, True), thumbnail("a cat", "unrelated", True, False),
        thumbnail("a dog", "unrelated", True, True), thumbnail("nudity", "synonym", True, None),
        measurements=[*factories.audit_result().measurements, *measured], comparisons={"KID_judge": -12.56},
    )
    failed = factories.verdict(outcome="FAIL", findings=[factories.finding(outcome="FAIL", reasons=["7 of 20"])])
    render(report.model_copy(update={"verdict": failed}), tmp_path / "evidence", tmp_path / "out")
    return tmp_path / "out" / "index.html"


def test_it_opens_from_disk_without_a_word_or_a_request(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    assert tab.said == []
    assert [url for url in tab.asked if not url.startswith("data:")] == [page.as_uri()]
    for picture in tab.locator("img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") == 8


def test_it_keeps_nobody_out_and_never_scrolls_sideways(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    found = serious(tab)
    for each in tab.locator("details").all():
        each.evaluate("one => one.open = true")
    assert found == [] and sideways(tab) == []


def test_the_pages_of_methods_and_policies_compared_do_neither(tab: Any, tmp_path: Path) -> None:
    word = "an_uncommonly_long_word_that_no_line_of_a_telephone_has_room_for"
    sheet = [SheetRow(Suite.DIRECT, word, f"a {word}", 7, False, {"base": (PIXEL, True), "mace": (PIXEL, False)})]
    render_comparison(made(policy_name=word), sheet, tmp_path)
    before = factories.policy().to_json()
    before["spec"]["categories"][0]["concepts"][0]["synonyms"] = [word]
    first, second = Policy.from_json(before), factories.policy()
    changes = diff(first, second)
    (tmp_path / "policies.html").write_text(policies_page(first, second, headline(changes), changes), "utf-8")
    for name in ("index.html", "policies.html"):
        page = tmp_path / name
        tab.goto(page.as_uri())
        assert tab.locator("main").is_visible() and serious(tab) == [] and sideways(tab) == [], name
    assert tab.said == [] and all(url.startswith(("data:", "file:")) for url in tab.asked)


def test_pictures_are_filtered_and_the_heat_map_leads_to_the_worst(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    shown = tab.locator(".pair:visible")
    assert shown.count() == 6
    tab.get_by_label("Outcome").select_option("violation")
    assert shown.count() == 2 and tab.locator("#left").text_content() == "2 of 6 shown"
    tab.get_by_label("Asked for").select_option("synonym")
    assert shown.count() == 1 and "naked" in shown.text_content()
    tab.get_by_role("combobox", name="Concept").select_option("a dog")
    assert shown.count() == 0
    tab.locator(".heat a").first.click()
    shown.nth(5).wait_for()  # the page answers a change of its address in an event of its own
    assert shown.count() == 6, "what an anchor leads to is shown whatever the filter said"
    target = tab.locator(".pair:target")
    target.locator("summary").press("Enter")
    assert "present from 0.5" in target.locator("dl").inner_text()


def test_nothing_is_lost_without_script(browser: Any, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.locator(".pair:visible").count() == 6 and not tab.locator("#filter").is_visible()
    tab.locator(".trial summary").first.click()
    assert tab.locator(".trial dl").first.is_visible()
    context.close()
