"""Join what was asked, what was seen and what was decided into the one document that every format derives from."""

from __future__ import annotations

import shlex

from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import EVIDENCE_TYPE, VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Verdict

KEY = "pipeline.pub.pem"

UNPACK_DSSE = f"""\
python3 - <<'END'
import base64, json
envelope = json.load(open("evidence.dsse.json"))
payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
open("pae.bin", "wb").write(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
open("sig.bin", "wb").write(base64.b64decode(envelope["signatures"][0]["sig"]))
assert json.loads(payload)["predicateType"] == "{EVIDENCE_TYPE}"
END
openssl pkeyutl -verify -pubin -inkey {KEY} -rawin -in pae.bin -sigfile sig.bin"""
"""DSSE's pre-authentication encoding and an Ed25519 check, with python3 and openssl alone."""


def how_to_verify(verdict: Verdict, keyid: str, folder: str) -> list[str]:
    """Commands for a reader who trusts nobody, in the order to run them. Lines that begin with ``#`` are remarks."""
    place = shlex.quote(folder)
    model = shlex.quote(f"{folder}/model")
    return [
        f"# Get the public key {KEY} by another way than this folder, and check its fingerprint. Expected: {keyid}",
        f"openssl pkey -pubin -in {KEY} -outform DER | sha256sum",
        "# Check signatures, every file's digest, and that evidence, verdict and model belong together.",
        f"mace-gov verify {place} --key {KEY}",
        "# Check that this report folder is as it was signed.",
        f"mace-gov verify . --key {KEY}",
        "# Decide again, from the verified evidence and your own copy of the policy.",
        f"mace-gov gate {place} --policy policy.yaml --key {KEY}",
        f"# Without mace-gov: the evidence envelope's digest. Expected: {verdict.evidence_digest}",
        "sha256sum evidence.dsse.json",
        f"# Without mace-gov: the model folder's digest. Expected: {verdict.governed_digest}",
        f"(cd {model} && find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)",
        "# Without mace-gov: the evidence's signature (an in-toto Statement v1 in a DSSE envelope, Ed25519).",
        UNPACK_DSSE,
    ]


def compose(
    policy: Policy, verified: VerifiedEvidence, verdict: Verdict, *, version: str | None, folder: str | None = None
) -> Report:
    """The report's document.

    ``version`` is ``NAME/N`` of a governed version, or None for a model that was made elsewhere; ``folder`` is the
    version's folder as a reader would type it (the default is its place below ``registry``). Raises IntegrityError when
    policy, evidence and verdict are not about the same policy, model and envelope.
    """
    evidence = verified.evidence
    for what, found, expected in (
        ("the policy", policy.content_digest(), evidence.policy_digest),
        ("the verdict's policy", verdict.policy_digest, evidence.policy_digest),
        ("the verdict's model", verdict.governed_digest, evidence.audit.governed_digest),
        ("the verdict's evidence", verdict.evidence_digest, verified.evidence_digest),
    ):
        if found != expected:
            raise IntegrityError(f"{what} has digest {found}, the evidence is about {expected}")
    name = f"{policy.metadata.name} {policy.metadata.version}"
    place = folder or (f"registry/versions/{version}" if version else "VERSION_FOLDER")
    return Report(
        title=f"{name}, governed version {version}" if version else f"{name}, audit of a model made elsewhere",
        version=version,
        policy=policy,
        evidence=evidence,
        verdict=verdict,
        keyid=verified.keyid,
        how_to_verify=how_to_verify(verdict, verified.keyid, place),
        checks=list(verified.checks),
    )
