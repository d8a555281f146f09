"""Only regular files are read, and no more of them than they have reason to hold."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mace_gov.core.digest import folder_files, sha256_file
from mace_gov.core.files import read_file, read_json

pytestmark = pytest.mark.skipif(os.name != "posix", reason="named pipes and devices are POSIX's")


def odd(kind: str, path: Path) -> None:
    """Put something that is no file to ``path``."""
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.close()
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("read", [read_file, read_json, sha256_file])
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a folder", "a device"])
def test_what_is_no_file_is_named_and_never_waited_for(monkeypatch, tmp_path, kind, read):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    odd(kind, Path("x"))
    with pytest.raises(OSError, match=f"is {kind}, expected a file"):
        read(Path("x"))


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(10**12)  # takes no space
    with pytest.raises(OSError, match="is larger than 1,000 bytes"):
        read_file(path, 1000)


def test_a_file_that_says_it_is_empty_is_read_to_its_limit_alone():
    assert read_file(Path("/proc/self/status"))
    with pytest.raises(OSError, match="is larger than 10 bytes"):
        read_file(Path("/proc/self/status"), 10)


def test_as_much_as_the_limit_is_fine(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert read_file(tmp_path / "x", 5) == b"12345"


def test_a_null_byte_and_a_long_name_are_said(tmp_path):
    for name, said in (("a\0b", "null byte"), ("a" * 300, "too long")):
        with pytest.raises(OSError, match=said):
            read_file(tmp_path / name)


def test_deep_json_is_a_value_error(tmp_path):
    (tmp_path / "x").write_bytes(b"[" * 200_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "x")


def test_a_folder_with_a_pipe_in_it_has_no_digest(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    os.mkfifo(tmp_path / "b")
    with pytest.raises(OSError, match="is a named pipe"):
        folder_files(tmp_path)
