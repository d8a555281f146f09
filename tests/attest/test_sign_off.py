"""A reviewer's decision counts under a pinned reviewer's key, on this very verdict, and nowhere else."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mace_gov.attest.dsse import seal
from mace_gov.attest.keypair import KeyPair, generate_key, load_key_pair
from mace_gov.attest.keys import ensure_key_pair, pin, registry_trust, revoke
from mace_gov.attest.sign_off import ReviewerDecision, sign_off
from mace_gov.attest.statement import open_statement
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.sign_off import SIGN_OFF_TYPE, Decision
from mace_gov.documents.trust import Role
from tests import factories
from tests.factories import SignedVersion


@dataclass
class Desk:
    """A version, its report, and a reviewer whom the registry's trust file knows."""

    signed: SignedVersion
    report: Path
    pair: KeyPair

    def sign(
        self, path: Path, decision: str = "approve", pair: KeyPair | None = None, filed: bool = True, **words: str
    ) -> Path:
        verified = verify(path, key=registry_trust(self.signed.registry), registry=self.signed.registry)
        said = {"reviewer": "Ada", "role": "trust and safety", "reason": "looked at every picture", **words}
        return sign_off(verified, pair or self.pair, ReviewerDecision(Decision(decision), **said),
                        out=self.signed.folder, registry=self.signed.registry if filed else None)

    def verified(self) -> VerifiedEvidence:
        return verify(self.signed.folder, key=registry_trust(self.signed.registry), registry=self.signed.registry)

    def decisions(self) -> dict[str, str]:
        return {one.reviewer: one.decision for one in self.verified().sign_offs}

    def second_place(self, path: Path) -> Path:
        (found,) = (self.signed.registry / "decisions").glob(f"*/*/{path.name}")
        return found


def reviewer_key(folder: Path, name: str) -> KeyPair:
    generate_key(folder / f"{name}.pem")
    return load_key_pair(folder / f"{name}.pem")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    signed = factories.version_folder(tmp_path, complete=True)
    pair = reviewer_key(tmp_path / "ada", "reviewer")
    pin(signed.registry, pair.public, role=Role.REVIEWER, name="Ada")
    return Desk(signed, factories.report_folder(tmp_path, signed), pair)


def test_a_sign_off_names_the_exact_report_and_is_found_again(desk: Desk) -> None:
    path = desk.sign(desk.report)
    assert path == desk.signed.folder / "sign-offs" / f"{desk.pair.public.fingerprint}-0001.dsse.json"
    assert desk.second_place(path).read_bytes() == path.read_bytes()
    verified = verify(desk.signed.folder, key=registry_trust(desk.signed.registry))
    (said,) = verified.sign_offs
    assert said.report_digest == factories.sha256_file(desk.report / "report.dsse.json")
    told = "1 sign-off on this verdict, by a pinned reviewer: Ada (trust and safety): approve"
    assert any(told in check for check in verified.checks)
    beside = verify(desk.report, key=registry_trust(desk.signed.registry), registry=desk.signed.registry)
    assert beside.sign_offs == verified.sign_offs


def test_a_second_decision_is_added_to_the_first_and_counts_before_it(desk: Desk, tmp_path: Path) -> None:
    first = desk.sign(desk.report)
    second = desk.sign(desk.signed.folder, "reject", reason="found one after all")
    assert (first.name[64:], second.name[64:]) == ("-0001.dsse.json", "-0002.dsse.json") and first.exists()
    assert [(one.decision, one.number) for one in desk.verified().sign_offs] == [("approve", 1), ("reject", 2)]
    bob = reviewer_key(tmp_path / "bob", "bob")
    pin(desk.signed.registry, bob.public, role=Role.REVIEWER, name="Bob")
    desk.sign(desk.report, pair=bob, reviewer="Bob")
    assert desk.decisions() == {"Ada": "reject", "Bob": "approve"}


def test_a_reviewer_is_whom_the_key_is_pinned_for_whatever_they_call_themselves(desk: Desk, tmp_path: Path) -> None:
    desk.sign(desk.report, reviewer="Bob")
    other = reviewer_key(tmp_path / "other", "other")
    pin(desk.signed.registry, other.public, role=Role.REVIEWER, name="Ada")
    desk.sign(desk.report, pair=other, reviewer="Carol")
    assert [one.reviewer for one in desk.verified().sign_offs] == ["Ada", "Ada"]
    assert any("2 sign-offs on this verdict, each by a pinned reviewer: Ada" in said for said in desk.verified().checks)


def test_without_a_pinned_reviewer_it_does_not_count_and_says_so(desk: Desk) -> None:
    desk.sign(desk.report)
    verified = verify(desk.signed.folder, key=desk.signed.key)
    assert verified.sign_offs == ()
    assert any("1 sign-off was not checked and does not count" in check for check in verified.checks)


def test_a_strangers_and_a_revoked_reviewers_sign_off_are_refused(desk: Desk, tmp_path: Path) -> None:
    path = desk.sign(desk.report, pair=(stranger := reviewer_key(tmp_path / "eve", "eve")))
    with pytest.raises(IntegrityError, match=f"{path.name}: signed by key {stranger.public.fingerprint}, expected"):
        desk.decisions()
    desk.second_place(path).unlink()
    path.unlink()
    desk.sign(desk.report)
    revoke(desk.signed.registry, desk.pair.public.fingerprint, "laptop lost")
    with pytest.raises(IntegrityError, match="revoked on .*: laptop lost"):
        desk.decisions()


def test_the_author_is_no_reviewer(desk: Desk) -> None:
    with pytest.raises(UsageError, match="a reviewer is not the author"):
        desk.sign(desk.report, pair=ensure_key_pair(desk.signed.registry))
    with pytest.raises(UsageError, match="is pinned already"):
        pin(desk.signed.registry, ensure_key_pair(desk.signed.registry).public, role=Role.REVIEWER, name="robot")


@pytest.mark.parametrize("words", [{"reason": "  "}, {"reviewer": ""}, {"role": "a\nb"}])
def test_a_decision_without_words_is_not_signed(desk: Desk, words: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(words))):
        desk.sign(desk.report, **words)


def test_a_sign_off_on_another_verdict_is_refused(desk: Desk, tmp_path: Path) -> None:
    path = desk.sign(desk.report)
    other = factories.version_folder(tmp_path, number=2, complete=True, outcome="REVIEW")
    shutil.copytree(path.parent, other.folder / "sign-offs")
    # Whether or not anybody's key is pinned for a reviewer.
    for trust in (registry_trust(other.registry), other.key):
        with pytest.raises(IntegrityError, match=rf"sign-offs/{path.name}: verdictDigest is"):
            verify(other.folder, key=trust)


def test_nothing_but_sign_offs_hides_among_them(desk: Desk) -> None:
    path = desk.sign(desk.report)
    for name in ("notes.txt", "more/x.dsse.json", f"{desk.pair.public.fingerprint[:8]}.dsse.json"):
        hidden = path.parent / name
        hidden.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, hidden)
        with pytest.raises(IntegrityError, match=f"{name}: file name is"):
            desk.decisions()
        hidden.unlink()
    (path.parent / "more").rmdir()
    assert desk.decisions() == {"Ada": "approve"}


@pytest.mark.parametrize("name, data", [
    ("notes.txt", b"hello"), (f"{'0' * 64}.dsse.json", b"{}"), (f"{'0' * 64}-0001.dsse.json", b""),
    ("evidence.dsse.json", None),
])
def test_what_is_no_sign_off_is_refused_where_no_reviewer_is_pinned(desk: Desk, name: str, data: bytes | None) -> None:
    hidden = desk.signed.folder / "sign-offs" / name
    hidden.parent.mkdir()
    hidden.write_bytes((desk.signed.folder / name).read_bytes() if data is None else data)
    with pytest.raises(IntegrityError, match=f"sign-offs/{name}: ") as refused:
        verify(desk.signed.folder, key=desk.signed.key)
    assert refused.value.exit_code == 4


