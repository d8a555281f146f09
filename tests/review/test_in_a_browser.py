"""The review as a person does it: clicked and typed, in a real browser."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mace_gov.attest.keys import ensure_key_pair, pin, registry_trust
from mace_gov.attest.sign import sign_report
from mace_gov.attest.verify import verify
from mace_gov.documents.trust import Role
from mace_gov.review.desk import open_subject
from tests import factories
from tests.factories import SignedVersion
from tests.review.serving import TRIALS, Running, key_of, running, version

WIDTHS = (320, 390, 1400)


@pytest.fixture
def pages(tmp_path: Path, signed: SignedVersion) -> Iterator[Running]:
    with running(tmp_path, signed) as made:
        yield made


def come_in(tab: Any, pages: Running) -> None:
    """Open the one-time link, which goes on to the overview."""
    tab.goto(pages.link)
    tab.get_by_role("heading", name="Overview").wait_for()


def serious(tab: Any) -> list[str]:
    """What axe-core finds that keeps people out: in light, on a telephone, and of colours in dark."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    found = []
    for scheme, width, options in (("light", 1400, None), ("light", 320, None),
                                   ("dark", 1400, {"runOnly": ["color-contrast"]})):
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size({"width": width, "height": 800})
        found += [f"{scheme} {width}: {each['id']}: {node['target']}"
                  for each in axe.Axe().run(tab, options=options).response["violations"]
                  if each["impact"] in ("serious", "critical") for node in each["nodes"]]
    return found


def sideways(tab: Any) -> list[int]:
    """Widths at which a page can be scrolled sideways."""
    wide = []
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 800})
        if tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(width)
    return wide


