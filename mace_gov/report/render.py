"""The report stage's verb: write a report folder."""

from __future__ import annotations

from pathlib import Path

from mace_gov.core.atomic import write_bytes, write_text
from mace_gov.documents.report import Report
from mace_gov.report.card import CARD, model_card
from mace_gov.report.evidence_pictures import read_evidence_picture
from mace_gov.report.html import page

PAGE, DOCUMENT = "index.html", "report.json"


def render(report: Report, evidence_folder: Path, out: Path) -> None:
    """Write ``out/report.json`` (canonical), ``out/index.html``, which derives from it and the pictures alone, and
    the model card ``out/README.md``.

    ``evidence_folder`` holds the pictures that the audit lists. A missing picture leaves a placeholder; one that is
    not the picture that was signed for, or whose name leads out of the folder, raises IntegrityError, and nothing is
    written.
    """
    audit = report.evidence.audit
    names = dict.fromkeys(name for pair in audit.thumbnails for name in (pair.base, pair.governed))
    pictures = {name: read_evidence_picture(evidence_folder, name, audit.files) for name in names}
    document = report.canonical()
    read = Report.model_validate_json(document)
    text, card = page(read, pictures), model_card(read)
    write_bytes(out / DOCUMENT, document)
    write_text(out / PAGE, text)
    write_text(out / CARD, card)
