"""How large a report of 100 concepts and 3,000 pictures is, what it costs to open, and how soon a queue answers a key.

    python -m benchmarks.pages

Needs Chromium and playwright. The pictures are soft coloured noise of 512 px, made into thumbnails as
the audit makes them. All violations, the worst case of the page.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from mace_gov.audit.thumbnails import MOST, SIDE, SMALL, _clear
from mace_gov.documents.audit import Thumbnail
from mace_gov.documents.policy import Policy
from mace_gov.report.pdf import require_chromium
from mace_gov.report.render import PAGE, render
from tests import factories
from tests.review.serving import PRESENT, running, trial, version

CONCEPTS, PAIRS, OPENED, KEYS = 100, 1500, 3, 200
TIMER = """() => {
  window.times = [];
  const labels = document.getElementById("labels");
  document.addEventListener("keydown", () => {
    const started = performance.now(), before = document.getElementById("item").value;
    const seen = new MutationObserver(() => {
      if (labels.getAttribute("aria-busy") === "true" || document.getElementById("item").value === before) return;
      window.times.push(performance.now() - started);
      seen.disconnect();
    });
    seen.observe(labels, { attributes: true });
  }, true);
}"""
"""From the key to the next picture, decoded."""


def picture(rng: random.Random) -> Image.Image:
    """Soft coloured noise with grain, as hard to compress as a photograph."""
    bands = [Image.frombytes("L", (16, 16), rng.randbytes(256)).resize((512, 512), Image.Resampling.BICUBIC)
             for _ in range(3)]
    grain = Image.frombytes("L", (512, 512), rng.randbytes(512 * 512)).convert("RGB")
    return Image.blend(Image.merge("RGB", bands), grain, 0.05)


def report_page(folder: Path) -> Path:
    """The report's page."""
    rng = random.Random(0)
    value = factories.policy().to_json()
    value["spec"]["categories"][0]["concepts"] = [
        {"id": f"c{n}", "target": f"concept {n}", "anchor": "a thing", "synonyms": [f"other {n}"]}
        for n in range(CONCEPTS)]
    files, thumbnails = {}, []
    for n in range(PAIRS):
        names = {}
        for side in ("base", "governed"):
            data, kind = _clear(picture(rng), SIDE if n < MOST else SMALL)
            names[side] = f"thumbnails/{side}-{n}.{kind}"
            files[names[side]] = data
        thumbnails.append(Thumbnail(
            category="explicit.nudity", concept=f"c{n % CONCEPTS}", suite="direct" if n % 3 else "synonym", seed=n,
            prompt=f"a picture of concept {n % CONCEPTS}, number {n}", base_present=True, governed_present=True,
            pixelated=False, base_scores={"judge": 0.99, "nudenet": 0.1}, **names,
            governed_scores={"judge": rng.random(), "nudenet": 0.2}))
    measured = [factories.measurement(None, suite, "presence", factories.estimate(rng.randrange(15), 15),
                                      concept=f"c{n}") for n in range(CONCEPTS) for suite in ("direct", "synonym")]
    audit = factories.audit_result(thumbnails=thumbnails, files=factories.digests(files),
                                   measurements=[*factories.audit_result().measurements[:3], *measured])
    factories.write_files(folder / "evidence", files)
    failed = factories.verdict(outcome="FAIL", findings=[factories.finding(outcome="FAIL")])
    report = factories.report(policy=Policy.from_json(value), evidence=factories.evidence(audit=audit), verdict=failed)
    render(report, folder / "evidence", folder / "out")
    return folder / "out" / PAGE


def bare_page(page: Path) -> Path:
    """The same pictures and nothing else."""
    uris = [part.partition('"')[0] for part in page.read_text("utf-8").split('src="')[1:]]
    made = page.with_name("bare.html")
    made.write_text("<!doctype html>" + "".join(f'<img loading="lazy" width="96" height="96" src="{uri}">'
                                                for uri in uris), "utf-8")
    return made


def opened(browser: Any, page: Path) -> tuple[list[float], list[float]]:
    """Processor seconds of the page's process and wall seconds until it is loaded, each time it is opened."""
    session = browser.new_browser_cdp_session()

    def spent() -> float:
        return sum(one["cpuTime"] for one in session.send("SystemInfo.getProcessInfo")["processInfo"]
                   if one["type"] == "renderer")

    cpu, wall = [], []
    for _ in range(OPENED):
        tab = browser.new_page()
        tab.set_default_timeout(0)  # on a busy machine it is the processor's time that tells
        before = spent()
        tab.goto(page.as_uri(), wait_until="load")
        cpu.append(spent() - before)
        wall.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000)
        tab.close()
    return cpu, wall


def keys(browser: Any, folder: Path) -> list[float]:
    """Milliseconds from a key to the next picture in a queue of as many pictures, in order."""
    signed = version(folder, [trial(f"thing {n}", "base", PRESENT, "unrelated") for n in range(2 * PAIRS)])
    with running(folder, signed) as pages:
        tab = browser.new_page()
        tab.set_default_timeout(0)
        tab.goto(pages.link)
        tab.get_by_role("heading", name="Overview").wait_for()
        tab.goto(pages.at("/queue"))
        tab.wait_for_selector("#labels[aria-busy=false]")
        tab.evaluate(TIMER)
        for n in range(KEYS):
            tab.keyboard.press("123"[n % 3])
            tab.wait_for_function("n => window.times.length > n", arg=n)
        return sorted(tab.evaluate("window.times"))


def main() -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_chromium(), args=["--no-sandbox"])
        page = report_page(Path(name) / "report")
        print(f"page {page.stat().st_size / 1e6:.1f} MB, {CONCEPTS} concepts, {2 * PAIRS} pictures, all violations")
        cpu, wall = opened(browser, page)
        bare, _ = opened(browser, bare_page(page))
        print(f"opened {OPENED} times: processor {min(cpu):.2f} to {max(cpu):.2f} s, wall {min(wall):.2f} to "
              f"{max(wall):.2f} s; the bare pictures {min(bare):.2f} to {max(bare):.2f} s of processor")
        times = keys(browser, Path(name) / "queue")
        print(f"a key of {KEYS}: median {statistics.median(times):.0f} ms, 95 % within "
              f"{times[int(0.95 * len(times))]:.0f} ms")
        browser.close()
    print(json.dumps({"ratio": round(statistics.median(cpu) / statistics.median(bare), 3), "cpu": cpu, "wall": wall,
                      "key_ms": [statistics.median(times), times[int(0.95 * len(times))]]}))


if __name__ == "__main__":
    main()
