"""What is kept between runs is believed only where it is what was kept, under the name it was kept under."""

import shutil

import pytest

from mace_gov.core.store import DIGESTS, Store
from tests.factories import Said


@pytest.fixture
def kept(tmp_path):
    store = Store(tmp_path)
    store.put("pictures/one.png", b"one")
    store.put("pictures/two.png", b"two")
    return store


def told(store):
    said = Said()
    store.tell(said)
    return said.notes


def test_what_was_kept_comes_back_and_nothing_is_said(kept):
    assert (kept.get("pictures/one.png"), kept.get("pictures/none.png")) == (b"one", None) and told(kept) == []
    kept.put("pictures/one.png", b"new")
    assert kept.get("pictures/one.png") == b"new"


def test_a_changed_entry_counts_as_not_there_and_is_told_once(kept, tmp_path):
    (tmp_path / "pictures/one.png").write_bytes(b"onf")
    assert kept.get("pictures/one.png") is None and kept.get("pictures/two.png") == b"two"
    assert told(kept) == ["the cache's pictures/one.png: not what was kept there, made anew"] and told(kept) == []


@pytest.mark.parametrize("with_digests", [True, False])
def test_entries_that_changed_places_are_noticed_both(kept, tmp_path, with_digests):
    for folder in (tmp_path, tmp_path / DIGESTS)[:2 if with_digests else 1]:
        one, two, aside = (folder / f"pictures/{name}.png" for name in ("one", "two", "aside"))
        shutil.move(one, aside)
        shutil.move(two, one)
        shutil.move(aside, two)
    assert kept.get("pictures/one.png") is None and kept.get("pictures/two.png") is None
    assert told(kept) == ["the cache's pictures/one.png and 1 more: not what was kept there, made anew"]


def test_an_entry_without_its_digest_counts_as_not_there(kept, tmp_path):
    (tmp_path / DIGESTS / "pictures/one.png").unlink()
    (tmp_path / DIGESTS / "pictures/two.png").write_bytes(b"\xff\xfe")
    assert kept.get("pictures/one.png") is None and kept.get("pictures/two.png") is None and told(kept)
