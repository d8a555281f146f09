"""Join what was asked, what was seen and what was decided into the one document that every format derives from."""

from __future__ import annotations

import shlex
from pathlib import PurePath

from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import EVIDENCE_TYPE, VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Verdict

KEY, MODEL_KEY, MODEL_SIGNATURE = "pipeline.pub.pem", "model.pub.pem", "model.sig"

UNPACK_DSSE = """\
python3 - {envelope} <<'END'
import base64, json, sys
envelope = json.load(open(sys.argv[1]))
payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
open("/tmp/pae.bin", "wb").write(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
open("/tmp/sig.bin", "wb").write(base64.b64decode(envelope["signatures"][0]["sig"]))
print(json.loads(payload)["predicateType"])
END
openssl pkeyutl -verify -pubin -inkey {key} -rawin -in /tmp/pae.bin -sigfile /tmp/sig.bin"""
"""DSSE's pre-authentication encoding and an Ed25519 check, with python3 and openssl alone."""


def how_to_verify(
    verdict: Verdict, keyid: str, *, version: str | None, folder: str, signature: bool = False, signed: bool = True
) -> list[str]:
    """Commands that verify the report independently, in order. Entries that begin with ``#`` are remarks.

    ``folder`` is the version's folder as a reader would type it, ``signature`` whether it has an OpenSSF signature,
    ``signed`` whether the report itself is going to be signed.
    """
    parts = PurePath(folder).parts
    name = version.replace("/", "-v") if version else "-audit-".join(parts[-2:])
    place, report = shlex.quote(folder), shlex.quote(f"reports/{name}")
    model = shlex.quote(f"{folder}/model") if version else "MODEL_FOLDER"
    # Of a decision under another policy than the evidence's, that policy does not lie beside the evidence.
    policy = "POLICY.yaml" if verdict.evidence_policy_digest else f"{place}/policy.yaml"
    return [
        "# Run the commands where the folders registry and reports lie, or write your own paths. "
        f"Get the public key {KEY} by another way than these folders and check its fingerprint. Expected: {keyid}",
        f"openssl pkey -pubin -in {KEY} -outform DER | sha256sum",
        "# Check signatures, every file’s digest, and that evidence, verdict and model belong together.",
        f"mace-gov verify {place} --key {KEY}",
        *([
            "# Check that the report folder is as it was signed.",
            f"mace-gov verify {report} --key {KEY}",
        ] if signed else ["# This report is unsigned: there is nothing that its own folder could be checked against."]),
        "# Decide again, from the verified evidence and your own copy of the policy.",
        f"mace-gov gate {place} --policy {policy} --key {KEY}",
        f"# Without mace-gov: the evidence envelope’s digest. Expected: {verdict.evidence_digest}",
        f"sha256sum {report}/evidence.dsse.json",
        f"# Without mace-gov: the model folder’s digest. Expected: {verdict.governed_digest}",
        f"(cd {model} && find -L . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)",
        *([
            f"# Without mace-gov: the model’s OpenSSF signature (pip install model-signing pyopenssl); {MODEL_KEY}",
            f"model_signing verify key {model} --signature {place}/{MODEL_SIGNATURE} --public_key {MODEL_KEY}",
        ] if signature else []),
        f"# Without mace-gov: the evidence’s signature, an in-toto Statement v1 in a DSSE envelope, signed with "
        f"Ed25519. Expected: {EVIDENCE_TYPE}, then a line that says that the signature was verified.",
        UNPACK_DSSE.format(envelope=f"{report}/evidence.dsse.json", key=KEY),
    ]


def _as_typed(folder: str) -> str:
    """A machine's own absolute path is nobody's business: keep ``registry/versions/NAME/N`` of it."""
    path = PurePath(folder)
    return PurePath(*path.parts[-4:]).as_posix() if path.is_absolute() else path.as_posix()


def compose(
    policy: Policy, verified: VerifiedEvidence, verdict: Verdict, *, version: str | None, folder: str | None = None,
    release: ReleaseCheck | None = None, signed: bool = True,
) -> Report:
    """The report's document.

    ``version`` is ``NAME/N`` of a governed version, or None for a model that was made elsewhere; ``folder`` is the
    version's folder (the default is its place below ``registry``); of an absolute path the last four parts are kept.
    ``release`` says how it stands now, ``signed`` whether the pipeline's key is going to sign the report.
    Raises IntegrityError when policy, evidence and verdict are not about the same policy, model and envelope; a verdict
    under another policy than the evidence's names both.
    """
    evidence = verified.evidence
    for what, found, expected in (
        ("the policy", policy.content_digest(), verdict.policy_digest),
        ("the verdict's policy", verdict.evidence_policy_digest or verdict.policy_digest, evidence.policy_digest),
        ("the verdict's model", verdict.governed_digest, evidence.audit.governed_digest),
        ("the verdict's evidence", verdict.evidence_digest, verified.evidence_digest),
    ):
        if found != expected:
            raise IntegrityError(f"{what} has digest {found}, the evidence is about {expected}")
    name = f"{policy.metadata.name} {policy.metadata.version}"
    place = _as_typed(folder or f"registry/versions/{version or 'NAME/N'}")
    return Report(
        title=f"{name}, governed version {version}" if version else f"{name}, audit of a model made elsewhere",
        version=version,
        policy=policy,
        evidence=evidence,
        verdict=verdict,
        sign_offs=list(verified.sign_offs),
        release=release,
        signed=signed,
        keyid=verified.keyid,
        how_to_verify=how_to_verify(
            verdict, verified.keyid, version=version, folder=place, signature=MODEL_SIGNATURE in evidence.files,
            signed=signed,
        ),
        checks=list(verified.checks),
    )
