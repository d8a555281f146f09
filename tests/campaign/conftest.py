"""A command, typed, that must fail without a traceback and without writing anything."""

from __future__ import annotations

import sys

import pytest

from mace_gov.cli import main


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def _run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mace-gov", *map(str, arguments)])
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as caught:
            main()
        seen = capsys.readouterr()
        assert "Traceback" not in seen.err and "internal error" not in seen.err
        assert sorted(tmp_path.rglob("*")) == before, "nothing is written"
        return caught.value.code, seen.out, seen.err

    return _run
