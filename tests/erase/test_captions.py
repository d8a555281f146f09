"""General captions: enough, diverse, and none that names what is to be erased."""

from __future__ import annotations

from mace_gov.erase.captions import captions_without, general_captions


def test_there_are_hundreds_and_none_twice():
    captions = general_captions()
    assert 400 <= len(captions) <= 900
    assert len(set(captions)) == len(captions)
    assert all("{" not in caption and caption == caption.strip() for caption in captions)


def test_captions_that_name_a_target_are_left_out():
    kept = captions_without(["ship", "Dog"])
    assert "a photo of a ship" not in kept
    assert not any(" ship" in caption or " dog" in caption for caption in kept)
    assert len(general_captions()) - len(kept) >= 4
    assert captions_without([]) == general_captions()


def test_a_target_within_another_word_takes_nothing_away():
    assert any("carrot" in caption for caption in captions_without(["car"]))
    assert not any("a car" in caption.split(" on ")[0] and "carrot" not in caption and "card" not in caption
                   for caption in captions_without(["car"]) if caption.endswith("a car"))
