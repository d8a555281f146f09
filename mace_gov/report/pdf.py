"""The report's page as a PDF, printed by Chromium or else by WeasyPrint: tagged, with an outline, without a network."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mace_gov.core.errors import IncompleteError

PRINTED = "report.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
"""What the browser is called, first that is found."""
SECONDS = 300
"""Longest that printing may take; a report of 3,000 pictures takes some ten."""
HINT = ("Install Chromium (`apt-get install chromium`), or WeasyPrint with the libraries of Pango (`pip install "
        "'mace-gov[pdf]'`, `apt-get install libpango-1.0-0 libpangoft2-1.0-0`), or print the page in a browser.")


def find_chromium() -> str | None:
    """Where Chromium or a browser made from it lies; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def require_chromium() -> str:
    """Where Chromium lies. Raises IncompleteError where there is none."""
    if (found := find_chromium()) is None:
        raise IncompleteError("no Chromium was found, expected one to print the PDF with", hint=HINT)
    return found


def find_weasyprint() -> bool:
    """Whether WeasyPrint and the libraries that it needs are there. Asked of another process, see ``print_page``."""
    if importlib.util.find_spec("weasyprint") is None:
        return False
    command = [sys.executable, "-P", "-c", "import weasyprint"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def require_printer() -> None:
    """Raises IncompleteError where nothing can print a page."""
    if find_chromium() is None and not find_weasyprint():
        raise IncompleteError("neither Chromium nor WeasyPrint was found, expected one to print the PDF with",
                              hint=HINT)


def write_pdf(page: Path, out: Path) -> None:
    """Print ``page`` into the file ``out``.

    Raises IncompleteError where there is nothing to print with, or when it prints nothing.
    """
    if find_chromium() is not None:
        _by_chromium(page, out)
    else:
        require_printer()
        by_weasyprint(page, out)


def by_weasyprint(page: Path, out: Path) -> None:
    """See ``write_pdf``."""
    command = [sys.executable, "-P", "-m", "mace_gov.report.print_page", str(page.resolve()), str(out.resolve())]
    _run("WeasyPrint", command, page, out)


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
        _run(chromium, command, page, out)


def _run(program: str, command: Sequence[str], page: Path, out: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IncompleteError(f"{program} did not print {page}: {error}", hint=HINT) from error
    if done.returncode or not out.is_file() or not out.read_bytes().startswith(b"%PDF-"):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise IncompleteError(f"{program} did not print {page}: {last}", hint=HINT)
