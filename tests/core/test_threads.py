"""Threads by what the container is given: control groups of both versions, the affinity mask, and the user's word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mace_gov.cli import main
from mace_gov.core import threads
from mace_gov.core.resources import asked, using

ROOT = Path(__file__).parents[2]


def groups(tmp_path: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A control group file system with these files, and what /proc says of where we are in it."""
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "cgroup").mkdir(exist_ok=True)
    (tmp_path / "membership").write_text(membership)
    return tmp_path / "cgroup", tmp_path / "membership"


QUOTAS = {
    "version 2": ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
    "version 2, none": ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    "version 2, a group above": ("0::/pod/box\n", {"pod/cpu.max": "400000 100000", "pod/box/cpu.max": "max 100000",
                                                   "cpu.max": "800000 100000"}, 4.0),
    "version 2, the host's path in a container": ("0::/kubepods/pod1/abc\n", {"cpu.max": "200000 100000"}, 2.0),
    "version 1": ("4:cpu,cpuacct:/box\n", {"cpu,cpuacct/box/cpu.cfs_quota_us": "50000",
                                           "cpu,cpuacct/box/cpu.cfs_period_us": "100000"}, 0.5),
    "version 1, mounted apart": ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"},
                                 3.0),
    "version 1, none": ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    "both": ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
    "nothing there": ("0::/\n", {}, None),
    "nonsense": ("0::/\n", {"cpu.max": "many\n"}, None),
}


@pytest.mark.parametrize("membership,files,quota", QUOTAS.values(), ids=QUOTAS)
def test_the_quota_is_read(tmp_path, membership, files, quota):
    assert threads.cpu_quota(*groups(tmp_path, membership, files)) == quota


def test_there_are_no_more_than_the_mask_allows_and_never_none(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(3)), raising=False)
    many = groups(tmp_path / "a", "0::/\n", {"cpu.max": "6400000 100000"})
    few = groups(tmp_path / "b", "0::/\n", {"cpu.max": "150000 100000"})
    least = groups(tmp_path / "c", "0::/\n", {"cpu.max": "1000 100000"})
    assert [threads.usable_cpus(*each) for each in (many, few, least)] == [3, 2, 1]
    assert threads.usable_cpus(tmp_path / "no", tmp_path / "where") == 3


def counted(*arguments: str, **environment: str) -> list[str]:
    """OpenMP's setting, torch's threads and how they wait once a command began, in a process with one processor."""
    code = ("import os, sys\nfrom mace_gov.core import threads\nthreads.usable_cpus = lambda *_: 1\n"
            f"sys.argv = ['mace-gov', *{list(arguments)!r}]\nfrom mace_gov.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "assert 'torch' not in sys.modules\nimport torch\n"
            "print(os.environ['OMP_NUM_THREADS'], torch.get_num_threads(), os.environ.get('OMP_WAIT_POLICY'), "
            "file=sys.stderr)")
    kept = {key: value for key, value in os.environ.items() if key not in (threads.COUNT, *threads.WAITING)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
                          env={**kept, **environment})
    return done.stderr.split()[-3:]


def test_a_command_sets_them_before_torch_is_loaded():
    assert counted("--version") == ["1", "1", "passive"]


@pytest.mark.parametrize(("told", "kept"), [
    ({}, {threads.COUNT: "1", "OMP_WAIT_POLICY": "passive"}),
    ({threads.COUNT: "2", "OMP_WAIT_POLICY": "active"}, {threads.COUNT: "2", "OMP_WAIT_POLICY": "active"}),
    ({"GOMP_SPINCOUNT": "5"}, {threads.COUNT: "1", "OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": "5"}),
])
def test_what_the_user_set_is_kept(told, kept, monkeypatch):
    monkeypatch.setattr(threads, "usable_cpus", lambda *_: 1)
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # other tests loaded it
    for name in (threads.COUNT, *threads.WAITING):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        monkeypatch.setattr(sys, "argv", ["mace-gov", "--version"])
        main()
    assert {name: os.environ.get(name) for name in kept} == kept


def test_threads_of_the_command_line_count_before_the_environment(tmp_path):
    missing = ("apply", str(tmp_path / "no.yaml"), "--registry", str(tmp_path / "registry"))
    assert counted(*missing, "--threads", "1", OMP_NUM_THREADS="2")[:2] == ["1", "1"]


def test_a_loaded_torch_is_told(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv(threads.COUNT, "1")
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    with using(threads=5):
        assert told == [5] and os.environ[threads.COUNT] == "5"


def test_what_is_asked_for_holds_within_the_block_alone():
    with using(batch=3, precision="float16"):
        with using(batch=1):
            assert (asked().batch, asked().precision) == (1, None)
        assert (asked().batch, asked().precision) == (3, "float16")
    assert (asked().batch, asked().precision) == (None, None)
