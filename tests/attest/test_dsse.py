from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from mace_gov.attest.dsse import open_envelope, pre_authentication_encoding, seal
from mace_gov.attest.keypair import KeyPair
from mace_gov.attest.keys import ensure_key_pair
from mace_gov.attest.trust import Trust
from mace_gov.core.canonical import canonical_json, strict_json
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import PAYLOAD_TYPE, Envelope

PAYLOAD = b'{"a":1}'


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    return ensure_key_pair(tmp_path)


def _written(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "x.dsse.json"
    path.write_bytes(value if isinstance(value, bytes) else canonical_json(value))
    return path


def test_the_encoding_is_the_one_of_the_specification() -> None:
    # The example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_securesystemslib_verifies_what_is_sealed_here(pair: KeyPair) -> None:
    envelope = seal(PAYLOAD, pair)
    key = SSlibKey.from_crypto(pair.public.key, keyid=pair.public.fingerprint)
    assert OtherEnvelope.from_dict(envelope.to_json()).verify([key], 1)
    changed = {**envelope.to_json(), "payload": base64.b64encode(b'{"a":2}').decode()}
    with pytest.raises(VerificationError):
        OtherEnvelope.from_dict(changed).verify([key], 1)


def test_what_securesystemslib_seals_opens_here(pair: KeyPair, tmp_path: Path) -> None:
    key = SSlibKey.from_crypto(pair.public.key, keyid=pair.public.fingerprint)
    other = OtherEnvelope(PAYLOAD, PAYLOAD_TYPE, {})
    other.sign(CryptoSigner(pair.private, key))
    assert open_envelope(_written(tmp_path, other.to_dict()), Trust.of(pair.public)).payload == PAYLOAD


def test_every_single_changed_byte_is_refused(pair: KeyPair, tmp_path: Path) -> None:
    data = seal(PAYLOAD, pair).canonical()
    for index in range(len(data)):
        path = _written(tmp_path, data[:index] + bytes([data[index] ^ 1]) + data[index + 1:])
        with pytest.raises(IntegrityError, match=r"x\.dsse\.json"):
            open_envelope(path, Trust.of(pair.public))


def test_every_truncation_and_every_addition_is_refused(pair: KeyPair, tmp_path: Path) -> None:
    data = seal(PAYLOAD, pair).canonical()
    for cut in (*range(len(data)), None):
        path = _written(tmp_path, data + b"\n" if cut is None else data[:cut])
        with pytest.raises(IntegrityError, match=r"x\.dsse\.json"):
            open_envelope(path, Trust.of(pair.public))


def test_another_key_is_refused_and_both_are_named(pair: KeyPair, tmp_path: Path) -> None:
    other = ensure_key_pair(tmp_path / "other")
    path = _written(tmp_path, seal(PAYLOAD, other).canonical())
    with pytest.raises(IntegrityError, match=f"{other.public.fingerprint}, expected {pair.public.fingerprint}"):
        open_envelope(path, Trust.of(pair.public))


def test_a_key_id_that_lies_about_its_key_is_refused(pair: KeyPair, tmp_path: Path) -> None:
    other = seal(PAYLOAD, ensure_key_pair(tmp_path / "other")).to_json()
    other["signatures"][0]["keyid"] = pair.public.fingerprint
    with pytest.raises(IntegrityError, match="does not hold"):
        open_envelope(_written(tmp_path, other), Trust.of(pair.public))


def test_envelopes_that_leave_room_are_refused(pair: KeyPair, tmp_path: Path) -> None:
    good = seal(PAYLOAD, pair).to_json()
    signature = good["signatures"][0]
    foreign = seal(PAYLOAD, ensure_key_pair(tmp_path / "other")).to_json()["signatures"][0]
    raw = json.dumps(good)
    for value, expected in (
        (b"", "is empty"),
        (b"[]", "is not a DSSE envelope"),
        (b"\xff\xfe", "is not a DSSE envelope"),
        (b"[" * 100_000, "is not a DSSE envelope"),
        ({**good, "signatures": []}, "signatures"),
        ({**good, "signatures": [signature, signature]}, "two signatures claim the same key"),
        ({**good, "signatures": [signature, foreign]}, "expected"),
        ({**good, "payload": ""}, "payload"),
        ({**good, "payload": "!!!!"}, "payload is not base64"),
        ({**good, "payload": good["payload"] + "\n"}, "payload"),
        ({**good, "signatures": [{**signature, "sig": "AA"}]}, "signature is not base64"),
        ({**good, "signatures": [{**signature, "sig": "AAAA"}]}, "does not hold"),
        ({**good, "payloadType": "text/plain"}, "payloadType"),
        ({**good, "note": 1}, "note"),
        (raw.encode(), "canonical"),
        (raw.replace('{"payloadType"', '{"payload": "YQ==", "payloadType"').encode(), "payload"),
    ):
        with pytest.raises(IntegrityError, match=expected):
            open_envelope(_written(tmp_path, value), Trust.of(pair.public))


def test_the_spare_bits_of_base64_are_not_free(pair: KeyPair, tmp_path: Path) -> None:
    good = seal(b'{"a":10}', pair).to_json()  # 8 bytes: the last letter before the padding has spare bits
    last = good["payload"].index("=") - 1
    twin = good["payload"][:last] + chr(ord(good["payload"][last]) + 1) + good["payload"][last + 1:]
    assert base64.b64decode(twin) == b'{"a":10}'
    with pytest.raises(IntegrityError, match="canonical base64"):
        open_envelope(_written(tmp_path, {**good, "payload": twin}), Trust.of(pair.public))


def test_strict_json_refuses_what_two_readers_could_read_differently() -> None:
    assert strict_json(b'{"a":{"b":[1,2.5,null]}}') == {"a": {"b": [1, 2.5, None]}}
    assert strict_json(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]
    for text in (b'{"a":1,"a":1}', b'{"x":{"a":1,"a":2}}', b'[NaN]', b'[Infinity]', b"[-Infinity]", b"\xef\xbb\xbf{}",
                 b'["\\ud800"]', b'{"\\uDFFF":1}', b'["\\ude00\\ud83d"]'):
        with pytest.raises(ValueError):
            strict_json(text)


def test_a_sealed_envelope_round_trips(pair: KeyPair, tmp_path: Path) -> None:
    envelope = seal(PAYLOAD, pair)
    path = _written(tmp_path, envelope.canonical())
    assert open_envelope(path, Trust.of(pair.public)).payload == PAYLOAD
    assert Envelope.from_json(json.loads(path.read_bytes())) == envelope
