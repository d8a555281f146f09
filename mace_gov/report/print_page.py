"""``python -m mace_gov.report.print_page PAGE OUT``: a report's page as a PDF, by WeasyPrint.

A process of its own, for WeasyPrint changes what the whole process takes for a picture: from its import on Pillow reads
files that were cut off.
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
from pathlib import Path
from typing import Any

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_ROOT = re.compile(r":root\s*\{(.*?)\}", re.DOTALL)
_DRAWN = re.compile(r"^\s*(?:svg|\.(?:mark|track|axis|lineage))\b[^{}@]*\{[^{}]*\}", re.MULTILINE)


def _with_drawings_styled(page: str) -> str:
    """The page with the rules for its drawings inside of them: WeasyPrint styles a drawing by those alone, and knows no
    variables there."""
    css = "".join(_STYLE.findall(page))
    known = dict(re.findall(r"(--[\w-]+):\s*([^;}]+)", "".join(_ROOT.findall(css)[:1])))
    drawn = "".join(_DRAWN.findall(css))
    drawn = re.sub(r"var\((--[\w-]+)\)", lambda found: known.get(found[1], "currentColor"), drawn)
    return re.sub(r"<svg\b[^>]*>", lambda found: f"{found[0]}<style>{drawn}</style>", page)


def main(page: Path, out: Path) -> None:
    """Print ``page`` into ``out``, tagged. Nothing is fetched: the page holds all that it shows."""
    weasyprint: Any = importlib.import_module("weasyprint")  # publishes no types
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # it names every property that it does not know
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"])
    text = _with_drawings_styled(page.read_text("utf-8"))
    weasyprint.HTML(string=text, url_fetcher=fetcher).write_pdf(str(out), pdf_variant="pdf/ua-1")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