def test_a_sign_off_that_nobody_can_check_is_told_apart(desk: Desk) -> None:
    desk.sign(desk.report, "reject")
    verified = verify(desk.signed.folder, key=desk.signed.key, registry=desk.signed.registry)
    assert verified.sign_offs == () and [one.decision for one in verified.unverified] == ["reject"]
    assert desk.verified().unverified == ()


@pytest.mark.parametrize("place", ["folder", "registry"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_sign_off_that_was_deleted_in_one_place_is_missed(desk: Desk, place: str, which: int) -> None:
    paths = [desk.sign(desk.report), desk.sign(desk.report, "reject")]
    lost = paths[which] if place == "folder" else desk.second_place(paths[which])
    lost.unlink()
    with pytest.raises(IntegrityError, match=rf"has no {paths[which].name}, expected the one") as refused:
        desk.decisions()
    assert refused.value.exit_code == 4


def test_a_version_moved_out_of_its_shelf_keeps_its_rejection(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(desk.signed.folder, copy)
    desk.sign(desk.report, "reject")
    verified = verify(copy, key=registry_trust(desk.signed.registry), registry=desk.signed.registry)
    assert [one.decision for one in verified.sign_offs] == ["reject"]


def test_a_sign_off_that_others_have_seen_is_missed_even_when_it_was_deleted_everywhere(
    desk: Desk, tmp_path: Path
) -> None:
    bob = reviewer_key(tmp_path / "bob", "bob")
    pin(desk.signed.registry, bob.public, role=Role.REVIEWER, name="Bob")
    rejected = desk.sign(desk.report, "reject")
    desk.sign(desk.report, pair=bob, reviewer="Bob")
    desk.second_place(rejected).unlink()
    rejected.unlink()
    with pytest.raises(IntegrityError, match="was signed after the sign-off .*, which is gone"):
        desk.decisions()


def test_a_gap_in_a_keys_numbers_is_noticed(desk: Desk) -> None:
    paths = [desk.sign(desk.report, filed=False) for _ in range(2)]
    paths[0].unlink()
    with pytest.raises(IntegrityError, match="and number 1 is gone"):
        desk.decisions()


def test_a_clock_set_back_does_not_make_the_later_decision_the_earlier(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sign(desk.report)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    desk.sign(desk.report, "reject")
    assert desk.decisions() == {"Ada": "reject"}


def test_a_sign_off_of_an_earlier_release_still_counts_and_is_counted(desk: Desk) -> None:
    """One file for each key, without a number and without a second place."""
    path = desk.sign(desk.report, filed=False)
    statement, keyid = open_statement(path, registry_trust(desk.signed.registry), SIGN_OFF_TYPE, Role.REVIEWER)
    predicate = {name: said for name, said in statement.predicate.items() if name not in ("number", "seen", "filed")}
    path.unlink()
    old = path.with_name(f"{keyid}.dsse.json")
    old.write_bytes(seal(statement.model_copy(update={"predicate": predicate}).canonical(), desk.pair).canonical())
    assert desk.decisions() == {"Ada": "approve"}
    assert desk.sign(desk.report, "reject").name == f"{keyid}-0002.dsse.json"
    assert desk.decisions() == {"Ada": "reject"}


def test_what_was_said_of_the_very_model_under_another_number_is_known(desk: Desk, tmp_path: Path) -> None:
    desk.sign(desk.report, "reject")
    again = factories.version_folder(tmp_path, number=2, complete=True)
    other = factories.version_folder(tmp_path, number=3, complete=True, weights=b"another model")

    def elsewhere(made: SignedVersion) -> list[str]:
        verified = verify(made.folder, key=registry_trust(made.registry), registry=made.registry)
        assert verified.sign_offs == ()
        return [one.resource_uri for one in verified.elsewhere]

    assert (elsewhere(again), elsewhere(other)) == (["mace-gov:nsfw/1"], [])
    (place,) = (desk.signed.registry / "decisions").glob("*/*/*")
    forged = place.parent.with_name("0" * 64) / place.name
    forged.parent.mkdir()
    shutil.copyfile(place, forged)
    with pytest.raises(IntegrityError, match="is about the verdict"):
        elsewhere(again)
