"""Which keys count, for what and until when."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from mace_gov.attest import keys
from mace_gov.attest.dsse import seal
from mace_gov.attest.keypair import encrypt_key, generate_key, load_key_pair
from mace_gov.attest.keys import (
    ensure_key_pair,
    ensure_model_pair,
    own_key_pair,
    pin,
    pinned_keys,
    registry_trust,
    revoke,
    rotate,
)
from mace_gov.attest.results import TEST_RESULT_TYPE
from mace_gov.attest.sign import sign_summary
from mace_gov.attest.statement import open_statement
from mace_gov.attest.trust import Trust, load_trust
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.core.locks import is_locked
from mace_gov.documents.registry import Layout
from mace_gov.documents.trust import Role
from tests import factories


def test_the_registrys_keys_are_pinned_in_their_roles_as_they_are_made(tmp_path: Path) -> None:
    pairs = {Role.PIPELINE: ensure_key_pair(tmp_path), Role.MODEL: ensure_model_pair(tmp_path)}
    assert {k.role: k.keyid for k in pinned_keys(tmp_path)} == {r: p.public.fingerprint for r, p in pairs.items()}


def test_a_registry_of_an_earlier_release_without_a_trust_file_gets_one(tmp_path: Path) -> None:
    ensure_key_pair(tmp_path)
    for name in ("keys/trust.json", "pinned.json"):
        (tmp_path / name).unlink()
    assert registry_trust(tmp_path).has(Role.PIPELINE)
    ensure_key_pair(tmp_path)
    assert [key.role for key in pinned_keys(tmp_path)] == [Role.PIPELINE]


def test_a_rotated_key_still_verifies_what_it_signed_and_nothing_later(tmp_path: Path) -> None:
    old = factories.version_folder(tmp_path, complete=True)
    before = {key.role: key.keyid for key in pinned_keys(old.registry)}
    for role in before:
        entry, pair = rotate(old.registry, role)
        assert entry.keyid == before[role] != pair.public.fingerprint and entry.retired
    trust = registry_trust(old.registry)
    assert verify(old.folder, key=trust).keyid == before[Role.PIPELINE]
    new = factories.version_folder(tmp_path, number=2, complete=True)
    assert verify(new.folder, key=trust).keyid == ensure_key_pair(old.registry).public.fingerprint
    assert len(pinned_keys(old.registry)) == 4


RETIRED = "2026-10-01T00:00:00Z"


@pytest.mark.parametrize("role, expected", [
    (Role.PIPELINE, f"created is 2026-11-01.*was retired on {RETIRED}"),
    (Role.MODEL, rf"model\.sig: was signed on 2026-11-01.*was retired on {RETIRED}"),
])
def test_what_a_key_signed_after_its_retirement_does_not_count(tmp_path: Path, role: Role, expected: str) -> None:
    signed = factories.version_folder(tmp_path, complete=role is Role.MODEL)
    rotate(signed.registry, role)
    document = json.loads((Layout(signed.registry).keys / "trust.json").read_text())
    for key in document["keys"]:
        if key.get("retired"):
            key["retired"] = RETIRED
    (tmp_path / "trust.json").write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match=expected):
        verify(signed.folder, key=tmp_path / "trust.json")


def test_a_report_that_a_retired_key_signed_later_does_not_count(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path, complete=True)
    report = factories.report_folder(tmp_path, signed)  # its own time is now
    trust = registry_trust(signed.registry)
    assert verify(report, key=trust)
    keys = [(entry.model_copy(update={"retired": "2026-11-02T00:00:00Z"}), key) for entry, key in trust.keys]
    with pytest.raises(IntegrityError, match=r"report\.dsse\.json: was signed on .* was retired on 2026-11-02"):
        verify(report, key=Trust(tuple(keys)))


def test_companions_that_a_retired_key_signed_later_do_not_count(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path, complete=True)
    old = ensure_key_pair(signed.registry)
    rotate(signed.registry, Role.PIPELINE)
    other = factories.version_folder(tmp_path, number=2, complete=True)
    trust = registry_trust(signed.registry)
    keys = tuple((entry.model_copy(update={"retired": RETIRED}) if entry.retired else entry, key)
                 for entry, key in trust.keys)
    path = other.folder / "test-result.dsse.json"
    path.write_bytes(seal(open_statement(path, trust, TEST_RESULT_TYPE)[0].canonical(), old).canonical())
    sign_summary(other.folder, other.evidence, other.verdict, ensure_key_pair(signed.registry))
    with pytest.raises(IntegrityError, match=r"test-result\.dsse\.json: was signed on .* was retired on"):
        verify(other.folder, key=Trust(keys))


@pytest.mark.parametrize("loss", ["gone", "older", "unrevoked", "role"])
def test_a_trust_file_that_says_less_than_it_did_is_refused(tmp_path: Path, loss: str) -> None:
    ensure_key_pair(tmp_path)
    generate_key(tmp_path / "ada.pem")
    ada = load_key_pair(tmp_path / "ada.pem").public
    path = Layout(tmp_path).keys / "trust.json"
    older = path.read_bytes()
    pin(tmp_path, ada, role=Role.REVIEWER, name="Ada")
    revoke(tmp_path, ada.fingerprint, "stolen")
    document = json.loads(path.read_text())
    if loss == "gone":
        path.unlink()
    elif loss == "older":
        path.write_bytes(older)
    elif loss == "unrevoked":
        del document["keys"][1]["revoked"]
        path.write_text(json.dumps(document))
    else:
        document["keys"][1]["role"] = "pipeline"
        path.write_text(json.dumps(document))
    for ask in (registry_trust, pinned_keys, ensure_key_pair):
        with pytest.raises(IntegrityError, match=r"trust\.json") as refused:
            ask(tmp_path)
        assert "pinned.json" in refused.value.message
    # What it said is still there to be put back.
    path.write_bytes((tmp_path / "pinned.json").read_bytes())
    assert [key.revoked is not None for key in pinned_keys(tmp_path)] == [False, True]


def test_a_trust_file_that_was_brought_from_elsewhere_may_say_more(tmp_path: Path) -> None:
    ensure_key_pair(tmp_path)
    (tmp_path / "pinned.json").unlink()
    assert len(pinned_keys(tmp_path)) == 1


def _change(registry: Path, number: int) -> None:
    generate_key(registry / f"{number}.pem")
    key = load_key_pair(registry / f"{number}.pem").public
    pin(registry, key, role=Role.REVIEWER, name=str(number))
    revoke(registry, key.fingerprint, "test")


def test_changes_by_several_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    ensure_key_pair(tmp_path)
    # What one process reads, another would have written by the time it writes, but for the lock.
    processes = [multiprocessing.get_context("fork").Process(target=_change, args=(tmp_path, n)) for n in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    reviewers = [key for key in pinned_keys(tmp_path) if key.role is Role.REVIEWER]
    assert sorted(key.name for key in reviewers) == [str(n) for n in range(6)]
    assert all(key.revoked for key in reviewers)


def test_a_change_waits_for_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_key_pair(tmp_path)
    generate_key(tmp_path / "ada.pem")
    held: list[bool] = []
    monkeypatch.setattr(keys, "write_bytes", lambda *_: held.append(is_locked(Layout(tmp_path).keys)))
    pin(tmp_path, load_key_pair(tmp_path / "ada.pem").public, role=Role.REVIEWER, name="Ada")
    assert held == [True, True] and not is_locked(Layout(tmp_path).keys)


def test_a_signing_pair_is_found_and_never_made_for_whoever_only_reads(tmp_path: Path) -> None:
    pair = ensure_key_pair(tmp_path)
    trust = registry_trust(tmp_path)
    assert own_key_pair(tmp_path, trust).public.fingerprint == pair.public.fingerprint
    assert own_key_pair(tmp_path, Trust.of(ensure_key_pair(tmp_path / "other").public)) is None
    rotate(tmp_path, Role.PIPELINE)
    assert own_key_pair(tmp_path, trust) is None  # the new pair is not pinned in what was read before
    (Layout(tmp_path).keys / "pipeline.pem").unlink()
    assert own_key_pair(tmp_path, registry_trust(tmp_path)) is None
    assert not (Layout(tmp_path).keys / "pipeline.pem").exists()


def test_a_revoked_key_takes_everything_that_it_signed_with_it(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path, complete=True)
    revoked = ensure_key_pair(signed.registry).public
    keyid = revoked.fingerprint
    entry = revoke(signed.registry, keyid[:10], "found in a chat log")
    assert entry.keyid == keyid
    with pytest.raises(IntegrityError, match=r"evidence\.dsse\.json: signed by key .* revoked on .*: found in a chat"):
        verify(signed.folder, key=registry_trust(signed.registry))
    # Signing goes on with a new key, and the revoked one is not taken back.
    assert ensure_key_pair(signed.registry).public.fingerprint != keyid
    with pytest.raises(UsageError, match="pinned already"):
        pin(signed.registry, revoked, role=Role.PIPELINE, name="again")


@pytest.mark.parametrize("keyid", ["", "abc", "0" * 12])
def test_revoking_names_exactly_one_key(tmp_path: Path, keyid: str) -> None:
    ensure_key_pair(tmp_path)
    with pytest.raises(UsageError, match="0 pinned keys"):
        revoke(tmp_path, keyid, "why")


def test_a_retired_or_revoked_private_key_put_back_does_not_sign(tmp_path: Path) -> None:
    pair = ensure_key_pair(tmp_path)
    saved = pair.private_path.read_bytes()
    rotate(tmp_path, Role.PIPELINE)
    (Layout(tmp_path).keys / "pipeline.pub.pem").unlink()
    pair.private_path.write_bytes(saved)
    with pytest.raises(IntegrityError, match=rf"{pair.public.fingerprint}\) is retired"):
        ensure_key_pair(tmp_path)


def test_a_key_counts_in_its_own_role_alone(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path)
    document = json.loads((Layout(signed.registry).keys / "trust.json").read_text())
    document["keys"][0]["role"] = "reviewer"
    (tmp_path / "trust.json").write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="is pinned as reviewer, expected a pipeline"):
        verify(signed.folder, key=tmp_path / "trust.json")


@pytest.mark.parametrize("change, expected", [
    (lambda d: d["keys"].append(d["keys"][0]), "pinned twice"),
    (lambda d: d["keys"][0].update(keyid="0" * 64), "its key's fingerprint is"),
    (lambda d: d["keys"][0].update(role="boss"), r"keys\.0\.role"),
    (lambda d: d["keys"][0].update(role="model"), "expected an ECDSA P-256"),
    (lambda d: d["keys"][0].update(pem="no key"), "not a public key in PEM form"),
    (lambda d: d["keys"][0].update(since="yesterday"), "since is 'yesterday'"),
    (lambda d: d["keys"][0].update(name="a\x1b[2J"), r"keys\.0\.name"),
    (lambda d: d["keys"][0].update(note=1), r"keys\.0\.note"),
    (lambda d: d.update(schemaVersion="mace-gov/trust/v2"), "schemaVersion"),
    (lambda d: d.update(keys={}), "keys"),
])
def test_a_trust_file_that_is_not_right_is_refused_with_its_name(tmp_path: Path, change, expected: str) -> None:
    ensure_key_pair(tmp_path)
    path = Layout(tmp_path).keys / "trust.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match=expected) as refused:
        load_trust(path)
    assert str(path) in refused.value.message
    path.write_text('{"keys": [], "keys": []}')
    with pytest.raises(IntegrityError, match="twice"):
        load_trust(path)


def test_a_passphrase_encrypts_and_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACE_GOV_PASSPHRASE", "correct horse")
    pair = ensure_key_pair(tmp_path)
    assert b"ENCRYPTED PRIVATE KEY" in pair.private_path.read_bytes()
    assert ensure_key_pair(tmp_path).public.fingerprint == pair.public.fingerprint
    monkeypatch.setenv("MACE_GOV_PASSPHRASE", "wrong")
    with pytest.raises(UsageError, match=r"does not open the private key .*pipeline\.pem"):
        ensure_key_pair(tmp_path)
    monkeypatch.delenv("MACE_GOV_PASSPHRASE")
    with pytest.raises(UsageError, match="is encrypted and no passphrase was given"):
        ensure_key_pair(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    monkeypatch.setenv("MACE_GOV_PASSPHRASE_FILE", str(secret))
    assert ensure_key_pair(tmp_path).public.fingerprint == pair.public.fingerprint
    _, new = rotate(tmp_path, Role.PIPELINE)
    assert b"ENCRYPTED PRIVATE KEY" in new.private_path.read_bytes()
    encrypt_key(new.private_path, None)
    assert b"ENCRYPTED" not in new.private_path.read_bytes()
    secret.write_text("\n")
    with pytest.raises(UsageError, match="MACE_GOV_PASSPHRASE_FILE is empty"):
        generate_key(tmp_path / "x.pem")
    monkeypatch.setenv("MACE_GOV_PASSPHRASE_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="nowhere cannot be read"):
        generate_key(tmp_path / "x.pem")


def test_a_key_is_not_made_over_another(tmp_path: Path) -> None:
    path = tmp_path / "reviewer.pem"
    assert generate_key(path)
    before = load_key_pair(path).public.fingerprint
    assert not generate_key(path)
    assert load_key_pair(path).public.fingerprint == before
    assert path.stat().st_mode & 0o777 == 0o600
