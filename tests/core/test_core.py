import json
from pathlib import Path

import pytest

from mace_gov.core import atomic, canonical, clock, digest, environment, lazy
from mace_gov.core.errors import MissingExtraError


def test_canonical_json_does_not_depend_on_order_and_refuses_nan():
    assert canonical.canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    assert canonical.digest_of({"a": 1, "b": 2}) == canonical.digest_of({"b": 2, "a": 1})
    with pytest.raises(ValueError):
        canonical.canonical_json({"a": float("nan")})


def test_folder_digest_sees_content_names_and_extra_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("1")
    first = digest.folder_files(tmp_path)
    assert list(first) == ["sub/a"] and first["sub/a"] == digest.sha256_bytes(b"1")
    (tmp_path / "sub" / "b").write_text("1")
    second = digest.folder_files(tmp_path)
    (tmp_path / "sub" / "b").rename(tmp_path / "sub" / "c")
    third = digest.folder_files(tmp_path)
    assert len({digest.folder_digest(files) for files in (first, second, third)}) == 3


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "file"
    atomic.write_text(target, "old", mode=0o600)
    assert target.stat().st_mode & 0o777 == 0o600

    def no_space(*_):
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError):
        atomic.write_text(target, "new")
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), atomic.new_folder(tmp_path / "out") as scratch:
        (scratch / "a").write_text("1")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with atomic.new_folder(tmp_path / "out") as scratch:
        (scratch / "a").write_text("1")
    assert (tmp_path / "out" / "a").read_text() == "1"


def test_source_date_epoch_sets_the_clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert clock.timestamp() == "1970-01-01T00:00:00Z"


def test_lazy_lookup_and_the_missing_extra():
    assert lazy.lookup("json:dumps") is json.dumps
    with pytest.raises(MissingExtraError, match=r"mace-gov\[models\]") as caught:
        lazy.require("no_such_package_anywhere", "models")
    assert "pip install" in caught.value.hint


def test_a_package_s_version_is_looked_up_once(monkeypatch):
    """It stands in the key of every picture, of which an audit has thousands."""
    asked = []
    environment.version_of.cache_clear()
    monkeypatch.setattr(environment.metadata, "version", lambda name: asked.append(name) or "1.2")
    assert [environment.version_of("torch") for _ in range(3)] == ["1.2"] * 3 and asked == ["torch"]
    environment.version_of.cache_clear()
