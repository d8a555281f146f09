"""registry check and registry gc as commands; what they find is tested where it is found."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mace_gov.core.errors import UsageError
from mace_gov.core.files import parse_size
from mace_gov.core.store import DIGESTS, Store
from mace_gov.record.collect import find_garbage, remove
from tests import factories


def test_check_prints_each_finding_with_what_to_do_and_ends_with_the_worst(run, tmp_path: Path) -> None:
    registry = factories.version_folder(tmp_path).registry
    code, out, _ = run("registry", "check", "--registry", registry)
    assert code == 0 and "1 versions and audits" in out and "1 note" in out
    (registry / "versions/nsfw/1/model/odd\x1b[31m.json").write_text("{}")
    code, out, _ = run("registry", "check", "--registry", registry)
    assert code == 4 and out.startswith("broken    versions/nsfw/1: ") and "next: Restore it" in out
    assert "\x1b" not in out and "1 broken" in out
    code, out, _ = run("registry", "check", "--registry", registry, "--json")
    told = json.loads(out)
    assert code == told["exit_code"] == 4 and told["versions"] == 1
    assert told["findings"][0]["level"] == "broken" and told["findings"][0]["action"]


def test_check_takes_a_key_that_came_another_way(run, tmp_path: Path) -> None:
    mine, theirs = factories.version_folder(tmp_path / "mine"), factories.version_folder(tmp_path / "theirs")
    assert run("registry", "check", "--registry", mine.registry, "--key", mine.key)[0] == 0
    code, out, _ = run("registry", "check", "--registry", mine.registry, "--key", theirs.key)
    assert code == 4 and "signed by key" in out


@pytest.fixture
def cache(tmp_path: Path) -> Store:
    """Four entries of a hundred bytes, used in this order."""
    store = Store(tmp_path / "cache")
    for turn, name in enumerate("abcd"):
        store.put(f"pictures/{name}.png", name.encode() * 100)
        os.utime(tmp_path / "cache" / DIGESTS / f"pictures/{name}.png", (turn, turn))
    return store


def left(registry: Path, size: int) -> str:
    remove(registry, find_garbage(registry, cache_size=size))
    assert not any((registry / "cache" / DIGESTS / name).exists() and not (registry / "cache" / name).exists()
                   for name in (f"pictures/{each}.png" for each in "abcd"))
    return "".join(Path(name).stem for name in Store(registry / "cache").names())


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, cache: Store) -> None:
    assert left(tmp_path, 400) == "abcd" and left(tmp_path, 399) == "bcd"
    assert cache.get("pictures/b.png") == b"b" * 100  # now it was used last
    assert left(tmp_path, 250) == "bd"
    assert left(tmp_path, 0) == ""


def test_a_use_leaves_the_entry_s_own_time_alone(tmp_path: Path, cache: Store) -> None:
    entry = tmp_path / "cache/pictures/a.png"
    os.utime(entry, (7, 7))
    assert cache.get("pictures/a.png") and entry.stat().st_mtime == 7 and cache.used("pictures/a.png") > 1000


def test_gc_takes_a_size_and_a_dry_run_removes_nothing(run, tmp_path: Path, cache: Store) -> None:
    code, out, _ = run("registry", "gc", "--registry", tmp_path, "--keep-cache", "0.2KB", "--dry-run", "--json")
    assert code == 0 and json.loads(out)["found"] == ["cache/pictures/a.png", "cache/pictures/b.png"]
    assert len(list(cache.names())) == 4
    assert run("registry", "gc", "--registry", tmp_path, "--keep-cache", "0.2KB")[0] == 0
    assert len(list(cache.names())) == 2
    assert run("registry", "gc", "--registry", tmp_path, "--keep-cache", "much")[0] == 2


@pytest.mark.parametrize(("text", "size"), [
    ("0", 0), ("500", 500), ("1k", 1000), ("20GB", 20 * 10**9), ("1.5GiB", 3 * 2**29), ("2 TB", 2 * 10**12), ("7b", 7),
])
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text, "--keep-cache") == size


@pytest.mark.parametrize("text", ["", "-1", "GB", "1XB", "1e9", "٣GB", "1" * 20, "1.5.5GB", "1.5", "0.5B"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--keep-cache"):
        parse_size(text, "--keep-cache")


@pytest.mark.parametrize(("arguments", "said"), [
    (("merge",), "found no folder"),
    (("merge", "a", "--shard", "1/2", "--out", "b"), "expected none"),
    (("model", "a", "--policy", "p.yaml"), "after the model"),
    (("model",), "--policy is missing"),
    (("model", "--policy", "p.yaml", "--shard", "1/2"), "expected both or neither"),
    (("model", "--policy", "p.yaml", "--shard", "3/2", "--out", "a"), "expected 1 to 2"),
    (("merge", "nowhere"), "shard.json is missing"),
])
def test_audit_s_arguments_that_do_not_go_together(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("audit", *arguments)
    assert code == (3 if "nowhere" in arguments else 2) and said in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []
