from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.verdict import Outcome
from mace_gov.record.versions import by_digest, find, list_versions, new_version
from tests import factories

KILLED = """
import os, signal, sys
from pathlib import Path
from mace_gov.record.versions import new_version
with new_version(Path(sys.argv[1]), "nsfw") as (number, folder):
    (folder / "model").mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _allocate(registry: Path, times: int, numbers: multiprocessing.Queue) -> None:
    for _ in range(times):
        with new_version(registry, "nsfw") as (number, folder):
            (folder / "mark").write_text(str(number))
            numbers.put(number)


def test_two_processes_get_different_numbers(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    numbers = context.Queue()
    workers = [context.Process(target=_allocate, args=(tmp_path, 25, numbers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    got = [numbers.get(timeout=60) for _ in range(50)]
    for worker in workers:
        worker.join(60)
    assert sorted(got) == list(range(1, 51))
    home = tmp_path / "versions" / "nsfw"
    assert {path.name: (path / "mark").read_text() for path in home.iterdir()} == {str(n): str(n) for n in got}


def test_a_failed_version_leaves_nothing_and_frees_its_number(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_version(tmp_path, "nsfw") as (first, folder):
        (folder / "model").mkdir()
        raise RuntimeError
    assert list((tmp_path / "versions" / "nsfw").iterdir()) == []
    with new_version(tmp_path, "nsfw") as (second, _):
        assert first == second == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that end with a process")
def test_what_a_killed_run_left_goes_with_the_next_and_its_number_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path])
    assert killed.returncode == -signal.SIGKILL
    home = tmp_path / "versions" / "nsfw"
    assert len(list(home.iterdir())) == 2
    with new_version(tmp_path, "nsfw") as (first, _), new_version(tmp_path, "nsfw") as (second, _):
        assert (first, second) == (1, 2)  # the second does not take the first, which is alive, for dead
    assert {path.name for path in home.iterdir()} == {"1", "2"}
    assert "removed what a run of nsfw/1 left" in caplog.text


def test_a_signal_after_the_rename_leaves_no_version_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> None:
        replace(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), new_version(tmp_path, "nsfw") as (_, folder):
        (folder / "model").mkdir()
    assert list((tmp_path / "versions" / "nsfw").iterdir()) == []


def test_a_version_appears_whole(tmp_path: Path) -> None:
    with new_version(tmp_path, "nsfw") as (number, folder):
        final = tmp_path / "versions" / "nsfw" / str(number)
        (folder / "policy.yaml").write_text("x")
        assert list(final.iterdir()) == []
    assert [path.name for path in final.iterdir()] == ["policy.yaml"]
    assert not folder.exists()


def test_numbers_go_on_after_the_highest_even_past_a_gap(tmp_path: Path) -> None:
    (tmp_path / "versions" / "nsfw" / "7").mkdir(parents=True)
    (tmp_path / "versions" / "nsfw" / "notes").mkdir()
    with new_version(tmp_path, "nsfw") as (number, _):
        assert number == 8


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "Upper", "-x", ".hidden"])
def test_a_name_that_is_no_slug_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError), new_version(tmp_path, name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_listing_finding_and_looking_up_by_digest(tmp_path: Path) -> None:
    second = factories.version_folder(tmp_path, number=2, outcome="REVIEW", weights=b"others")
    first = factories.version_folder(tmp_path, number=1, need_verdict=False)
    factories.version_folder(tmp_path, name="violence", number=1)
    entries = list_versions(first.registry)
    assert [(entry.reference, entry.outcome) for entry in entries] == [
        ("nsfw/1", None), ("nsfw/2", Outcome.REVIEW), ("violence/1", Outcome.PASS)
    ]
    for reference in ("nsfw/2", "nsfw/v2", "registry:nsfw/2"):
        entry = find(first.registry, reference)
        assert entry.folder == second.folder
        assert entry.evidence() == second.evidence
        assert entry.verdict() == second.verdict
    assert [e.reference for e in by_digest(first.registry, second.evidence.audit.governed_digest)] == ["nsfw/2"]
    assert by_digest(first.registry, factories.hexa("another")) == []
    assert entries[0].to_json()["governedDigest"] == first.evidence.audit.governed_digest


def test_audits_are_a_shelf_of_their_own(tmp_path: Path) -> None:
    with new_version(tmp_path, "nsfw", shelf="audits") as (number, _):
        assert number == 1
    assert (tmp_path / "audits" / "nsfw" / "1").is_dir()
    assert list_versions(tmp_path) == []


def test_what_cannot_be_read_is_not_listed_and_not_found(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path)
    (signed.folder / "evidence.dsse.json").write_text("{}")
    assert list_versions(signed.registry) == []
    with pytest.raises(IntegrityError, match=r"evidence\.dsse\.json"):
        find(signed.registry, "nsfw/1")
    with pytest.raises(UsageError, match="no version nsfw/9"):
        find(signed.registry, "nsfw/9")
    with pytest.raises(UsageError, match="expected NAME/N"):
        find(signed.registry, "nsfw")
