"""Units on local processes: in order, again when a worker dies, and never from a worker with other code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mace_gov.core.canonical import canonical_json
from mace_gov.core.digest import folder_files
from mace_gov.core.errors import IncompleteError, MissingExtraError, NumericalError, UsageError
from mace_gov.core.progress import Silent
from mace_gov.core.workers import Model
from mace_gov.execute import calls, hired
from mace_gov.execute.actors import actors
from mace_gov.execute.channel import Message, WorkerLostError
from mace_gov.execute.pool import AHEAD, Pool
from tests.execute import units
from tests.execute.inside import Inside
from tests.factories import Said


def made(pool, folder: Path, asked) -> list[bytes]:
    return [each["made"] for each in pool.run(units.job(folder), units.listed(*asked))]


def test_processes_do_units_in_order_and_open_a_job_once(tmp_path: Path) -> None:
    with hired(2, progress=Silent()) as pool:
        assert made(pool, tmp_path, range(9)) == [b"ship%d" % n for n in range(9)]
        assert made(pool, tmp_path, range(3)) == [b"ship%d" % n for n in range(3)]
        opened = {path.name.partition("-")[2] for path in tmp_path.glob("opened-*")}
        assert 1 <= len(opened) <= 2 and str(os.getpid()) not in opened
        assert made(pool, tmp_path, []) == []


def test_who_did_a_unit_and_when_is_told(tmp_path: Path) -> None:
    told = []

    class Tells(Silent):
        def unit(self, worker: int, name: str, begun: float, ended: float) -> None:
            assert begun <= ended
            told.append((worker, name))

    pool = Pool(lambda _slot: Inside(), 1, Tells())
    assert made(pool, tmp_path, [5, 6]) == [b"ship5", b"ship6"]
    assert told == [(1, "units 1"), (1, "units 2")]
    pool.close()


def test_a_worker_imports_nothing_from_the_folder_that_the_command_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, marks = tmp_path / "here", tmp_path / "marks"
    here.mkdir()
    marks.mkdir()
    (here / "json.py").write_text(f"open({str(here / 'ran')!r}, 'w')\nraise SystemExit(9)\n")
    monkeypatch.chdir(here)
    with hired(1, progress=Silent()) as pool:
        assert made(pool, marks, [1]) == [b"ship1"]
    assert not (here / "ran").exists()


def test_a_unit_whose_worker_dies_is_done_again(tmp_path: Path) -> None:
    said = Said()
    with hired(2, progress=said) as pool:
        assert made(pool, tmp_path, [0, "kills once", 2, 3]) == [b"ship0", b"shipkills once", b"ship2", b"ship3"]
    assert len(list(tmp_path.glob("kills once-*"))) == 2
    assert any("was ended by signal 9" in note and "is done again" in note for note in said.notes)


def test_a_unit_that_ends_every_worker_is_named(tmp_path: Path) -> None:
    with hired(1, progress=Silent()) as pool, pytest.raises(IncompleteError, match="ended 3 workers.*signal 9") as told:
        made(pool, tmp_path, ["kills", 1])
    assert "fewer --workers" in told.value.hint
    assert len(list(tmp_path.glob("kills-*"))) == 3


def test_a_worker_without_memory_gives_way_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mace_gov.execute.pool.PAUSE", 0)
    said, hired_ones = Said(), []

    def hire(_slot: int) -> Inside:
        hired_ones.append(Inside())
        return hired_ones[-1]

    pool = Pool(hire, 1, said)
    assert made(pool, tmp_path, [0, "hungry once", 2]) == [b"ship0", b"shiphungry once", b"ship2"]
    assert said.notes == ["worker 1 ran out of memory: Unable to allocate 4 TiB for hungry once; what it was doing is "
                          "done again"]
    assert [each.closed for each in hired_ones] == [True, False], "what it held is let go"
    with pytest.raises(IncompleteError, match="ended 3 workers.*ran out of memory: Unable") as told:
        made(pool, tmp_path, ["hungry"])
    assert "smaller --batch" in told.value.hint
    pool.close()


def test_what_a_unit_raises_is_raised_here(tmp_path: Path) -> None:
    with hired(1, progress=Silent()) as pool:
        with pytest.raises(NumericalError, match="the weight is nan") as told:
            made(pool, tmp_path, [1, "breaks", 2])
        assert told.value.hint == "Lower it."
        with pytest.raises(RuntimeError, match=r"KeyError: 'a bug'[\s\S]*units.py"):
            made(pool, tmp_path, ["bug"])
        assert made(pool, tmp_path, [7]) == [b"ship7"]
    assert len(list(tmp_path.glob("breaks-*"))) == 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell's background jobs ignore SIGINT, and so does what they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_workers_end_with_the_block_whatever_they_do(tmp_path: Path) -> None:
    def interrupt() -> None:
        while not list(tmp_path.glob("sleeps-*")):
            time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt), hired(1, progress=Silent()) as pool:
        made(pool, tmp_path, ["sleeps"])
    [mark] = tmp_path.glob("sleeps-*")
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.name.partition("-")[2]), 0)


def test_other_bytes_than_were_made_are_not_taken(tmp_path: Path) -> None:
    spoilt = []

    class Spoils(Inside):
        def ask(self, message: Message) -> Message:
            header, blobs = super().ask(message)
            if blobs and not spoilt:
                spoilt.append(blobs)
                blobs = [b"another" for _ in blobs]
            return header, blobs

    said = Said()
    pool = Pool(lambda slot: Spoils(), 1, said)
    assert made(pool, tmp_path, [1]) == [b"ship1"] and spoilt
    assert any("sent other bytes than it made" in note for note in said.notes)
    pool.close()


def test_a_worker_with_other_code_ends_the_run(tmp_path: Path) -> None:
    class Old(Inside):
        def ask(self, message: Message) -> Message:
            header, blobs = super().ask(message)
            if "code" in header:
                header["code"] |= {"torch": "1.0", "its sources": "f" * 64}
            return header, blobs

    channels = [Inside(), Old("worker 2")]
    pool = Pool(lambda slot: channels[slot], 2, Silent())
    with pytest.raises(IncompleteError, match="worker 2 on .* has other versions.*its sources f+, expected.*torch 1.0"):
        for _ in range(50):
            made(pool, tmp_path, range(50))
    assert channels[1].closed
    pool.close()


def test_no_worker_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(slot: int):
        raise WorkerLostError(f"worker {slot + 1} ended with exit code 1")

    monkeypatch.setattr("mace_gov.execute.pool.PAUSE", 0.01)
    pool = Pool(none, 2, Silent())
    with pytest.raises(WorkerLostError, match="ended with exit code 1"):
        made(pool, tmp_path, [1])
    with pytest.raises(WorkerLostError):
        made(pool, tmp_path, [1])
    pool.close()


def test_no_unit_runs_far_ahead_of_the_first_that_is_not_done(tmp_path: Path) -> None:
    held = threading.Event()

    class Holds(Inside):
        def ask(self, message: Message) -> Message:
            if message[0].get("unit") == 0:
                held.wait(20)
            return super().ask(message)

    pool = Pool(lambda slot: Holds(), 2, Silent())
    outcome = pool.run(units.job(tmp_path), units.listed(*range(40)))
    threading.Timer(1.0, held.set).start()
    assert next(outcome) == {"made": b"ship0"}
    assert len([path for path in tmp_path.iterdir() if path.name[0].isdigit()]) <= 2 * AHEAD + 2
    assert len(list(outcome)) == 39
    pool.close()


def test_a_machine_without_the_model_is_sent_it_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CHUNK", 5)
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "unet").mkdir(parents=True)
    there.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    (here / "unet/weights.safetensors").write_bytes(b"twelve bytes and five")
    (here / "index.json").write_bytes(b"")
    sent = []

    class Far(Inside):
        near = False

        def ask(self, message: Message) -> Message:
            header, blobs = message
            if header["do"] == "keep":
                sent.append(blobs[0])
            if "models" in header:  # what is a path here means nothing there
                header = {**header, "models": [{**each, "path": "/nowhere"} for each in header["models"]]}
            return super().ask((header, blobs))

    job = replace(units.job(tmp_path, files=folder_files(here)), models=[Model(str(here), folder_files(here))])
    pool = Pool(lambda slot: Far(), 1, Silent())
    assert [each["made"] for each in pool.run(job, units.listed("files"))] == [canonical_json(folder_files(here))]
    assert b"".join(sent) == b"twelve bytes and five" and max(map(len, sent)) == 5
    assert list(pool.run(replace(job, setup={**job.setup, "again": 1}), units.listed("files"))) and len(sent) == 6
    pool.close()
    assert list(there.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system does not show processes below /proc")
def test_workers_of_a_command_that_is_killed_end_in_the_middle_of_a_unit(tmp_path: Path) -> None:
    driver = f"""
