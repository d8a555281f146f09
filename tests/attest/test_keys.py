from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mace_gov.attest.keys import ensure_key_pair, load_public_key
from mace_gov.core.errors import IntegrityError, UsageError


def test_a_pair_is_made_once_with_tight_modes(tmp_path: Path) -> None:
    first, second = ensure_key_pair(tmp_path), ensure_key_pair(tmp_path)
    assert (first.made, second.made) == (True, False)
    assert first.public.fingerprint == second.public.fingerprint == load_public_key(first.public_path).fingerprint
    assert stat.S_IMODE(first.private_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.private_path.parent.stat().st_mode) == 0o700
    assert first.private_path == tmp_path / "keys" / "pipeline.pem"
    assert first.private_path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert sorted(path.name for path in first.private_path.parent.iterdir()) == [
        ".gitignore", "pipeline.pem", "pipeline.pub.pem", "trust.json"]


def test_none_is_made_where_a_committed_gitignore_lets_it_be_committed(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    keys = tmp_path / "registry" / "keys"
    keys.mkdir(parents=True, mode=0o700)
    (keys / ".gitignore").write_text("!*.pem\n")
    with pytest.raises(UsageError, match="git would commit .*pipeline.pem"):
        ensure_key_pair(tmp_path / "registry")
    assert not (keys / "pipeline.pem").exists()
    (keys / ".gitignore").write_text("*\n")
    assert ensure_key_pair(tmp_path / "registry").made


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    ensure_key_pair(tmp_path).private_path.chmod(mode)
    with pytest.raises(IntegrityError, match=f"mode {mode:04o}, expected 0600") as refused:
        ensure_key_pair(tmp_path)
    assert "chmod 600" in refused.value.hint


def test_a_key_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    ensure_key_pair(tmp_path).private_path.parent.chmod(0o777)
    with pytest.raises(IntegrityError, match="others may replace the keys"):
        ensure_key_pair(tmp_path)


def test_a_public_key_of_another_pair_beside_it_is_refused_and_a_lost_one_is_written_anew(tmp_path: Path) -> None:
    pair, other = ensure_key_pair(tmp_path / "a"), ensure_key_pair(tmp_path / "b")
    pair.public_path.write_bytes(other.public.pem())
    with pytest.raises(IntegrityError, match="is not the public half"):
        ensure_key_pair(tmp_path / "a")
    pair.public_path.unlink()
    assert load_public_key(ensure_key_pair(tmp_path / "a").public_path).fingerprint == pair.public.fingerprint


def test_what_is_no_ed25519_key_is_refused_with_its_name(tmp_path: Path) -> None:
    pair = ensure_key_pair(tmp_path)
    curve = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "key.pem"
    for data, expected in (
        (b"", "not a public key in PEM form"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key in PEM form"),
        (pair.private_path.read_bytes(), "holds a private key"),
        (curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "expected an Ed25519"),
    ):
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match=expected) as refused:
            load_public_key(path)
        assert str(path) in refused.value.message
    with pytest.raises(IntegrityError, match="cannot be read"):
        load_public_key(tmp_path / "nowhere.pem")
    for data in (b"garbage", curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())):
        pair.private_path.write_bytes(data)
        with pytest.raises(IntegrityError, match=r"pipeline\.pem"):
            ensure_key_pair(tmp_path)


def test_a_file_of_several_keys_pins_none_of_them(tmp_path: Path) -> None:
    one, other = (ensure_key_pair(tmp_path / name).public.pem() for name in ("a", "b"))
    (tmp_path / "both.pem").write_bytes(one + other)
    with pytest.raises(IntegrityError, match="holds 2 keys, expected one"):
        load_public_key(tmp_path / "both.pem")
