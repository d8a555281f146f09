"""Malformed envelopes, evidence, reports, trust files and keys: each is refused by name, and nothing is written."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mace_gov.attest.dsse import seal
from mace_gov.attest.keypair import parse_public_key
from mace_gov.attest.keys import ensure_key_pair
from mace_gov.documents.evidence import VERDICT_FIELD, Evidence
from mace_gov.documents.trust import Role, TrustedKey, TrustFile
from mace_gov.documents.verdict import Verdict
from tests import factories
from tests.campaign.mutations import Mutation, mutations

ENVELOPES = {
    "empty": b"", "text": b"hello", "a list": b"[]", "a number": b"7", "null": b"null", "an empty object": b"{}",
    "not utf-8": b"\xff\xfe{}", "cut off": b'{"payload":"', "nested": b"[" * 100_000,
    "a key twice": b'{"payload":"","payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}',
    "no signature": b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}',
    "another type": b'{"payload":"e30=","payloadType":"text/plain","signatures":[{"keyid":"a","sig":"b"}]}',
    "payload no base64": b'{"payload":"***","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"a",'
                         b'"sig":"b"}]}',
    "unknown field": b'{"extra":1,"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":'
                     b'"a","sig":"b"}]}',
}


@pytest.mark.parametrize("name", ["evidence.dsse.json", "verdict.dsse.json"])
@pytest.mark.parametrize("case", ENVELOPES)
def test_an_envelope_that_is_none(run, tmp_path: Path, name: str, case: str):
    made = factories.version_folder(tmp_path)
    (made.folder / name).write_bytes(ENVELOPES[case])
    code, _, err = run("verify", made.folder, "--registry", made.registry, "--key", made.key)
    assert code == 4 and name in err


@pytest.mark.parametrize("case", ENVELOPES)
def test_a_report_that_is_none(run, case: str):
    Path("report.json").write_bytes(ENVELOPES[case])
    code, _, err = run("export", "report.json", "--output", "csv=out.csv")
    assert code == 2 and "report.json: " in err


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> factories.SignedVersion:
    """A governed version that is only read."""
    return factories.version_folder(tmp_path_factory.mktemp("governed"))


def _trust_file() -> dict[str, Any]:
    """A good trust file of one key; which key it is does not matter to what is spoilt in it."""
    pem = ("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
           "-----END PUBLIC KEY-----\n")
    key = TrustedKey(name="pipeline", role=Role.PIPELINE, pem=pem, since="2026-01-01T00:00:00Z",
                     keyid=parse_public_key(pem.encode(), "sample").fingerprint)
    return TrustFile(keys=[key]).to_json()


BY_TRUST_SCHEMA = [
    pytest.param(m, id=m.name) for m in mutations(_trust_file(), TrustFile.model_json_schema(by_alias=True))
]


@pytest.mark.parametrize("spoilt", BY_TRUST_SCHEMA)
def test_a_trust_file_that_its_schema_forbids(run, governed: factories.SignedVersion, spoilt: Mutation):
    Path("trust.json").write_text(json.dumps(spoilt.value))
    code, _, err = run("verify", governed.folder, "--registry", governed.registry, "--key", "trust.json")
    assert code == 4 and "trust.json" in err
    if len(spoilt.where) > 1:
        assert str(spoilt.where[-1]) in err or str(spoilt.where[-2]) in err, err


@pytest.mark.parametrize("case", ["empty", "text", "another key", "a private key", "a folder", "nothing"])
def test_a_key_that_is_none(run, tmp_path: Path, case: str):
    made = factories.version_folder(tmp_path)
    path = tmp_path / "pinned.pem"
    if case == "a folder":
        path.mkdir()
    elif case == "a private key":
        path.write_bytes((made.registry / "keys" / "pipeline.pem").read_bytes())
    elif case != "nothing":
        path.write_bytes({"empty": b"", "text": b"hello", "another key": b"-----BEGIN PUBLIC KEY-----\nAAAA\n"}[case])
    code, _, err = run("verify", made.folder, "--registry", made.registry, "--key", path)
    assert code == 4 and "pinned.pem" in err


# The good documents, of which every n-th mutation is signed with the right key: the schema is what refuses it.
SIGNED = {
    "evidence.dsse.json": (factories.evidence().to_json(), Evidence, ("predicate",), 12),
    "verdict.dsse.json": (factories.verdict().to_json(), Verdict, ("predicate", VERDICT_FIELD), 5),
}
BY_EVIDENCE_SCHEMA = [
    pytest.param(name, m, id=f"{name} {m.name}") for name, (good, document, _, step) in SIGNED.items()
    for m in list(mutations(good, document.model_json_schema(by_alias=True)))[::step]
]


@pytest.mark.parametrize(("name", "spoilt"), BY_EVIDENCE_SCHEMA)
def test_signed_evidence_that_its_schema_forbids(run, tmp_path: Path, governed, name: str, spoilt: Mutation):
    folder = tmp_path / "registry" / "versions" / "nsfw" / "1"
    shutil.copytree(governed.folder, folder, copy_function=os.link)
    payload = json.loads(base64.b64decode(json.loads((folder / name).read_bytes())["payload"]))
    holder = payload
    *way, last = SIGNED[name][2]
    for part in way:
        holder = holder[part]
    holder[last] = spoilt.value
    (folder / name).unlink()
    (folder / name).write_bytes(seal(json.dumps(payload).encode(), ensure_key_pair(governed.registry)).canonical())
    code, _, err = run("verify", folder, "--registry", tmp_path / "registry", "--key", governed.key)
    assert code == 4 and name in err
    named = [str(part) for part in spoilt.where if isinstance(part, str)][-2:]
    assert not named or any(part in err for part in named) or "NaN" in err, err
