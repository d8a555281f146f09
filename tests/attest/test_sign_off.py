"""A reviewer's decision counts under a pinned reviewer's key, on this very verdict, and nowhere else."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mace_gov.attest.keypair import KeyPair, generate_key, load_key_pair
from mace_gov.attest.keys import ensure_key_pair, pin, registry_trust, revoke
from mace_gov.attest.sign_off import sign_off
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from tests import factories
from tests.factories import SignedVersion


@dataclass
class Desk:
    """A version, its report, and a reviewer whom the registry's trust file knows."""

    signed: SignedVersion
    report: Path
    pair: KeyPair

    def sign(self, path: Path, decision: str = "approve", pair: KeyPair | None = None, **words: str) -> Path:
        verified = verify(path, key=registry_trust(self.signed.registry), registry=self.signed.registry)
        said = {"reviewer": "Ada", "role": "trust and safety", "reason": "looked at every picture", **words}
        return sign_off(verified, pair or self.pair, decision=Decision(decision), out=self.signed.folder, **said)

    def decisions(self) -> dict[str, str]:
        verified = verify(self.signed.folder, key=registry_trust(self.signed.registry))
        return {one.reviewer: one.decision for one in verified.sign_offs}


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
    assert path == desk.signed.folder / "sign-offs" / f"{desk.pair.public.fingerprint}.dsse.json"
    verified = verify(desk.signed.folder, key=registry_trust(desk.signed.registry))
    (said,) = verified.sign_offs
    assert said.report_digest == factories.sha256_file(desk.report / "report.dsse.json")
    assert any("Ada (trust and safety): approve" in check for check in verified.checks)
    beside = verify(desk.report, key=registry_trust(desk.signed.registry), registry=desk.signed.registry)
    assert beside.sign_offs == verified.sign_offs


def test_a_second_decision_replaces_the_first_and_a_second_reviewer_does_not(desk: Desk, tmp_path: Path) -> None:
    desk.sign(desk.report)
    desk.sign(desk.signed.folder, "reject", reason="found one after all")
    bob = reviewer_key(tmp_path / "bob", "bob")
    pin(desk.signed.registry, bob.public, role=Role.REVIEWER, name="Bob")
    desk.sign(desk.report, pair=bob, reviewer="Bob")
    assert desk.decisions() == {"Ada": "reject", "Bob": "approve"}


def test_without_a_pinned_reviewer_it_does_not_count_and_says_so(desk: Desk) -> None:
    desk.sign(desk.report)
    verified = verify(desk.signed.folder, key=desk.signed.key)
    assert verified.sign_offs == ()
    assert any("1 sign-offs were not checked and do not count" in check for check in verified.checks)


def test_a_strangers_and_a_revoked_reviewers_sign_off_are_refused(desk: Desk, tmp_path: Path) -> None:
    path = desk.sign(desk.report, pair=(stranger := reviewer_key(tmp_path / "eve", "eve")))
    with pytest.raises(IntegrityError, match=f"{path.name}: signed by key {stranger.public.fingerprint}, expected"):
        desk.decisions()
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
    with pytest.raises(IntegrityError, match=rf"sign-offs/{path.name}: verdictDigest is"):
        verify(other.folder, key=registry_trust(other.registry))


def test_nothing_but_sign_offs_hides_among_them(desk: Desk) -> None:
    path = desk.sign(desk.report)
    for name in ("notes.txt", "more/x.dsse.json", f"{desk.pair.public.fingerprint[:8]}.dsse.json"):
        hidden = path.parent / name
        hidden.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, hidden)
        with pytest.raises(IntegrityError, match=f"{name}: file name is"):
            desk.decisions()
        hidden.unlink()
    assert desk.decisions() == {"Ada": "approve"}