def test_a_review_from_the_link_to_a_decision_that_verifies(tab: Any, pages: Running, signed: SignedVersion) -> None:
    come_in(tab, pages)
    tab.get_by_role("link", name="Label pictures").click()
    for n, key in enumerate("12" * (len(TRIALS) // 2), 1):
        before = tab.locator("#item").get_attribute("value")
        tab.wait_for_selector("#labels[aria-busy=false]")
        tab.keyboard.press(key)
        tab.wait_for_function("before => document.getElementById('item')?.value !== before", arg=before)
        if n < len(TRIALS):
            assert tab.locator("#count").text_content() == f"{n} of {len(TRIALS)}"
    tab.get_by_text("Every picture has a label").wait_for()
    tab.get_by_role("button", name="End the labelling and compare").click()
    tab.get_by_role("rowheader", name="all detectors together").wait_for()
    decide(tab, "Conditional", "after the synonyms are mended")
    with running(signed.registry.parent, signed, reviewer="Bob") as second:
        other = tab.context.browser.new_context().new_page()
        other.set_default_timeout(180_000)
        come_in(other, second)
        assert f"0 pictures of {len(TRIALS)}" in other.locator("main").inner_text(), "a queue of his own"
        decide(other, "Approve", "the synonyms are mended")
        other.context.close()
    said, later = verify(signed.folder, key=registry_trust(signed.registry), registry=signed.registry).sign_offs
    assert (said.decision, said.reviewer, said.reason) == ("conditional", "Ada", "after the synonyms are mended")
    assert (later.decision, later.reviewer, later.review_digest) == ("approve", "Bob", None)
    assert said.report_digest == factories.sha256_file(pages_report(signed)) and said.review_digest
    assert tab.said == []
    assert {url.partition("/")[0] + url.split("/")[2] for url in tab.asked if url.startswith("http")} == {
        f"http:127.0.0.1:{pages.port}"}


def decide(tab: Any, decision: str, reason: str) -> None:
    """Open the report, then sign."""
    tab.get_by_role("link", name="Decision").click()
    with tab.expect_popup() as opened:
        tab.get_by_role("link", name="open the report").click()
    opened.value.get_by_role("heading", name="Rules").first.wait_for()
    opened.value.close()
    tab.reload()
    tab.get_by_role("radio", name=re.compile(f"^{decision}")).check()
    tab.get_by_label("In which capacity").fill("safety")
    tab.get_by_label("Why, or on which condition").fill(reason)
    tab.get_by_role("button", name="Sign the decision").click()
    tab.get_by_role("heading", name=f"Signed: {decision.lower()}").wait_for()


def pages_report(signed: SignedVersion) -> Path:
    return signed.registry.parent / "reports" / "nsfw-v1" / "report.dsse.json"


def test_without_script_the_buttons_do_the_same(browser: Any, pages: Running) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    come_in(tab, pages)
    tab.goto(pages.at("/queue"))
    tab.get_by_role("button", name="Absent").click()
    assert tab.locator("#count").text_content() == f"1 of {len(TRIALS)}"
    context.close()


@dataclass
class Elsewhere:
    """Another site, and another server on this machine's own address; what browsers sent it."""

    port: int
    cookies: list[str] = field(default_factory=list)


@pytest.fixture
def elsewhere(pages: Running) -> Iterator[Elsewhere]:
    """Another site on this machine, which links to the pages, frames them and sends them forms."""
    made = Elsewhere(0)
    text = (f"<a href='{pages.link}'>a link from another site</a><iframe src='{pages.at('/')}'></iframe>"
            f"<form method='post' action='{pages.at('/sign')}'><input name='decision' value='approve'>"
            "<button>Win a prize</button></form>").encode()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.cookies.append(self.headers.get("Cookie", ""))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        made.port = site.server_address[1]
        yield made
        site.shutdown()


def test_another_site_can_neither_frame_the_pages_nor_send_their_forms(
    tab: Any, pages: Running, elsewhere: Elsewhere, signed: SignedVersion
) -> None:
    other = f"http://localhost:{elsewhere.port}/"
    tab.goto(other)
    tab.get_by_role("link", name="a link from another site").click()
    tab.get_by_role("heading", name="Overview").wait_for()
    tab.goto(f"http://127.0.0.1:{elsewhere.port}/")
    assert elsewhere.cookies and not any(elsewhere.cookies), "cookies know no ports: another server was sent this one's"
    tab.goto(other)
    framed = tab.frames[1]
    framed.wait_for_load_state()
    assert "mace-gov" not in framed.content()
    with tab.expect_navigation() as sent:
        tab.get_by_role("button", name="Win a prize").click()
    assert sent.value.status == 403
    assert not (signed.folder / "sign-offs").exists()


def test_a_report_that_its_author_made_to_sign_itself_does_not(tab: Any, tmp_path: Path) -> None:
    signed = version(tmp_path)
    page = pages_report(signed).with_name("index.html")
    page.write_text("""<!doctype html><meta http-equiv="Content-Security-Policy" content="script-src 'unsafe-inline'">
    <title>A report</title><form method="post" action="close"></form><a href="decide">here</a><script>
    document.title = "it ran";
    fetch("decide").then((answer) => answer.text()).then((text) => {
      const form = new DOMParser().parseFromString(text, "text/html").querySelector(".sign-form");
      const body = new URLSearchParams(new FormData(form));
      for (const [name, value] of [["decision", "approve"], ["role", "x"], ["reason", "x"]]) body.set(name, value);
      return fetch("sign", { method: "POST", body });
    }).then(() => { document.title = "it signed"; });
    </script>""", "utf-8")
    sign_report(page.parent, ensure_key_pair(signed.registry))
    with running(tmp_path, signed) as pages:
        come_in(tab, pages)
        tab.goto(pages.at("/report"))
        assert (tab.title(), tab.evaluate("window.origin")) == ("A report", "null")
    assert not (signed.folder / "sign-offs").exists()


def test_a_wrong_link_opens_nothing(tab: Any, pages: Running) -> None:
    assert tab.goto(pages.at("/open?token=wrong")).status == 403
    assert tab.goto(pages.at("/queue")).status == 401


def test_no_page_keeps_people_out_or_scrolls_sideways(
    tab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factories, "manifest", partial(factories.manifest, embedded=False))
    signed = version(tmp_path)
    lines = b"".join(each.canonical() + b"\n" for each in TRIALS)
    factories.version_folder(tmp_path, number=2, weights=b"other weights", trials=lines, complete=True)
    pin(signed.registry, key_of(tmp_path / "keys", "Long").public, role=Role.REVIEWER, name="N" * 119)
    with running(tmp_path, signed, reviewer="Long") as pages:
        come_in(tab, pages)
        problems = {}
        item = next(iter(open_subject(signed.folder, registry=signed.registry, reports=tmp_path / "reports",
                                      key=None).items))
        for path in ("/", "/queue", "/agreement", "/trials", f"/trial?item={item}", "/report", "/decide", "/registry",
                     "/compare", "/compare?one=nsfw/1&two=nsfw/2", "/nowhere"):
            tab.goto(pages.at(path))
            problems[path, "axe"] = serious(tab)
            problems[path, "sideways"] = sideways(tab)
            if path == "/queue":
                tab.get_by_role("button", name="End the labelling and compare").click()
                tab.get_by_role("heading", name="Where you part").wait_for()
    assert {place: found for place, found in problems.items() if found} == {}
