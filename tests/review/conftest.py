"""A signed version to review, and a real browser where there is one.

Debian's Chromium is driven by Playwright, which brings none of its own here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mace_gov.report.pdf import find_chromium
from tests.factories import SignedVersion
from tests.review.serving import version


@pytest.fixture
def signed(tmp_path: Path) -> SignedVersion:
    """A version with signed evidence and report, in a registry of its own."""
    return version(tmp_path)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless; the test is skipped with a word where it is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as made:
        # Chromium's own sandbox needs rights that root in a container does not have.
        opened = made.chromium.launch(executable_path=chromium,
                                      args=["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab of a fresh profile that keeps what its console says and what it asks the network for."""
    context = browser.new_context()
    context.set_default_timeout(180_000)  # no test is about how busy the machine is
    page = context.new_page()
    page.said, page.asked = [], []
    context.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: page.said.append(str(error.error)))
    context.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()
