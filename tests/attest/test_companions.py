"""What is written for other tools is read by those tools, and contradicts nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from mace_gov.attest.bill_of_materials import bill_of_materials
from mace_gov.attest.dsse import seal
from mace_gov.attest.keypair import load_public_key
from mace_gov.attest.keys import ensure_key_pair, ensure_model_pair, registry_trust
from mace_gov.attest.model_signature import model_signature, read_model_signature
from mace_gov.attest.provenance import Build, provenance_statement
from mace_gov.attest.sign import collect_files, sign_evidence, sign_results, sign_summary
from mace_gov.attest.statement import open_statement
from mace_gov.attest.verify import verify
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import Evidence
from tests import factories
from tests.factories import SignedVersion

ENVELOPES = {
    "evidence.dsse.json": "https://mace-gov.dev/evidence/v1",
    "provenance.dsse.json": "https://slsa.dev/provenance/v1",
    "test-result.dsse.json": "https://in-toto.io/attestation/test-result/v0.1",
    "verdict.dsse.json": "https://slsa.dev/verification_summary/v1",
}


@pytest.fixture
def signed(tmp_path: Path) -> SignedVersion:
    return factories.version_folder(tmp_path, complete=True)


def _model_signing(signed: SignedVersion) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(signed.folder / "model"), "--signature",
               str(signed.folder / "model.sig"), "--public_key", str(signed.key.with_name("model.pub.pem"))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_standard_command_verifies_the_model_signature_and_refuses_a_changed_model(signed: SignedVersion) -> None:
    good = _model_signing(signed)
    assert good.returncode == 0 and "succeeded" in good.stdout + good.stderr, good.stdout + good.stderr
    path = signed.folder / "model" / "unet" / "config.json"
    path.write_bytes(b"[]")
    bad = _model_signing(signed)
    assert bad.returncode != 0 and "unet/config.json" in bad.stdout + bad.stderr


def test_a_signature_of_the_standard_command_is_read_here(signed: SignedVersion) -> None:
    keys = signed.registry / "keys"
    made = signed.folder / "other.sig"
    subprocess.run([sys.executable, "-m", "model_signing", "sign", "key", str(signed.folder / "model"), "--signature",
                    str(made), "--private_key", str(keys / "model.pem")], check=True, capture_output=True)
    trust = registry_trust(signed.registry)
    assert read_model_signature(made, trust, factories.CREATED) == factories.digests(factories.MODEL_FILES)
    written = read_model_signature(signed.folder / "model.sig", trust, factories.CREATED)
    assert written == factories.digests(factories.MODEL_FILES)


@pytest.mark.parametrize("name", ENVELOPES)
def test_securesystemslib_verifies_every_envelope(signed: SignedVersion, name: str) -> None:
    public = load_public_key(signed.key)
    key = SSlibKey.from_crypto(public.key, keyid=public.fingerprint)
    envelope = OtherEnvelope.from_dict(json.loads((signed.folder / name).read_bytes()))
    assert envelope.verify([key], 1)
    assert json.loads(envelope.payload)["predicateType"] == ENVELOPES[name]
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([key], 1)


def test_the_bill_of_materials_is_strict_cyclonedx(signed: SignedVersion) -> None:
    data = (signed.folder / "mlbom.cdx.json").read_text("utf-8")
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(data) is None
    assert validator.validate_str(data.replace('"machine-learning-model"', '"machine"', 1)) is not None
    bill = json.loads(data)
    model = bill["metadata"]["component"]
    assert model["hashes"][0]["content"] == signed.evidence.audit.governed_digest
    assert model["pedigree"]["ancestors"][0]["hashes"][0]["content"] == signed.evidence.audit.base_digest
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"NSFW-001", "NSFW-002", "NSFW-003"} <= {m["slice"].split(":")[0] for m in metrics if "slice" in m}
    listed = {c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] == "file"}
    assert listed["model/unet/config.json"] == factories.digests(factories.MODEL_FILES)["unet/config.json"]
    assert len(Bom.from_json(bill).components) == len(bill["components"])


def test_the_provenance_has_what_slsa_asks_for(signed: SignedVersion) -> None:
    statement, _ = open_statement(signed.folder / "provenance.dsse.json", registry_trust(signed.registry),
                                  "https://slsa.dev/provenance/v1")
    build, run = statement.predicate["buildDefinition"], statement.predicate["runDetails"]
    assert build["buildType"].startswith("https://") and run["builder"]["id"].startswith("https://")
    assert build["externalParameters"]["policy"]["digest"]["sha256"] == signed.evidence.policy_file_digest
    assert build["externalParameters"]["settings"]["targets"][0]["target"] == "nudity"
    uris = {item.get("uri"): item for item in build["resolvedDependencies"]}
    assert uris["mace-gov:embedded"]["digest"]["sha256"] == signed.evidence.audit.base_digest
    assert "pkg:pypi/torch@2.13.0" in uris
    assert [len(item["digest"]["sha256"]) for uri, item in uris.items() if "mace-gov@" in uri] == [64]
    assert {item["uri"] for item in run["byproducts"]} == {lora.file for lora in signed.evidence.erasure.loras}


@pytest.mark.parametrize("outcome, said", [("PASS", "PASSED"), ("REVIEW", "WARNED"), ("FAIL", "FAILED")])
def test_the_test_result_says_what_the_verdict_says(tmp_path: Path, outcome: str, said: str) -> None:
    findings = [factories.finding(rule="NSFW-001", outcome=outcome), factories.finding(rule="NSFW-002")]
    signed = factories.version_folder(tmp_path, complete=True, outcome=outcome, findings=findings)
    statement, _ = open_statement(signed.folder / "test-result.dsse.json", registry_trust(signed.registry),
                                  "https://in-toto.io/attestation/test-result/v0.1")
    told = statement.predicate
    assert told["result"] == said
    field = {"PASS": "passedTests", "REVIEW": "warnedTests", "FAIL": "failedTests"}[outcome]
    assert "NSFW-001" in told[field]
    assert sorted(told["passedTests"] + told["warnedTests"] + told["failedTests"]) == ["NSFW-001", "NSFW-002"]
    assert verify(signed.folder, key=signed.key).verdict.outcome == outcome


def test_a_model_signature_counts_under_a_pinned_model_key_alone(signed: SignedVersion, tmp_path: Path) -> None:
    trust = registry_trust(signed.registry)
    assert any("holds under the pinned model key" in c for c in verify(signed.folder, key=trust).checks)
    assert any("no model key is pinned" in c for c in verify(signed.folder, key=signed.key).checks)
    stranger = ensure_model_pair(tmp_path / "stranger")
    files = factories.digests(factories.MODEL_FILES)
    (signed.folder / "model.sig").write_bytes(model_signature(files, stranger))
    with pytest.raises(IntegrityError, match=r"model\.sig: signed by key"):
        read_model_signature(signed.folder / "model.sig", trust, factories.CREATED)
    sealed = json.loads(model_signature(files, ensure_model_pair(signed.registry)))
    other = json.loads(model_signature({**files, "unet/config.json": factories.hexa("x")},
                                       ensure_model_pair(signed.registry)))
    sealed["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    (signed.folder / "model.sig").write_text(json.dumps(sealed))
    with pytest.raises(IntegrityError, match=r"model\.sig: the signature does not hold"):
        read_model_signature(signed.folder / "model.sig", trust, factories.CREATED)


def _sign_again(signed: SignedVersion, **changes: object) -> None:
    """Sign evidence and verdict anew with the pipeline's own key, about the folder as it is now."""
    pair = ensure_key_pair(signed.registry)
    evidence = Evidence.from_json({**signed.evidence.to_json(), "files": collect_files(signed.folder), **changes})
    digest = sha256_file(sign_evidence(signed.folder, evidence, pair))
    verdict = signed.verdict.model_copy(update={"evidence_digest": digest})
    sign_results(signed.folder, evidence, verdict, pair)
    sign_summary(signed.folder, evidence, verdict, pair)


