"""A report holds the very files that were verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from mace_gov.core.errors import IntegrityError
from mace_gov.documents.registry import EVIDENCE_NAME, POLICY_NAME, VERDICT_NAME
from mace_gov.workflow import reporting
from tests import factories


@pytest.mark.parametrize("name", [POLICY_NAME, EVIDENCE_NAME, VERDICT_NAME])
def test_what_changes_after_it_was_verified_is_in_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = factories.version_folder(tmp_path, complete=True)
    check = reporting.release_check  # the last that reads them before they are copied

    def change_after(*args: object, **options: object) -> object:
        found = check(*args, **options)
        with (made.folder / name).open("ab") as file:
            file.write(b"\n")
        return found

    monkeypatch.setattr(reporting, "release_check", change_after)
    with pytest.raises(IntegrityError, match=f"{name}: changed after it was verified"):
        reporting.report_again(made.folder, registry=made.registry, reports=tmp_path / "reports", key=None)
    assert not list((tmp_path / "reports").rglob("*.html"))
