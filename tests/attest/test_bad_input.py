"""What is malformed is refused in words that name the file, also under a good signature: never with a traceback.

Whoever signs may be wrong, or of another version. Each document of a version is edited in one place and signed anew
with the right key; a trust file is edited as it is. What comes of it verifies, or is an IntegrityError.
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace_gov.attest.companions import check_companions
from mace_gov.attest.dsse import seal
from mace_gov.attest.keys import ensure_key_pair, ensure_model_pair, pin, registry_trust
from mace_gov.attest.sign_off import ReviewerDecision, sign_off
from mace_gov.attest.signed import read_signed
from mace_gov.attest.trust import load_trust
from mace_gov.attest.verify import verify
from mace_gov.core.canonical import canonical_json
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from tests import factories
from tests.attest.json_edits import Draw, edit

FUZZ = settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = ["evidence.dsse.json", "verdict.dsse.json", "provenance.dsse.json", "test-result.dsse.json", "mlbom.cdx.json",
         "model.sig", "sign-offs/KEY.dsse.json"]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> factories.SignedVersion:
    made = factories.version_folder(tmp_path_factory.mktemp("version"), complete=True)
    pair = ensure_key_pair(made.registry.with_name("reviewer"))
    pin(made.registry, pair.public, role=Role.REVIEWER, name="Ada")
    sign_off(verify(made.folder, key=registry_trust(made.registry)), pair,
             ReviewerDecision(Decision.APPROVE, "Ada", "safety", "looked"))
    return made


def _edited(signed: factories.SignedVersion, path: Path, draw: Draw) -> bytes:
    """The file's content, edited below its signature and signed again."""
    value = json.loads(path.read_bytes())
    pair = ensure_key_pair(signed.registry.with_name("reviewer") if "sign-offs" in str(path) else signed.registry)
    if path.name.endswith(".dsse.json"):
        return seal(canonical_json(edit(json.loads(base64.b64decode(value["payload"])), draw)), pair).canonical()
    if path.name == "model.sig" and draw(st.booleans()):
        model_pair = ensure_model_pair(signed.registry)
        statement = edit(json.loads(base64.b64decode(value["dsseEnvelope"]["payload"])), draw)
        payload = canonical_json(statement)
        value["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
        message = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
        value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(model_pair.sign(message)).decode()
        return canonical_json(value)
    return canonical_json(edit(value, draw))


@pytest.mark.parametrize("name", NAMES)
@FUZZ
@given(data=st.data())
def test_a_signed_document_with_one_thing_wrong(
    signed: factories.SignedVersion, name: str, data: st.DataObject
) -> None:
    path = next(signed.folder.glob(name.replace("KEY", "*")))
    good, trust = path.read_bytes(), registry_trust(signed.registry)
    try:
        path.write_bytes(_edited(signed, path, data.draw))
        try:
            # Below the digests that would stop it first: as if they had been signed for as well.
            check_companions(read_signed(signed.folder, trust, need_verdict=True), trust)
            verify(signed.folder, key=trust)
        except IntegrityError as refused:
            # The model's signature covers every file, and may be the one that is refused first.
            assert any(name in refused.message for name in (path.name, "model.sig"))
    finally:
        path.write_bytes(good)


@settings(FUZZ, max_examples=200)
@given(data=st.data())
def test_a_trust_file_with_one_thing_wrong(signed: factories.SignedVersion, data: st.DataObject) -> None:
    good = json.loads((signed.registry / "keys" / "trust.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trust.json"
        text = json.dumps(edit(good, data.draw))
        path.write_text(text if data.draw(st.booleans()) else text[:data.draw(st.integers(0, len(text) - 1))])
        try:
            load_trust(path)
        except IntegrityError as refused:
            assert str(path) in refused.message
