"""Public keys that no key pair has are not pinned."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mace_gov.attest.curve_point import ORDER, PRIME, point_problem
from mace_gov.attest.keypair import load_public_key
from mace_gov.core.errors import IntegrityError

TORSION = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
"""All eight points whose order divides eight."""
SECOND = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    *((PRIME + n).to_bytes(32, "little").hex() for n in range(19)),
    *((PRIME + n + 2**255).to_bytes(32, "little").hex() for n in range(19)),
]
"""Encodings that are not the canonical one."""


def test_the_samples_are_the_whole_of_them() -> None:
    assert len(set(TORSION)) == 8 and len(set(SECOND)) == 40


@pytest.mark.parametrize("encoded", TORSION)
def test_a_point_of_small_order_is_refused(encoded: str) -> None:
    assert "small order" in point_problem(bytes.fromhex(encoded))


@pytest.mark.parametrize("encoded", SECOND)
def test_a_second_encoding_is_refused(encoded: str) -> None:
    assert point_problem(bytes.fromhex(encoded)) == "is not in canonical form"


def test_keys_of_pairs_are_taken_and_what_is_near_them_is_not() -> None:
    for _ in range(8):
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        assert point_problem(key) is None
    base = (4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little")
    assert point_problem(base) is None
    # The base point with the point of order two added: x and y change their signs.
    mixed = int.to_bytes((PRIME - int.from_bytes(base, "little")) | (1 << 255), 32, "little")
    assert "part of small order" in point_problem(mixed)
    assert point_problem((2).to_bytes(32, "little")) == "is no point of the curve"
    assert ORDER.bit_length() == 253


@pytest.mark.parametrize("encoded", [TORSION[0], TORSION[5], SECOND[0], SECOND[3]])
def test_such_a_key_cannot_be_read_from_a_file(tmp_path: Path, encoded: str) -> None:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(encoded))
    path = tmp_path / "evil.pub.pem"
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(IntegrityError, match=r"evil\.pub\.pem is (of small order|not in canonical form)") as refused:
        load_public_key(path)
    assert refused.value.exit_code == 4
