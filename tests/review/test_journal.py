"""A reviewer's journal: nothing in it can be changed, moved, taken out or cut off unseen."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from mace_gov.attest.keypair import KeyPair
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.review import Act, Label, PictureRef
from mace_gov.review.journal import Journal, comments, open_journal
from tests import factories
from tests.review.serving import key_of

PICTURE = PictureRef(image="pictures/base.png", image_digest=factories.hexa("picture"), category="explicit.nudity",
                     concept="nudity", suite="direct")
ABOUT = {"evidence_digest": factories.hexa("evidence"), "verdict_digest": factories.hexa("verdict")}


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    return key_of(tmp_path, "Ada")


@pytest.fixture
def journal(tmp_path: Path, pair: KeyPair) -> Journal:
    made = open_journal(tmp_path / "reviews" / "ada.jsonl", pair.public, "Ada", **ABOUT)
    made.add(pair, Act.LABEL, picture=PICTURE, label=Label.UNSURE)
    made.add(pair, Act.REVEAL, picture=PICTURE, text="the rule is open")
    made.add(pair, Act.LABEL, picture=PICTURE, label=Label.PRESENT)
    made.add(pair, Act.COMMENT, rule="NSFW-001", text="too few")
    return made


def test_it_is_read_back_as_it_was_written_and_goes_on(journal: Journal, pair: KeyPair) -> None:
    again = open_journal(journal.path, pair.public, "Ada", **ABOUT)
    assert (again.entries, again.head) == (journal.entries, journal.head)
    assert again.labels() == {PICTURE: Label.PRESENT}, "the last label counts, and the first is kept"
    assert [entry.text for entry in comments([again])] == ["too few"]
    again.add(pair, Act.CLOSE)
    assert open_journal(journal.path, pair.public, "Ada", **ABOUT, named=[again.head]).closed


def test_what_the_disk_did_not_take_is_not_found_there_later(
    journal: Journal, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = journal.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk, pytest.raises(OSError, match="No space"):
        disk.setattr("os.fsync", full)
        journal.add(pair, Act.CLOSE)
    assert journal.path.read_bytes() == before and not journal.closed
    journal.add(pair, Act.COMMENT, rule="NSFW-001", text="there is room again")
    assert len(open_journal(journal.path, pair.public, "Ada", **ABOUT).entries) == 5


def test_a_line_is_checked_once_however_often_it_is_read(
    journal: Journal, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_journal(journal.path, pair.public, "Ada", **ABOUT)
    journal.add(pair, Act.CLOSE)
    checked: list[bytes] = []
    monkeypatch.setattr("mace_gov.attest.keypair.PublicKey.holds", lambda *given: checked.append(given[-1]) or True)
    assert open_journal(journal.path, pair.public, "Ada", **ABOUT).closed and len(checked) == 1


EDITS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a letter": lambda lines: [lines[0].replace(b"A", b"B", 1), *lines[1:]],
    "one taken out": lambda lines: [lines[0], *lines[2:]],
    "the first taken out": lambda lines: lines[1:],
    "two swapped": lambda lines: [lines[1], lines[0], *lines[2:]],
    "one twice": lambda lines: [*lines, lines[-1]],
    "half a line": lambda lines: [*lines[:-1], lines[-1][:50]],
    "no line of ours": lambda lines: [*lines, b"{}"],
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_changed_is_refused(journal: Journal, pair: KeyPair, edit: str) -> None:
    lines = EDITS[edit](journal.path.read_bytes().splitlines())
    journal.path.write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(IntegrityError, match=r"ada\.jsonl, line \d"):
        open_journal(journal.path, pair.public, "Ada", **ABOUT)


def test_what_was_cut_off_is_refused_where_a_sign_off_names_it(journal: Journal, pair: KeyPair) -> None:
    lines = journal.path.read_bytes().splitlines()
    journal.path.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    assert len(open_journal(journal.path, pair.public, "Ada", **ABOUT).entries) == 3
    with pytest.raises(IntegrityError, match="cut off"):
        open_journal(journal.path, pair.public, "Ada", **ABOUT, named=[journal.head])


def test_another_s_key_and_another_verdict_are_refused(journal: Journal, tmp_path: Path, pair: KeyPair) -> None:
    with pytest.raises(IntegrityError, match="does not hold under key"):
        open_journal(journal.path, key_of(tmp_path, "Eve").public, "Eve", **ABOUT)
    with pytest.raises(IntegrityError, match="about another"):
        open_journal(journal.path, pair.public, "Ada", **{**ABOUT, "verdict_digest": factories.hexa("other")})


def test_two_at_once_with_one_key_do_not_overwrite_each_other(journal: Journal, pair: KeyPair) -> None:
    other = open_journal(journal.path, pair.public, "Ada", **ABOUT)
    other.add(pair, Act.LABEL, picture=PICTURE, label=Label.ABSENT)
    with pytest.raises(IntegrityError, match="bytes, expected"):
        journal.add(pair, Act.LABEL, picture=PICTURE, label=Label.PRESENT)
    assert len(open_journal(journal.path, pair.public, "Ada", **ABOUT).entries) == 5
