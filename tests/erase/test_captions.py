"""General captions: enough, diverse, and none that names what is to be erased."""

from __future__ import annotations

from mace_gov.erase.captions import captions_for, general_captions, without


def test_there_are_hundreds_and_none_twice():
    captions = general_captions()
    assert 400 <= len(captions) <= 900
    assert len(set(captions)) == len(captions)
    assert all("{" not in caption and caption == caption.strip() for caption in captions)


def test_captions_that_name_a_target_are_left_out():
    kept = without(general_captions(), ["ship", "Dog"])
    assert "a photo of a ship" not in kept
    assert not any(" ship" in caption or " dog" in caption for caption in kept)
    assert len(general_captions()) - len(kept) >= 4
    assert without(general_captions(), []) == general_captions()


def test_a_target_within_another_word_takes_nothing_away():
    kept = without(general_captions(), ["car"])
    assert any("carrot" in caption for caption in kept)
    assert not any("car" in caption.split() for caption in kept)


def test_a_model_may_bring_its_own_captions(tmp_path):
    assert captions_for(tmp_path) == general_captions()
    (tmp_path / "captions.txt").write_text("a photo of a poodle\n\n a photo of a poodle \none taxi\n")
    assert captions_for(tmp_path) == ["a photo of a poodle", "one taxi"]
