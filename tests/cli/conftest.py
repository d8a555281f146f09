"""How the commands are run in tests."""

import sys

import pytest

from mace_gov.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    def _run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mace-gov", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        seen = capsys.readouterr()
        return caught.value.code, seen.out, seen.err

    return _run
