"""Take the pictures of the pages that stand in docs/pictures: ``python docs/take_pictures.py PASSED REVIEWED LINK``.

PASSED and REVIEWED are the index.html of two reports, the second with violations; LINK is what ``mace-gov review``
printed for a version on which its reviewer has labelled nothing. Needs Chromium and Playwright (extra ``dev``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from mace_gov.report.pdf import find_chromium

OUT = Path(__file__).with_name("pictures")
PHONE = (390, 844)


def take(tab: Any, name: str, size: tuple[int, int], at: str | None = None, **media: str) -> None:
    """What a window of ``size`` shows from the element ``at`` on; of a whole page where its height is 0."""
    tab.emulate_media(**media)
    tab.set_viewport_size({"width": size[0], "height": size[1] or 800})
    if at:
        tab.locator(at).first.evaluate("one => one.scrollIntoView()")
    tab.wait_for_timeout(500)  # pictures below the window are decoded when they come into it
    tab.screenshot(path=OUT / f"{name}.png", full_page=not size[1])


def reports(tab: Any, passed: Path, reviewed: Path) -> None:
    """The report: its verdict, its violations, a trial on a telephone, its heat map in the dark, on paper."""
    tab.goto(passed.resolve().as_uri())
    take(tab, "report-desktop", (1200, 800))
    tab.goto(reviewed.resolve().as_uri())
    take(tab, "report-pictures", (1200, 1000), "#pictures")
    take(tab, "report-dark", (1200, 800), "#concepts", color_scheme="dark")
    tab.locator(".trial").first.evaluate("one => one.open = true")
    take(tab, "report-trial", PHONE, ".pair", color_scheme="light")
    tab.evaluate("scrollTo(0, 0)")
    take(tab, "report-print", (794, 1123), media="print")


def review(tab: Any, link: str) -> None:
    """The queue after eight labels, wide and on a telephone, and the decision."""
    tab.emulate_media(media="screen")
    tab.goto(link)
    tab.get_by_role("link", name="Label pictures").click()
    for n in range(8):
        tab.wait_for_selector("#labels[aria-busy=false]")
        tab.keyboard.press("12"[n % 2])
        tab.wait_for_function("n => document.getElementById('count').textContent.startsWith(n)", arg=f"{n + 1} ")
    take(tab, "queue", (1000, 860))
    take(tab, "queue-phone", PHONE)
    with tab.expect_popup() as opened:
        tab.get_by_role("link", name="Report").click()
    opened.value.close()
    tab.get_by_role("link", name="Decision").click()
    take(tab, "decision", (1000, 0))
    tab.get_by_role("link", name="Registry").click()
    take(tab, "registry", (1000, 0))


if __name__ == "__main__":
    with sync_playwright() as made:
        page = made.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"]).new_page()
        reports(page, Path(sys.argv[1]), Path(sys.argv[2]))
        review(page, sys.argv[3])
