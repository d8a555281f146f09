"""The report's page as a PDF, printed by Chromium: tagged, with an outline, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from mace_gov.core.errors import IncompleteError

PRINTED = "report.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
"""What the browser is called, first that is found."""
SECONDS = 300
"""Longest that printing may take; a report of 3,000 pictures takes some ten."""
HINT = "Install Chromium (`apt-get install chromium`), or open the page in a browser and print it to a file."


def find_chromium() -> str | None:
    """Where Chromium or a browser made from it lies; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def require_chromium() -> str:
    """Where Chromium lies. Raises IncompleteError where there is none."""
    if (found := find_chromium()) is None:
        raise IncompleteError("no Chromium was found, expected one to print the PDF with", hint=HINT)
    return found


def write_pdf(page: Path, out: Path) -> None:
    """Print ``page`` into the file ``out``.

    Raises IncompleteError where there is no Chromium, or when it prints nothing.
    """
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
