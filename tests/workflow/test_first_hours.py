"""The pages of the first hours, run line by line: commands and Python, on the tiny model with planted pictures."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from mace_gov.cli import main
from tests.test_docs import ROOT, blocks
from tests.workflow.planting import World, policy_file

PAGES = ROOT / "docs/first-hour"
LONG = {"compare": "tests/workflow/test_comparing.py", "tune": "tests/workflow/test_tuning.py",
        "review": "tests/cli/test_review.py"}
"""Commands that are not run here: they take minutes, or do not end; a test of their own runs each."""


@pytest.fixture
def place(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A registry of its own: a page may end with a recall."""
    made = World(tiny_model, tmp_path, monkeypatch)
    made.plant()
    return made


@pytest.fixture
def hour(place: World, monkeypatch: pytest.MonkeyPatch):
    """Runs a page in the world's folder; a policy that was copied is then a small one of the same name."""
    monkeypatch.chdir(place.root)

    def typed(line: str) -> None:
        words = shlex.split(line, comments=True)[1:]
        if words[0] in LONG:
            return
        monkeypatch.setattr(sys, "argv", ["mace-gov", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = re.search(r"# exit code (\d)", line)
        assert ended.value.code == (int(said[1]) if said else 0), line
        if words[:2] == ["policy", "init"]:
            _small(Path("policies", f"{words[2]}.yaml"), place)

    def run(page: str) -> dict[str, object]:
        names: dict[str, object] = {}
        for block in blocks(PAGES / page):
            if block.startswith("mace-gov"):
                for line in block.splitlines():
                    typed(line)
            elif not block.startswith("method:"):  # that is YAML, see test_docs
                exec(block, names)
        return names

    return run


def _small(file: Path, place: World) -> Path:
    """Let the policy be that of the planted world."""
    made = json.loads(policy_file(place.root).read_text("utf-8"))
    made["metadata"]["name"], made["spec"]["model"] = file.stem, {"ref": str(place.model)}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(made), "utf-8")
    return file


def test_what_is_not_run_here_has_a_test() -> None:
    assert all((ROOT / test).is_file() for test in LONG.values())


def test_a_release_engineer(hour, place: World) -> None:
    assert hour("release-engineer.md")["pipe"] is not None
    assert {"gate.xml", "gate.sarif"} <= {path.name for path in place.root.iterdir()}


def test_a_reviewer(hour, place: World) -> None:
    assert place.apply().version == "nsfw/1"
    hour("reviewer.md")


def test_an_auditor(hour, place: World) -> None:
    place.apply(_small(place.root / "policies/nsfw.yaml", place))
    assert hour("auditor.md")["found"].checks
    assert (place.root / "rules.csv").is_file()


def test_a_researcher(hour) -> None:
    names = hour("researcher.md")
    assert names["pipe"] is not None and names["evidence"].erasure.systems
