"""What an attack drew is taken from the cache whole, and as it was kept, or not at all."""

import numpy as np
import pytest
from PIL import Image

from mace_gov.audit.attacks.stored import load_attack, store_attack
from mace_gov.core.store import Store

PICTURES = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]


def test_what_was_kept_comes_back(tmp_path):
    store = Store(tmp_path)
    store_attack(store, "key", PICTURES, "words", 1.5)
    pictures, text, seconds = load_attack(store, "key", 2)
    assert text == "words" and [np.asarray(p).tolist() for p in pictures] == [np.asarray(p).tolist() for p in PICTURES]
    assert load_attack(store, "key", 3) is None and load_attack(store, "other", 2) is None


@pytest.mark.parametrize("change", ["0.png", "found.json", "swap", "folder"])
def test_what_changed_is_attacked_anew(tmp_path, change):
    store = Store(tmp_path)
    store_attack(store, "key", PICTURES, "words", 1.5)
    folder = tmp_path / "attacks" / "key"
    if change == "swap":
        first = (folder / "0.png").read_bytes()
        (folder / "0.png").write_bytes((folder / "1.png").read_bytes())
        (folder / "1.png").write_bytes(first)
    elif change == "folder":
        folder.rename(folder.with_name("other"))
    else:
        data = (folder / change).read_bytes()
        (folder / change).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert load_attack(store, "other" if change == "folder" else "key", 2) is None
