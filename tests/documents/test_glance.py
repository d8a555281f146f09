"""The quick look passes nothing that the full reading stops, however a text is pieced together."""

from __future__ import annotations

import random
import re

import pytest

from mace_gov.documents import ages, drawable
from mace_gov.documents import minor_words as minors
from mace_gov.documents.drawable import MINORS, NAMED_PERSON, Ban, forbidden
from mace_gov.documents.explicit_words import SEXUAL_PHRASES, SEXUAL_STEMS, SEXUAL_WORDS
from mace_gov.documents.policy import Kind
from tests.documents.test_never_draw import AGES, DISGUISES, NUMBERS, YOUNG

BAN = Ban(people=frozenset({"Ada Berg", "Otto"}), others=frozenset({"Mia Lund"}), explicit=frozenset({"bare back"}))
PLAIN = (
    "-", "a", "photo of", "in", "portrait", "8k", "4k,", "1920s", "the year", "born", "is", "just", "olds", "x", "k",
    "twenty", "five", "hundred", "and", "20", "08", "15", "months", "m o", "f", "she", "of", "aged", "under", "y",
    "old", "something years", "f/1.8", "(detailed)", "caf\u00e9", "\U0001f600", "\u00a8", "\u4e03\u5c81", "Ada", "back",
    "f/1.8, 4 k", "g i", "r  l", "1 2 y", "o", "- -", "kid", "kind of", "leather", "minor", "nina", "sonata", "a b c",
    "16:9,", "ans", "2", "spring", "her first", "yas", "\u00b3", "jahr", "dix", "forty", "form", "n o   c l o t h e s",
)
LISTS = (sorted(minors.WORDS), sorted(minors.PHRASES), minors.STEMS, minors.OTHER_SCRIPTS, minors.OTHER_EXACT,
         minors.HARMLESS_HINTS, minors.GERMAN_CHILD_HINTS, sorted(SEXUAL_WORDS), SEXUAL_PHRASES, SEXUAL_STEMS,
         ("Ada Berg", "AdaBerg", "Otto", "Mia Lund", "bare back"), tuple(NUMBERS), ("in A minor", "kind of", "cowboy"))
DISGUISED = tuple(DISGUISES.values())


def texts(seed: int, count: int):
    """Prompts of plain words, words of the lists, halves of them and ages, some of them disguised."""
    rng = random.Random(seed)

    def piece() -> str:
        kind = rng.random()
        if kind < 0.6:
            return rng.choice(PLAIN)
        if kind < 0.7:
            return rng.choice(AGES).format(rng.choice((*YOUNG, 34)))
        word = rng.choice(rng.choice(LISTS))
        cut = rng.randrange(len(word))
        return rng.choice((word, word[:cut], word[cut:], f"{word[:cut]} {word[cut:]}", rng.choice(DISGUISED)(word)))

    for _ in range(count):
        yield rng.choice((" ", " ", " ", "  ", "\t", ", ", "-")).join(piece() for _ in range(rng.randint(1, 6)))


@pytest.mark.parametrize("seed", range(2))
def test_what_the_quick_look_passes_the_full_reading_passes(seed, monkeypatch):
    given = list(texts(seed, 800))
    asked = [(kind, ban) for kind in (Kind.OBJECT, Kind.EXPLICIT) for ban in (Ban(), BAN)]
    quick = {(kind, ban): [forbidden(kind, text, ban) for text in given] for kind, ban in asked}
    passed = [drawable._MINOR.holds(text) is False for text in given]
    assert 150 < sum(passed) < 650
    drawable._forbidden.cache_clear()
    monkeypatch.setattr(drawable.Glance, "holds", lambda *_args, **_options: None)
    for (kind, ban), answers in quick.items():
        for text, answer in zip(given, answers, strict=True):
            assert forbidden(kind, text, ban) == answer, (kind, text)
    drawable._forbidden.cache_clear()
    assert {None, MINORS, NAMED_PERSON} == {answer for answers in quick.values() for answer in answers}


@pytest.mark.parametrize("prompt", ["no Otto clothes", "no-Otto-clothes", "ero, Otto tic", "ero-Otto-tic"])
def test_what_a_name_parts_is_found_when_it_is_taken_out(prompt):
    assert forbidden(Kind.OBJECT, prompt, BAN) == NAMED_PERSON
    assert forbidden(Kind.OBJECT, prompt.replace("Otto", "wet"), BAN) is None


def test_prompts_of_plain_words_are_not_read_in_every_way(monkeypatch):
    monkeypatch.setattr(drawable, "read", lambda *_args: pytest.fail("read in every way"))
    drawable._forbidden.cache_clear()
    for prompt in ("a portrait of a woman, oil on canvas, 8k, (detailed), by f/1.8", "Ada Berg at a caf\u00e9, 1920s"):
        assert forbidden(Kind.OBJECT, prompt, BAN) is None
    assert forbidden(Kind.EXPLICIT, "two trees and 40 lamps, it's art-deco", BAN) is None


@pytest.mark.parametrize("seed", range(2))
def test_the_hint_hides_no_age_that_a_pattern_finds(seed):
    rng = random.Random(seed)
    parts = (ages._BEFORE, ages._AFTER, ages._ALONE.pattern, ages._SPAN.pattern, ages._BORN, ages._BARE,
             ages._FOREIGN_NUMBERS)
    words = sorted({*re.findall(r"[a-z]+", " ".join(parts)), "going", "th", "year", "yasinda", "bir", "months", "old",
                    "birthday", "grade", "half", "cat", "iv", "сын", "岁", "of", "age", "aged", "ages", "aging", "mo",
                    "weeks", "wk", "day", "olds", "her", "spring", "teens", "m", "o", "yo", "photo", "humans", "flat"})
    numbers = [*map(str, range(20)), "2012", "20", "1920", "x12", "twelve", "hundred", "five"]
    found = 0
    for _ in range(6000):
        view = " ".join(rng.choice(numbers if rng.random() < 0.4 else words) for _ in range(rng.randint(1, 6)))
        told = bool(ages._PATTERN.search(ages.counted(view)))
        found += told
        assert ages.says_age(view) or not told, view
        given = view.split()
        cut = rng.randrange(len(given))
        last = ages.hints_of(given[cut:])
        assert (ages.hints_of(given[:cut]).then(last) if cut else last).alone or not told, view
    assert found > 600


def test_what_a_chunk_says_by_itself_needs_no_other_reading(monkeypatch):
    monkeypatch.setattr(drawable, "read", lambda *_args: pytest.fail("read in every way"))
    drawable._forbidden.cache_clear()
    assert forbidden(Kind.EXPLICIT, "two boys, on a bench") == MINORS
    assert forbidden(Kind.OBJECT, "two boys, on a bench") is None


def test_few_texts_with_numbers_are_searched_for_ages():
    usual = ("a photo of two old boats, 8k, f 1 8, 16 9", "an old map of 1 7 houses, modern, 4 k, no 7", "flat plans")
    assert not any(ages.hints_of(text.split()).alone for text in usual)