def test_a_companion_that_contradicts_the_evidence_is_refused_even_when_its_digest_is_signed(
    signed: SignedVersion,
) -> None:
    pair, files = ensure_key_pair(signed.registry), factories.digests(factories.MODEL_FILES)
    _sign_again(signed)
    verify(signed.folder, key=signed.key)
    evidence = signed.evidence
    other_base = factories.plan(base=factories.manifest(digest=factories.hexa("another")))
    other = Build("nsfw/1", signed.policy, evidence.policy_file_digest, other_base, evidence.erasure, evidence.audit)
    contradictions = {
        "model.sig": model_signature({**files, "more": factories.hexa("more")}, ensure_model_pair(signed.registry)),
        "provenance.dsse.json": seal(provenance_statement(other).canonical(), pair).canonical(),
        "mlbom.cdx.json": bill_of_materials(other),
    }
    for name, data in contradictions.items():
        good = (signed.folder / name).read_bytes()
        (signed.folder / name).write_bytes(data)
        _sign_again(signed)
        with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
            verify(signed.folder, key=signed.key)
        (signed.folder / name).write_bytes(good)


def test_a_test_result_that_says_other_than_the_verdict_is_refused(signed: SignedVersion) -> None:
    pair = ensure_key_pair(signed.registry)
    milder = signed.verdict.model_copy(update={"findings": signed.verdict.findings[:1]})
    sign_results(signed.folder, signed.evidence, milder, pair)
    sign_summary(signed.folder, signed.evidence, signed.verdict, pair)
    with pytest.raises(IntegrityError, match=r"test-result\.dsse\.json: passedTests is"):
        verify(signed.folder, key=signed.key)
