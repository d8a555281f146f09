"""The page as a PDF: printed by the machine's Chromium, part of what is signed; a clear word where there is none."""

from __future__ import annotations

import re
import sys
import zlib
from pathlib import Path

import pytest

from mace_gov.attest.keys import registry_trust
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.report.pdf import PRINTED, by_weasyprint, find_chromium, find_weasyprint
from mace_gov.workflow.reporting import report_again
from tests import factories

needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")


needs_weasyprint = pytest.mark.skipif(not find_weasyprint(), reason="no WeasyPrint, or no Pango for it, here")


def unpacked(data: bytes) -> bytes:
    """What a PDF's deflated streams hold."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    return b"".join(zlib.decompressobj().decompress(each) for each in streams if each[:1] == b"x")


@pytest.mark.parametrize("printer", [pytest.param("chromium", marks=needs_chromium),
                                     pytest.param("weasyprint", marks=needs_weasyprint)])
def test_the_pdf_is_tagged_and_signed_with_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printer: str
) -> None:
    if printer == "weasyprint":
        monkeypatch.setattr("mace_gov.report.pdf.find_chromium", lambda: None)
    signed = factories.version_folder(tmp_path, complete=True)
    folder, _ = report_again(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None, pdf=True)
    data = (folder / PRINTED).read_bytes()
    read = data + unpacked(data)
    assert data.startswith(b"%PDF-") and b"/StructTreeRoot" in read and re.search(rb"/Marked\s+true", read)
    assert b"/Lang" in read and b"/Outlines" in read
    assert len(re.findall(rb"/Subtype\s*/Image", read)) >= 2, "pictures below the fold are printed, too"
    trust = registry_trust(signed.registry)
    assert verify(folder, key=trust, registry=signed.registry).verdict
    (folder / PRINTED).write_bytes(data + b"\n")
    with pytest.raises(IntegrityError, match=PRINTED):
        verify(folder, key=trust, registry=signed.registry)


@needs_weasyprint
def test_weasyprint_draws_in_the_page_s_colours_and_fetches_nothing(tmp_path: Path) -> None:
    page, secret = tmp_path / "page.html", tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9" fill="#405060"/></svg>')
    drawing = '<svg class="track" width="60" height="20"><rect class="met" width="60" height="20"/></svg>'
    style = "<style>:root { --met: #102030; }\n.track .met { fill: var(--met); }</style>"
    more = f'<img src="{secret.as_uri()}" alt="x">'
    page.write_text(f'<html lang="en"><head><title>t</title>{style}</head><body>{drawing}{more}</body></html>')
    by_weasyprint(page, tmp_path / "page.pdf")
    printed = unpacked((tmp_path / "page.pdf").read_bytes())
    assert b"0.062745 0.12549 0.188235 rg" in printed
    assert b"0.25098" not in printed
    assert "weasyprint" not in sys.modules, "it would have Pillow read pictures that were cut off"


def test_without_a_printer_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mace_gov.report.pdf.find_weasyprint", lambda: False)
    signed = factories.version_folder(tmp_path, complete=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IncompleteError, match="neither Chromium nor WeasyPrint was found") as error:
        report_again(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None, pdf=True)
    assert "apt-get install chromium" in error.value.hint
    assert not (tmp_path / "reports").exists()


def test_a_browser_that_prints_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "chromium"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'no display' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    signed = factories.version_folder(tmp_path, complete=True)
    with pytest.raises(IncompleteError, match="no display"):
        report_again(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None, pdf=True)
    assert not (tmp_path / "reports" / "nsfw-v1").exists()
