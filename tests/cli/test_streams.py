"""A reader that has gone changes no exit code: the decision is the command's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import factories

POLICY = Path(__file__).parents[2] / "policies/nsfw.yaml"
START = [sys.executable, "-c", "from mace_gov.cli import main; main()"]


def _closed(*arguments: object, both: bool = False) -> tuple[int, str]:
    """Run a command whose standard output (or error too) nobody reads."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*START, *map(str, arguments)], stdout=write,
                              stderr=write if both else subprocess.PIPE, text=True)
    finally:
        os.close(write)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize(("outcome", "expected"), [("PASS", 0), ("changed", 5), ("damaged", 4)])
def test_the_gate_s_code_is_its_own(tmp_path: Path, outcome: str, expected: int) -> None:
    made = factories.version_folder(tmp_path)
    policy = tmp_path / "policy.yaml"
    changed = factories.policy(**({"neighbours": ["a beach"]} if outcome == "changed" else {}))
    policy.write_bytes(factories.policy_yaml(changed))
    if outcome == "damaged":
        (made.folder / "model/added").write_text("added")
    asked = ("gate", made.folder, "--policy", policy, "--registry", made.registry)
    assert _closed(*asked)[0] == expected
    assert _closed(*asked, "--json", both=True)[0] == expected
    code, err = _closed(*asked, "--output", "csv=-", "--output", f"outputs={tmp_path / 'outputs'}")
    assert code == expected and "Traceback" not in err and "BrokenPipe" not in err
    assert (tmp_path / "outputs").read_text().startswith("verdict=")


@pytest.mark.parametrize(("arguments", "expected"), [
    (("policy", "lint", POLICY), 0), (("policy", "explain", POLICY), 0), (("policy", "schema"), 0),
    (("--help",), 0), (("policy", "lint", "nowhere.yaml"), 2), (("doctor", "--no-such-option"), 2),
])
def test_so_is_every_command_s(arguments: tuple, expected: int) -> None:
    code, err = _closed(*arguments)
    assert code == expected and "Traceback" not in err and "Exception ignored" not in err


def test_a_stream_that_was_closed_before_the_start() -> None:
    command = ["sh", "-c", '"$@" >&-', "sh", *START, "policy", "lint", POLICY]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_cannot_be_printed_is_no_pass() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*START, "policy", "lint", POLICY], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3 and "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_that_cannot_be_told_keeps_its_code(as_json: bool) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*START, "verify", "nowhere", *["--json"] * as_json], stdout=full if as_json else None,
                              stderr=subprocess.PIPE if as_json else full, text=True)
    assert done.returncode == 2 and "Traceback" not in (done.stderr or "")
