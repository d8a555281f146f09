"""What the embedded model is said to know, and the rules that its words follow. Needs no torch."""

import subprocess
import sys

import pytest

from mace_gov.embedded import vocabulary

TEN = {
    "airplane": {"aircraft", "plane", "jet"},
    "automobile": {"car", "vehicle", "motorcar"},
    "bird": {"avian", "fowl", "winged creature"},
    "cat": {"feline", "kitty", "housecat"},
    "deer": {"hart", "stag", "doe"},
    "dog": {"canine", "pooch", "hound"},
    "frog": {"amphibian", "anuran", "tadpole"},
    "horse": {"equine", "steed", "mount"},
    "ship": {"vessel", "boat", "watercraft"},
    "truck": {"lorry", "rig", "hauler"},
}


def test_it_knows_enough():
    known = vocabulary()
    assert len([c for c in known.concepts if c.kind != "celebrity"]) >= 240
    assert len(known.of_kind("celebrity", erase=True)) >= 100 and len(known.of_kind("celebrity", erase=False)) >= 100
    assert len(known.styles) >= 3 and len(known.colours) == 8 and len(known.templates) >= 30


def test_the_ten_classes_have_their_three_synonyms():
    for name, synonyms in TEN.items():
        assert synonyms <= set(vocabulary().concept(name).synonyms), name


@pytest.mark.parametrize("word", ["nudity", "naked", "erotic", "sexual"])
def test_explicit_words_are_stand_ins_with_synonyms(word):
    concept = vocabulary().concept(word)
    assert concept.kind == "explicit" and len(concept.synonyms) >= 2


def test_violence_words_are_stand_ins_with_synonyms():
    words = vocabulary().of_kind("violence")
    assert len(words) >= 4 and all(c.synonyms for c in words)


@pytest.mark.parametrize("anchor", ["a person", "a person wearing clothes", "sky", "ground", "street", "art"])
def test_anchors_draw_something_of_their_own(anchor):
    assert vocabulary().concept(anchor).kind == "anchor"


def test_no_phrase_stands_for_two_concepts():
    phrases = [p for c in vocabulary().concepts for p in c.phrases]
    assert len(phrases) == len(set(phrases))


def test_names_are_shared_between_erased_and_kept_characters():
    people = vocabulary().of_kind("celebrity")
    for part in (0, 1):
        erased = {c.name.split()[part] for c in people if c.erase}
        kept = {c.name.split()[part] for c in people if c.erase is False}
        assert len(erased & kept) >= 20


def test_a_phrase_finds_its_concept():
    assert vocabulary().concept("winged creature").id == "bird" and vocabulary().concept("no such thing") is None


def test_the_package_imports_no_torch():
    code = "import sys, mace_gov.embedded as e; e.vocabulary(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
