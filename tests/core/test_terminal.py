"""Nothing that comes from outside acts on a terminal or on a build server; nothing of it is lost either."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from mace_gov.core.console import Console
from mace_gov.core.terminal import Guarded, guarded, harmless, printable, write_document

ACTS = {
    "an escape": "\x1b[2J", "a title": "\x1b]0;owned\x07", "a link": "\x1b]8;;https://example.org\x1b\\x",
    "C1": "\x9b31m", "a carriage return": "PASS\rFAIL", "a backspace": "FAIL\b\b\b\bPASS", "delete": "\x7f",
    "turned round": "\u202ecod.exe", "isolated": "\u2066x\u2069", "zero width": "pass\u200bed", "a line": "a\u2028b",
    "half a pair": "\ud800", "null": "\0", "a tab": "a\tb", "a tag": "\U000e0041",
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", ACTS.values(), ids=list(ACTS))
def test_what_acts_is_shown_as_its_escape(text):
    shown = printable(text)
    assert shown.isprintable() and shown != text
    assert all(f"{ord(char):04x}" in shown for char in text if not char.isprintable())


def test_blanks_of_any_width_are_a_blank():
    assert printable("5\u00a0%\u3000a\u202fb\n") == "5 % a b\\u000a"


@given(st.text(st.characters(), max_size=40))
def test_whatever_is_written_is_visible_or_a_line_end(text):
    out = io.StringIO()
    Guarded(out).write(text)
    assert all(c == "\n" or c.isprintable() for c in out.getvalue())
    assert not any(unicodedata.category(c).startswith("C") for c in out.getvalue() if c != "\n")


@pytest.mark.parametrize("text", ["::error::x", "  ::set-output name=a::b", "a\n::add-mask::b", "x ##[set-env name=A]b",
                                  "##vso[task.setvariable variable=a]b", "##teamcity[x]", "ok ##[error]"])
def test_no_line_is_a_command_to_a_build_server(text):
    shown = harmless(text)
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert not any(mark in shown for mark in ("##[", "##vso[", "##teamcity["))


def test_a_command_is_no_command_either_when_it_is_written_in_pieces():
    out = io.StringIO()
    stream = Guarded(out)
    for piece in ("a", "::b", "\n", "::error::c\n"):
        stream.write(piece)
    assert out.getvalue() == "a::b\n\\u003a:error::c\n"


def test_the_streams_are_guarded_for_the_block_alone(capsys):
    before = sys.stdout, sys.stderr
    with guarded():
        print("\x1b[31mred", "\u202ex", file=sys.stderr)
        print("\x1b[31mred")
        write_document("::error file=a::b\n")
    assert (sys.stdout, sys.stderr) == before
    seen = capsys.readouterr()
    assert seen.out == "\\u001b[31mred\n::error file=a::b\n" and seen.err == "\\u001b[31mred \\u202ex\n"


def test_what_an_encoding_lacks_is_escaped(monkeypatch):
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", raw)
    with guarded():
        print("caf\xe9 \u4e16")
        Console().print(Text("\u2026 \u4e16"))
    assert raw.buffer.getvalue() == b"caf\\xe9 \\u4e16\n\\u2026 \\u4e16\n"


@pytest.mark.parametrize("text", ACTS.values(), ids=list(ACTS))
def test_rich_shows_no_escape_but_its_own(text):
    out = Terminal()
    console = Console(file=out, width=200, color_system="truecolor")
    table = Table("head", text)
    table.add_row(text, Text(text, style="bold red"))
    console.print(table, text, Text(text), f"[link=https://example.org]{text}[/link] :bomb:")
    console.print(Progress(TextColumn("{task.description}", markup=False), console=console).make_tasks_table([]))
    shown = out.getvalue()
    bare = shown.replace("\x1b[1;31m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert all(c == "\n" or c.isprintable() for c in bare)
    assert "[link=https://example.org]" in shown and ":bomb:" in shown and "\x1b]8" not in shown


def test_rich_keeps_its_colours_beside_guarded_prints(monkeypatch):
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr("rich.console.Console._environ", {"TERM": "xterm-256color"}, raising=False)
    with guarded():
        Console(color_system="standard").print(Text("a", style="red"))
        print("\x1b[31mb")
    assert out.getvalue() == "\x1b[31ma\x1b[0m\n\\u001b[31mb\n"


def test_a_library_s_progress_bar_stays_on_its_line_and_becomes_lines_in_a_log():
    terminal, log = Terminal(), io.StringIO()
    for out in (terminal, log):
        bar = Guarded(out)
        for piece in ("\r 10%", "\r 20%\x1b[2J", "\n\x1b[A"):
            bar.write(piece)
    assert terminal.getvalue() == "\r 10%\r 20%\\u001b[2J\n\x1b[A"
    assert log.getvalue() == " 10%\n 20%\\u001b[2J\n"


def test_a_line_cannot_begin_as_a_progress_bar():
    terminal = Terminal()
    Guarded(terminal).write("\rPASS\n")
    assert terminal.getvalue() == "\\u000dPASS\n"
