"""What commands print is what they printed before: a change of output is seen as a change of tests/golden/printed.

    MACE_GOV_RENEW=1 python -m pytest tests/cli/test_printed.py     # write them anew, then read the diff

All of it is asked about one small signed version, at one moment. What no two runs share is masked: digests, keys, times
and places.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mace_gov.documents.format_info import FORMATS
from tests import factories
from tests.factories import SignedVersion
from tests.moved_clock import move_clock

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/printed"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
"""Twenty days after the version was made."""
POLICY = "policies/objects-one.yaml"
MASKS = {
    r"urn:uuid:[0-9a-f-]{36}": "urn:uuid:<uuid>",
    r"(\d\.\d{6})\d+": r"\1",  # the last digits are the machine's
    r"(?<![0-9a-f.])[0-9a-f]{12,}": "<digest>",
    r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?\b": "<time>",
    r'"(version|semanticVersion|code)": "\d+\.\d+\.\d+[^"]*"': r'"\1": "<release>"',
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SignedVersion:
    """The version, seen from the folder that holds its registry, in a terminal of one width without colours."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    move_clock(monkeypatch, NOW)
    signed = factories.version_folder(tmp_path, complete=True)
    for folder in ("policies", "tests"):  # as in a checkout
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    return signed


class Text(HTMLParser):
    """What a page says, a line for each of its blocks."""

    INLINE = frozenset({"a", "abbr", "b", "code", "em", "small", "span", "strong", "sub", "sup", "time"})
    UNSEEN = frozenset({"script", "style", "svg", "template"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts, self.unseen = [""], 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.unseen += tag in self.UNSEEN
        self.parts.append("" if tag in self.INLINE else "\n")

    def handle_endtag(self, tag: str) -> None:
        self.unseen -= tag in self.UNSEEN
        self.parts.append("" if tag in self.INLINE else "\n")

    def handle_data(self, data: str) -> None:
        self.parts.append("" if self.unseen else re.sub(r"\s+", " ", data))

    def lines(self) -> str:
        """As one text."""
        found = (line.strip() for line in "".join(self.parts).splitlines())
        return "\n".join(line for line in found if line) + "\n"


def masked(text: str, place: Path) -> str:
    """``text`` without what no two runs share; JSON is indented."""
    text = text.replace(str(ROOT), "<checkout>").replace(str(place), "<place>")
    if text.startswith("{"):
        text = json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
    for pattern, instead in MASKS.items():
        text = re.sub(pattern, instead, text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def compare(name: str, text: str) -> None:
    """Hold what was printed against the file of that name, or write it there."""
    golden = GOLDEN / name
    if os.environ.get("MACE_GOV_RENEW"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8"), f"{golden.relative_to(ROOT)} differs; see this module"


VERSION = ("registry/versions/nsfw/1", "--registry", "registry")
COMMANDS: dict[str, tuple[str, ...]] = {
    "lint": ("policy", "lint", POLICY, "policies/nsfw.yaml"),
    "lint-json": ("policy", "lint", POLICY, "--json"),
    "explain": ("policy", "explain", POLICY),
    "diff": ("policy", "diff", POLICY, "policies/objects-ten.yaml"),
    "diff-json": ("policy", "diff", POLICY, "policies/objects-ten.yaml", "--json"),
    "plan-json": ("plan", POLICY, "--registry", "empty", "--no-calibrate", "--json"),
    "verify": ("verify", *VERSION),
    "verify-json": ("verify", *VERSION, "--json"),
    "gate": ("gate", *VERSION, "--policy", "registry/versions/nsfw/1/policy.yaml"),
    "gate-json": ("gate", *VERSION, "--policy", "registry/versions/nsfw/1/policy.yaml", "--json"),
    "gate-other-policy": ("gate", *VERSION, "--policy", POLICY),
    "list": ("registry", "list", "--registry", "registry"),
    "list-json": ("registry", "list", "--registry", "registry", "--json"),
    "show": ("registry", "show", "nsfw/1", "--registry", "registry"),
    "no-such-version": ("verify", "nsfw/7", "--registry", "registry"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_what_it_printed(name: str, made: SignedVersion, run: Run, tmp_path: Path) -> None:
    code, out, err = run(*COMMANDS[name])
    parts = [f"$ mace-gov {' '.join(COMMANDS[name])}\n", masked(out, tmp_path) if out else "",
             f"--- standard error\n{masked(err, tmp_path)}" if err else "", f"--- exit code {code}\n"]
    compare(f"{name}.txt", "".join(parts))


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_what_it_said(name: str, made: SignedVersion, run: Run, tmp_path: Path) -> None:
    run("gate", *VERSION, "--policy", "registry/versions/nsfw/1/policy.yaml", "--output", f"{name}=out")
    said = (tmp_path / "out").read_text("utf-8")
    if name == "json":  # evidence and policy are what was put in
        said = json.dumps({key: value for key, value in json.loads(said).items() if key not in ("evidence", "policy")})
    compare(f"format-{name}.txt", masked(said, tmp_path))


def test_the_report_says_what_it_said(made: SignedVersion, run: Run, tmp_path: Path) -> None:
    assert run("report", "nsfw/1", "--registry", "registry", "--reports", "reports")[0] == 0
    page = (tmp_path / "reports/nsfw-v1/index.html").read_text("utf-8")
    compare("report.txt", masked(Text(page).lines(), tmp_path))
