"""Which keys count, for what and until when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mace_gov.attest.keypair import encrypt_key, generate_key, load_key_pair
from mace_gov.attest.keys import (
    ensure_key_pair,
    ensure_model_pair,
    key_folder,
    pin,
    pinned_keys,
    registry_trust,
    revoke,
    rotate,
)
from mace_gov.attest.trust import load_trust
from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.documents.trust import Role
from tests import factories


def test_the_registrys_keys_are_pinned_in_their_roles_as_they_are_made(tmp_path: Path) -> None:
    pairs = {Role.PIPELINE: ensure_key_pair(tmp_path), Role.MODEL: ensure_model_pair(tmp_path)}
    assert {k.role: k.keyid for k in pinned_keys(tmp_path)} == {r: p.public.fingerprint for r, p in pairs.items()}
    (tmp_path / "keys" / "trust.json").unlink()
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
    # The same evidence, had the key been retired before it was signed.
    document = json.loads((key_folder(old.registry) / "trust.json").read_text())
    for key in document["keys"]:
        if key.get("retired"):
            key["retired"] = "2026-10-01T00:00:00Z"
    (tmp_path / "trust.json").write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="created is 2026-11-01.*was retired on 2026-10-01"):
        verify(old.folder, key=tmp_path / "trust.json")


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
    (key_folder(tmp_path) / "pipeline.pub.pem").unlink()
    pair.private_path.write_bytes(saved)
    with pytest.raises(IntegrityError, match=rf"{pair.public.fingerprint}\) is retired"):
        ensure_key_pair(tmp_path)


def test_a_key_counts_in_its_own_role_alone(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path)
    document = json.loads((key_folder(signed.registry) / "trust.json").read_text())
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
    path = key_folder(tmp_path) / "trust.json"
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
