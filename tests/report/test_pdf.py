"""The page as a PDF: printed by the machine's Chromium, part of what is signed; a clear word where there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mace_gov.attest.keys import registry_trust
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.report.pdf import PRINTED, find_chromium
from mace_gov.workflow.reporting import report_again
from tests import factories

needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")


@needs_chromium
def test_the_pdf_is_tagged_and_signed_with_the_report(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path, complete=True)
    folder, _ = report_again(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None, pdf=True)
    data = (folder / PRINTED).read_bytes()
    assert data.startswith(b"%PDF-") and b"/StructTreeRoot" in data and re.search(rb"/Marked\s+true", data)
    assert b"/Lang" in data and b"/Outlines" in data
    assert len(re.findall(rb"/Subtype\s*/Image", data)) >= 2, "pictures below the fold are printed, too"
    trust = registry_trust(signed.registry)
    assert verify(folder, key=trust, registry=signed.registry).verdict
    (folder / PRINTED).write_bytes(data + b"\n")
    with pytest.raises(IntegrityError, match=PRINTED):
        verify(folder, key=trust, registry=signed.registry)


def test_without_chromium_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = factories.version_folder(tmp_path, complete=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IncompleteError, match="no Chromium was found") as error:
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
