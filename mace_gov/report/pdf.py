"""The report's page as a PDF, printed by Chromium or else by WeasyPrint: tagged, with an outline, without a network."""

from __future__ import annotations

import importlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import ModuleType

from mace_gov.core.errors import IncompleteError

PRINTED = "report.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
"""What the browser is called, first that is found."""
SECONDS = 300
"""Longest that printing may take; a report of 3,000 pictures takes some ten."""
HINT = ("Install Chromium (`apt-get install chromium`), or WeasyPrint with the libraries of Pango (`pip install "
        "'mace-gov[pdf]'`, `apt-get install libpango-1.0-0 libpangoft2-1.0-0`), or print the page in a browser.")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_ROOT = re.compile(r":root\s*\{(.*?)\}", re.DOTALL)
_DRAWN = re.compile(r"^\s*(?:svg|\.(?:mark|track|axis|lineage))\b[^{}@]*\{[^{}]*\}", re.MULTILINE)


def find_chromium() -> str | None:
    """Where Chromium or a browser made from it lies; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def require_chromium() -> str:
    """Where Chromium lies. Raises IncompleteError where there is none."""
    if (found := find_chromium()) is None:
        raise IncompleteError("no Chromium was found, expected one to print the PDF with", hint=HINT)
    return found


def find_weasyprint() -> ModuleType | None:
    """The package, None where it or the libraries that it needs are missing. Imported late: it takes a second."""
    try:
        return importlib.import_module("weasyprint")
    except (ImportError, OSError):
        return None


def require_printer() -> None:
    """Raises IncompleteError where nothing can print a page."""
    if find_chromium() is None and find_weasyprint() is None:
        raise IncompleteError("neither Chromium nor WeasyPrint was found, expected one to print the PDF with",
                              hint=HINT)


def write_pdf(page: Path, out: Path) -> None:
    """Print ``page`` into the file ``out``.

    Raises IncompleteError where there is nothing to print with, or when it prints nothing.
    """
    if find_chromium() is not None:
        _by_chromium(page, out)
    elif (weasyprint := find_weasyprint()) is not None:
        _by_weasyprint(weasyprint, page, out)
    else:
        require_printer()


def _by_weasyprint(weasyprint: ModuleType, page: Path, out: Path) -> None:
    # It styles a drawing by the style sheets inside of it alone, and knows no variables there.
    text = page.read_text("utf-8")
    css = "".join(_STYLE.findall(text))
    known = dict(re.findall(r"(--[\w-]+):\s*([^;}]+)", "".join(_ROOT.findall(css)[:1])))
    drawn = "".join(_DRAWN.findall(css))
    drawn = re.sub(r"var\((--[\w-]+)\)", lambda found: known.get(found[1], "currentColor"), drawn)
    text = re.sub(r"<svg\b[^>]*>", lambda found: f"{found[0]}<style>{drawn}</style>", text)

    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # it names every property that it does not know
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"])  # the page holds all that it shows
    try:
        weasyprint.HTML(string=text, url_fetcher=fetcher).write_pdf(str(out), pdf_variant="pdf/ua-1")
    except Exception as error:  # a library for arbitrary pages raises whatever it meets
        raise IncompleteError(f"WeasyPrint did not print {page}: {error}", hint=HINT) from error


def _by_chromium(page: Path, out: Path) -> None:
    chromium = require_chromium()
    with tempfile.TemporaryDirectory(prefix="mace-gov-pdf-") as profile:
        command = [
            chromium, "--headless", "--disable-gpu", "--disable-extensions", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}",
            "--no-pdf-header-footer", "--export-tagged-pdf", "--generate-pdf-document-outline",
            # Its sandbox needs rights that root in a container does not have; the page is our own and runs offline.
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            f"--print-to-pdf={out.resolve()}", page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise IncompleteError(f"{chromium} did not print {page}: {error}", hint=HINT) from error
    if done.returncode or not out.is_file() or not out.read_bytes().startswith(b"%PDF-"):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise IncompleteError(f"{chromium} did not print {page}: {last}", hint=HINT)
