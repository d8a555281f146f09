"""Waivers files, read and linted."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mace_gov.core.errors import PolicyError
from mace_gov.policy.lint import lint
from mace_gov.policy.waivers import load_waivers
from tests.factories import policy, waiver, waivers_yaml

TODAY = date(2026, 11, 24)


@pytest.fixture
def write(tmp_path: Path):
    def _write(*waivers) -> Path:
        path = tmp_path / "waivers.yaml"
        path.write_bytes(waivers_yaml(*waivers))
        return path

    return _write


def test_a_good_file_loads_and_lints(write) -> None:
    path = write(waiver(), waiver(id="WAIVER-002", rule="NSFW-001"))
    assert [each.id for each in load_waivers(path, today=TODAY).document.spec.waivers] == ["WAIVER-001", "WAIVER-002"]
    assert lint(path, TODAY) == ([], [])


def test_an_expired_waiver_loads_and_does_not_lint(write) -> None:
    path = write(waiver())
    assert load_waivers(path, today=date(2027, 1, 1)).document.spec.waivers[0].expired(date(2027, 1, 1))
    [problem], _ = lint(path, date(2027, 1, 1))
    assert problem.startswith(f"{path}:") and "WAIVER-001 ended on 2026-12-31, today is 2027-01-01" in problem


def test_every_problem_comes_with_its_place(write) -> None:
    path = write(waiver(), waiver(expires_at="2099-01-01"), waiver(id="WAIVER-003", rule="NSFW-999"))
    with pytest.raises(PolicyError) as caught:
        load_waivers(path, policy=policy(severity="low"), today=TODAY)
    found = caught.value.problems
    assert all(problem.startswith(f"{path}:") for problem in found)
    text = "\n".join(found)
    for expected in ("'WAIVER-001' a second time", "expected at most 366 days", "WAIVER-003 matches nothing",
                     "the second waiver for NSFW-002"):
        assert expected in text


def test_the_waivers_file_of_the_documentation_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/gate.md").read_text()
    block = page.split("    kind: Waivers\n", 1)
    text = block[0].rsplit("\n\n", 1)[1] + "    kind: Waivers\n" + block[1].split("\n\n", 1)[0]
    path = tmp_path / "waivers.yaml"
    path.write_text("\n".join(line.removeprefix("    ") for line in text.splitlines()))
    [found] = load_waivers(path, today=TODAY).document.spec.waivers
    assert (found.id, found.rule, found.limit) == ("WAIVER-2026-014", "VIOLENCE-002", 0.15)