from pathlib import Path
from mace_gov.core.progress import Silent
from mace_gov.execute import hired
from tests.execute import units
from tests.execute.inside import Inside
with hired(1, progress=Silent()) as pool:
    list(pool.run(units.job(Path({str(tmp_path)!r})), units.listed("sleeps")))
"""
    command = subprocess.Popen([sys.executable, "-c", driver], cwd=Path(__file__).parents[2])
    while not (marks := list(tmp_path.glob("sleeps-*"))):
        assert command.poll() is None
        time.sleep(0.05)
    command.kill()
    command.wait()
    worker = int(marks[0].name.partition("-")[2])
    until = time.monotonic() + 50  # a unit takes 60 s
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize(("room", "count", "threads", "found", "asked"), [
    ({"CPU": 64.0, "GPU": 8.0}, None, None, 8, {"num_cpus": 1, "num_gpus": 1.0}),
    ({"CPU": 64.0, "GPU": 8.0}, 16, 2, 16, {"num_cpus": 2, "num_gpus": 0.5}),
    ({"CPU": 64.0, "GPU": 2.0}, 3, None, 3, {"num_cpus": 1, "num_gpus": 0.5}),  # not 2/3 of one
    ({"CPU": 64.0, "GPU": 1.0}, 3, None, 3, {"num_cpus": 1, "num_gpus": 0.3333}),
    ({"CPU": 64.0, "GPU": 8.0}, 4, None, 4, {"num_cpus": 1, "num_gpus": 1.0}),
    ({"CPU": 9.0}, None, 4, 2, {"num_cpus": 4}),
])
def test_workers_of_a_cluster_share_its_cards_evenly(
    monkeypatch: pytest.MonkeyPatch, room: dict, count: int | None, threads: int | None, found: int, asked: dict
) -> None:
    options = []

    class Cluster:
        def is_initialized(self) -> bool:
            return True

        def cluster_resources(self) -> dict:
            return room

        def remote(self, _bench):
            return self

        def options(self, **given):
            options.append(given)
            return SimpleNamespace(remote=lambda: None)

    monkeypatch.setattr("mace_gov.execute.actors.require", lambda *_: Cluster())
    with actors("auto", count, threads) as (hire, workers):
        hire(0)
    assert workers == found and {name: options[0].get(name) for name in asked} == asked
    assert ("num_gpus" in asked) == ("num_gpus" in options[0]) and options[0]["max_restarts"] == 0


def test_a_cluster_without_room_and_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = SimpleNamespace(is_initialized=lambda: True, cluster_resources=dict)
    with monkeypatch.context() as patch, pytest.raises(IncompleteError, match="found 0 processors"):
        patch.setattr("mace_gov.execute.actors.require", lambda *_: empty)
        with actors("auto", None, None):
            pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"mace-gov\[ray\]"), hired(ray="auto", progress=Silent()):
        pass
    with pytest.raises(UsageError, match="--workers: found 0"), hired(0, progress=Silent()):
        pass
