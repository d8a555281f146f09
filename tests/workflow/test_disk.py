"""Disks that fill up or cannot be written, files that change: an error in words, and then `apply` succeeds."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Silent
from tests.factories import Said
from tests.workflow.planting import World, policy_file

MEGABYTES = 64


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    place = tmp_path / "small"
    place.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)], capture_output=True, check=False)
    if not made or made.returncode:
        pytest.skip("a file system cannot be mounted here: that takes root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


class Fills(Silent):
    """Fills the disk when a task begins."""

    def __init__(self, task: str, filler: Path) -> None:
        self.task, self.filler = task, filler

    def start(self, task: str, total: int):
        if task.startswith(self.task) and not self.filler.exists():
            with self.filler.open("wb", buffering=0) as out:
                try:
                    while True:
                        out.write(b"\0" * 2**16)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        return super().start(task, total)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("task", ["drawing governed pictures", "writing the governed model", "recording in MLflow"])
def test_a_disk_that_is_full_is_an_error_and_the_next_apply_goes_on(
    small: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    world = World(tiny_model, small, monkeypatch)
    world.plant()
    filler = small / "filler"
    with pytest.raises(Exception, match="space|full") as told:
        world.apply(progress=Fills(task, filler))
    if isinstance(told.value, OSError):
        assert told.value.errno == errno.ENOSPC and str(told.value.filename).startswith(str(world.registry))
    assert filler.exists()
    filler.unlink()
    said = Said()
    assert world.apply(progress=said).verdict.outcome == "PASS"
    if task.startswith("drawing"):
        assert any("reused" in note for note in said.notes)
    findings = [found for found in workflow.check_registry(world.registry).findings if found.level != "note"]
    assert findings == []


def test_a_registry_that_cannot_be_written_is_known_before_the_work(
    small: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, policy = World(tiny_model, small, monkeypatch), policy_file(tmp_path)
    world.plant()
    remount = ["mount", "-o", "remount,{}", str(small)]
    subprocess.run([each.format("ro") for each in remount], check=True)
    with monkeypatch.context() as patch, pytest.raises(UsageError, match="registry cannot be written"):
        patch.setattr("mace_gov.erase.engine.erase", None)  # not reached
        world.apply(policy)
    subprocess.run([each.format("rw") for each in remount], check=True)
    assert world.apply(policy).version == "nsfw/1"


def test_cached_files_that_were_changed_are_made_anew_and_said(world: World) -> None:
    first = world.apply()
    changed = [next((world.registry / "cache").glob(pattern)) for pattern in
               ("pictures/*.png", "pictures/*.safetensors", "loras/*/*/*.safetensors", "states/*.safetensors")]
    for path in changed:
        os.truncate(path, path.stat().st_size // 2)
    said = Said()
    again = world.apply(progress=said)
    assert sum("made anew" in note for note in said.notes) >= 2, said.notes
    assert again.audit.governed_digest == first.audit.governed_digest
    findings = workflow.check_registry(world.registry).findings
    assert not [found for found in findings if found.level == "broken"]
    assert all(found.where.startswith("cache") for found in findings if found.level == "leftover"), findings
