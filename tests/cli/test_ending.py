"""How a command ends that was asked to: nothing half-written, one message, the signal's exit code."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mace_gov.cli.signals import Interrupted
from mace_gov.core.errors import IncompleteError

WAIT = """
import sys, time
from pathlib import Path
from mace_gov.cli import main
from mace_gov.cli.app import app
from mace_gov.cli.progress import progress
from mace_gov.core.progress import working
from mace_gov.record.versions import new_version

@app.command()
def wait(registry: Path, slow: bool = False):
    with progress() as shown, new_version(registry, "nsfw") as (number, folder), working(shown, "waiting"):
        (folder / "model").mkdir()
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            if slow:
                print("unwinding", flush=True)
                time.sleep(1)
                print("unwound", flush=True)

sys.argv = ["mace-gov", "wait", *sys.argv[1:]]
main()
"""
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def started(*arguments: object, ignored: signal.Signals | None = None) -> subprocess.Popen[str]:
    """The command, once it is at work."""
    def ignore() -> None:
        for number, _ in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if ignored is not None:
            signal.signal(ignored, signal.SIG_IGN)

    process = subprocess.Popen([sys.executable, "-c", WAIT, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, preexec_fn=ignore)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_unwinds_and_is_told(number: signal.Signals, code: int, tmp_path: Path) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"`mace-gov wait {tmp_path}` was interrupted ({number.name}); nothing half-written was kept" in said
    assert "Run it again" in said
    assert "Traceback" not in said
    assert list((tmp_path / "versions" / "nsfw").iterdir()) == []


def test_a_second_signal_does_not_cut_the_unwinding_short(tmp_path: Path) -> None:
    process = started(tmp_path, "--slow")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "unwinding\n"
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert told == "unwound\n"
    assert process.returncode == 143
    assert list((tmp_path / "versions" / "nsfw").iterdir()) == []


def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    process = started(tmp_path, ignored=signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def raising(error: BaseException):
    def fails(*_: object, **__: object) -> None:
        raise error
    return fails


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_that_a_library_raises_is_told_too(run, monkeypatch, as_json: bool) -> None:
    monkeypatch.setattr("mace_gov.record.versions.list_versions", raising(KeyboardInterrupt()))
    before = signal.getsignal(signal.SIGTERM)
    code, out, err = run("registry", "list", *["--json"] * as_json)
    assert code == 130
    told = json.loads(out)["error"] if as_json else err
    assert f"`mace-gov registry list{' --json' if as_json else ''}` was interrupted (SIGINT)" in told
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_copy_for_which_there_is_no_room_is_told_by_where_it_was_to_go(run, monkeypatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/tmp/private/model", None, "registry/versions/x/model")
    monkeypatch.setattr("mace_gov.record.versions.list_versions", raising(full))
    code, _, err = run("registry", "list")
    assert code == 3 and "registry/versions/x/model: No space left on device" in err and "/tmp" not in err


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("error", [
    IncompleteError("no answer from https://ann:hunter2222@host"),
    RuntimeError("no answer from https://ann:hunter2222@host"), ValueError("401 for token-7777"),
    OSError(5, "https://ann:hunter2222@host said token-7777"),
])
def test_no_password_is_said(run, monkeypatch, error: Exception, debug: bool) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token-7777")
    if debug:
        monkeypatch.setenv("MACE_GOV_DEBUG", "1")
    monkeypatch.setattr("mace_gov.record.versions.list_versions", raising(error))
    code, out, err = run("registry", "list")
    assert code == 3
    assert "hunter2222" not in out + err
    assert "token-7777" not in out + err
    assert "***" in err


def test_a_tracking_address_is_never_said_whole(run, monkeypatch, tmp_path: Path) -> None:
    for address in ("http://ann:hunter2222@127.0.0.1:9", "postgresql://ann:hunter2222@db/mlflow"):
        monkeypatch.setenv("MACE_GOV_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        code, out, err = run("verify", "models:/nsfw@compliant", "--registry", tmp_path)
        assert code in (2, 3)
        assert "MACE_GOV_TRACKING_URI" in err
        assert "hunter2222" not in out + err


@pytest.mark.parametrize(("error", "code"), [(Interrupted(signal.SIGTERM), 143), (OSError(28, "No space"), 2)])
@pytest.mark.parametrize("told_by", ["finish", "_say"])
def test_what_happens_while_an_end_is_told_makes_no_other_one(run, monkeypatch, told_by: str, error: BaseException,
                                                              code: int) -> None:
    monkeypatch.setattr(f"mace_gov.cli.ending.{told_by}", raising(error))
    assert run("verify", "nowhere")[0] == code


def test_an_interrupt_while_the_commands_are_imported_is_told_in_a_line() -> None:
    early = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, *_):
        if name == "mace_gov.cli.app":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from mace_gov.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", early], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr == "error: interrupted (SIGINT) before anything was done\n"
