"""Which phrases are one."""

from __future__ import annotations

import pytest

from mace_gov.core.phrases import phrase_key, tidy, visible


@pytest.mark.parametrize(("first", "second"), [
    ("caf\u00e9", "cafe\u0301"), ("ship", "ship "), ("brad pitt", "Brad  Pitt"), ("ship", "sh\u200bip"),
    ("fire-truck", "fire truck"), ("fire\u2011truck", "Fire_Truck"), ("ship", "a ship"), ("owl", "An owl"),
    ("ship", "the\u00a0ship"), ("heart", "heart\ufe0f"), ("STRASSE", "stra\u00dfe"),
    ("ship", "\uff53\uff48\uff49\uff50"), ("fire", "\ufb01re"), ("ship", "s\u3164hip"),
    ("van gogh's", "Van Gogh\u2019s"),
])
def test_one_phrase_written_two_ways_has_one_key(first: str, second: str) -> None:
    assert phrase_key(first) == phrase_key(second)


@pytest.mark.parametrize(("first", "second"), [
    ("ship", "sheep"), ("a", "an"), ("the", ""), ("resume", "r\u00e9sum\u00e9"), ("ant", "t"), ("theatre", "atre"),
])
def test_other_phrases_have_other_keys(first: str, second: str) -> None:
    assert phrase_key(first) != phrase_key(second)


def test_tidying_keeps_case_accents_and_hyphens() -> None:
    assert tidy("  Jean-Luc\tcafe\u0301\u200b ") == "Jean-Luc caf\u00e9"
    assert tidy(tidy("a\u00adb  c")) == tidy("a\u00adb  c")


def test_a_character_that_this_version_of_unicode_does_not_know_stays() -> None:
    assert tidy("a\u0378b") == "a\u0378b"


def test_invisible_characters_are_gone_and_blanks_stay() -> None:
    assert visible("a\u200bb\u202ec\nd\x00e") == "abc\nde"
