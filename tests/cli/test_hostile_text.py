"""Text from outside on the terminal: wherever it stands, nothing of it acts, on a terminal, in a log, in ASCII."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from typer.main import get_command

from mace_gov.attest.keypair import load_public_key
from mace_gov.attest.keys import pin, revoke
from mace_gov.cli import main
from mace_gov.cli.app import app
from mace_gov.cli.progress import progress
from mace_gov.core.errors import IncompleteError
from mace_gov.core.terminal import guarded
from mace_gov.documents.trust import Role
from mace_gov.report.comparison_page import show_comparison
from tests import factories
from tests.campaign.absurd import ESCAPES, acts
from tests.campaign.test_bad_input import GOOD
from tests.report.test_comparison import made as comparison

STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[12]K|\x1b\[1A|\r")
"""Rich's colours, and what it does to draw bars again."""


class Stream(io.TextIOWrapper):
    """A standard stream in memory; a terminal if asked."""

    def __init__(self, encoding: str, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True, newline="")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def said(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(params=["a log", "a terminal", "ASCII"])
def streams(request, monkeypatch) -> tuple[Stream, Stream]:
    """Standard output and standard error."""
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    one, other = (Stream("ascii" if request.param == "ASCII" else "utf-8", request.param == "a terminal") for _ in "12")
    return one, other


@contextmanager
def _printing(streams: tuple[Stream, Stream]) -> Iterator[None]:
    # Within the test: between its phases pytest sets the streams itself.
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        yield


def _typed(monkeypatch, streams, *words: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["mace-gov", *map(str, words)])
    with pytest.raises(SystemExit) as ended, _printing(streams):
        main()
    return ended.value.code, "".join(STYLE.sub("", stream.said()) for stream in streams)


def _hostile(tmp_path: Path, case: str) -> list[object]:
    """A command in which ``ESCAPES`` stands somewhere."""
    version = factories.version_folder(tmp_path, reasons=[f"said: {ESCAPES}"])
    there = ["--registry", version.registry]
    if case == "a reason":
        return ["verify", version.folder, "--key", version.key, *there]
    if case == "a key's name" or case == "why it was revoked":
        pair = factories.version_folder(tmp_path / "other")
        pin(version.registry, load_public_key(pair.key), role=Role.REVIEWER, name="Ada")
        if case == "a key's name":
            path = version.registry / "keys" / "trust.json"
            name = "".join(char for char in ESCAPES if char >= " ")  # it may hold none of the others
            path.write_text(path.read_text().replace('"Ada"', json.dumps(name)))
            return ["keys", "list", *there]
        revoke(version.registry, load_public_key(version.key).fingerprint, ESCAPES)
        return ["verify", version.folder, "--key", version.registry / "keys" / "trust.json", *there]
    if case == "a folder's name":
        return ["verify", tmp_path / f"no{ESCAPES.replace('/', '')}", *there]
    if case == "a file's name":
        (version.folder / "model" / ESCAPES.replace("/", "")).write_bytes(b"")
        return ["verify", version.folder, "--key", version.key, *there]
    if case == "a YAML key":
        bad = tmp_path / "bad.yaml"
        bad.write_text(GOOD + f"{json.dumps(ESCAPES)}: 1\n")
        return ["policy", "lint", bad]
    if case == "a YAML value":
        bad = tmp_path / "bad.yaml"
        bad.write_text(GOOD.replace("anchor: sky", f"anchor: {json.dumps(ESCAPES.replace(chr(10), ' '))}"))
        return ["policy", "explain", bad]
    if case == "a model":
        return ["plan", Path(__file__).parents[2] / "policies" / "nsfw.yaml", "--model", f"./{ESCAPES}", *there]
    if case == "a cell":
        (tmp_path / "p.csv").write_text(f'prompt,seed\na ship,"{ESCAPES}"\n', "utf-8")
        (tmp_path / "policy.yaml").write_text(GOOD)
        return ["audit", "embedded", "--policy", tmp_path / "policy.yaml", "--prompts", tmp_path / "p.csv", *there]
    if case == "an option":
        return ["gate", version.folder, "--policy", "x", "--output", f"{ESCAPES}=x", *there]
    if case == "a command":
        return [ESCAPES]
    return ["export", tmp_path / f"{ESCAPES.replace('/', '')}.json", "--output", "csv=-"]


@pytest.mark.parametrize("case", ["a reason", "a key's name", "why it was revoked", "a folder's name", "a file's name",
                                  "a YAML key", "a YAML value", "a model", "a cell", "an option", "a command",
                                  "a report's name"])
def test_wherever_it_stands_it_is_shown(monkeypatch, tmp_path, streams, case):
    _, said = _typed(monkeypatch, streams, *_hostile(tmp_path, case))
    assert not acts(said), said
    # A phrase of a policy is kept without what cannot be seen, so that there is nothing to be shown.
    # A table's row is refused for the first character that cannot be seen, which is named.
    shown = "U+001B" if case == "a cell" else "\\u202e"
    assert shown in said or case in ("a model", "a YAML value"), said
    assert "Traceback" not in said and "internal error" not in said


def _commands() -> list[list[str]]:
    def below(command, path):
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, [*path, name])

    return list(below(get_command(app), []))


def test_every_command_s_help_is_plain_in_a_log_and_in_ascii(monkeypatch, streams):
    for path in _commands():
        code, said = _typed(monkeypatch, streams, *path, "--help")
        assert code == 0, path
        assert "Usage" in said and not acts(said), acts(said)


def test_what_goes_wrong_elsewhere_is_shown(monkeypatch, tmp_path, streams):
    def refuse(*_: object, **__: object) -> None:
        raise IncompleteError(f"the tracking server said: {ESCAPES}", hint=ESCAPES)

    monkeypatch.setattr("mace_gov.record.versions.list_versions", refuse)
    code, said = _typed(monkeypatch, streams, "registry", "list", "--registry", tmp_path)
    assert code == 3 and not acts(said) and "the tracking server said" in said


def test_progress_shows_notes_tasks_and_tables(streams):
    with _printing(streams), guarded(), progress() as shown:
        shown.start(f"task [bold]{ESCAPES}", 2)(1)
        shown.note(f"note [link=x]{ESCAPES}")
        shown.table([["a", f"[red]{ESCAPES}"], [ESCAPES, "[red]b"]])
        print(ESCAPES)
        print(ESCAPES, file=sys.stderr)
    said = "".join(STYLE.sub("", stream.said()) for stream in streams)
    assert not acts(said), acts(said)
    assert "note [link=x]" in said and "task [bold]" in said and "[red]" in said


def test_the_table_of_a_comparison_has_no_stand_ins(streams):
    with _printing(streams), guarded():
        show_comparison(comparison(), Path("index.html"))
    said = STYLE.sub("", streams[0].said())
    assert "\N{REPLACEMENT CHARACTER}" not in said and "\\u000a" not in said and "0.0 % to" in said
