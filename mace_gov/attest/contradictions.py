"""Check that the documents inside a folder's envelopes are consistent with one another. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from mace_gov.attest.signed import Signed, Summary
from mace_gov.attest.statement import FAILED_LEVEL, PASSED_LEVEL, default_resource_uri, input_attestations
from mace_gov.attest.trust import Trust
from mace_gov.core.clock import parse_time
from mace_gov.core.digest import folder_digest
from mace_gov.documents.evidence import Evidence
from mace_gov.documents.registry import EVIDENCE_NAME, POLICY_NAME, VERDICT_NAME
from mace_gov.documents.verdict import Outcome

# Two machines' clocks never agree to the second.
CLOCK_SKEW = timedelta(minutes=10)


def evidence_problems(signed: Signed) -> list[str]:
    """Contradictions within the evidence, each naming the field."""
    evidence = signed.evidence
    erasure, lineage, plan, audit = evidence.erasure, evidence.lineage, evidence.plan, evidence.audit
    pairs = [
        ("plan.policyDigest", plan.policy_digest, evidence.policy_digest),
        ("audit.policyDigest", audit.policy_digest, evidence.policy_digest),
        (f"files['{POLICY_NAME}']", evidence.files.get(POLICY_NAME), evidence.policy_file_digest),
        ("subject", signed.subject_digest, audit.governed_digest),
        ("plan.base.digest", plan.base.digest, audit.base_digest),
        ("plan.base.files", folder_digest(plan.base.files), plan.base.digest),
        ("subjects below model/", folder_digest(signed.model_files), audit.governed_digest),
    ]
    if erasure is not None:
        pairs += [
            ("erasure.planDigest", erasure.plan_digest, plan.content_digest()),
            ("erasure.baseDigest", erasure.base_digest, audit.base_digest),
            ("erasure.governedDigest", erasure.governed_digest, audit.governed_digest),
            ("erasure.governedFiles", folder_digest(erasure.governed_files), audit.governed_digest),
            *((f"files['{lora.file}']", evidence.files.get(lora.file), lora.digest) for lora in erasure.loras),
        ]
        if erasure.delta_digest not in evidence.files.values():
            pairs.append(("files, the erasure delta", None, erasure.delta_digest))
    if lineage is not None:
        pairs += [
            ("lineage.baseDigest", lineage.base_digest, audit.base_digest),
            ("lineage.governedDigest", lineage.governed_digest, audit.governed_digest),
        ]
    return [
        f"{EVIDENCE_NAME}: {field} is {found}, expected {expected}" for field, found, expected in pairs
        if found != expected
    ]


def summary_problems(signed: Signed, summary: Summary, resource_uri: str | None) -> list[str]:
    """Contradictions between the verdict, the summary around it and the evidence that it rests on."""
    evidence, verdict, said = signed.evidence, summary.verdict, summary.predicate
    passed = verdict.outcome is Outcome.PASS
    pairs = [
        ("subject", summary.subject_digest, evidence.audit.governed_digest),
        ("verdict.governedDigest", verdict.governed_digest, evidence.audit.governed_digest),
        ("verdict.policyDigest", verdict.policy_digest, evidence.policy_digest),
        ("verdict.evidenceDigest", verdict.evidence_digest, signed.evidence_digest),
        ("inputAttestations", said.get("inputAttestations"),
         input_attestations(signed.evidence_digest, summary.test_result)),
        ("policy", said.get("policy"), {"uri": POLICY_NAME, "digest": {"sha256": evidence.policy_file_digest}}),
        ("verificationResult", said.get("verificationResult"), "PASSED" if passed else "FAILED"),
        ("verifiedLevels", said.get("verifiedLevels"), [PASSED_LEVEL if passed else FAILED_LEVEL]),
        ("timeVerified", said.get("timeVerified"), verdict.decided),
    ]
    own = default_resource_uri(evidence)
    # A summary may speak about any resource that its signer names, but never about another version of ours.
    if resource_uri is not None or summary.resource_uri.startswith("mace-gov:"):
        pairs.append(("resourceUri", summary.resource_uri, own if resource_uri is None else resource_uri))
    return [
        f"{VERDICT_NAME}: {field} is {found}, expected {expected}" for field, found, expected in pairs
        if found != expected
    ]


def age_problems(signed: Signed, trust: Trust, now: datetime, max_age: timedelta | None) -> list[str]:
    """Times that lie ahead of ``now`` or behind the signer's retirement, cannot be read, or exceed ``max_age``."""
    problems = []
    for name, field, text, keyid in _times(signed):
        when = parse_time(text)
        if when is None:
            problems.append(f"{name}: {field} is '{text}', expected a time in RFC 3339 with its zone")
        elif when > now + CLOCK_SKEW:
            problems.append(f"{name}: {field} is {text}, which is ahead of the clock here ({now.isoformat()})")
        elif max_age is not None and now - when > max_age:
            problems.append(f"{name}: {field} is {text}, older than the {max_age.days} days that were allowed")
        elif retired := trust.too_late(keyid, when):
            problems.append(f"{name}: {field} is {text}, but its key {keyid} was retired on {retired}")
    return problems


def age_in_words(evidence: Evidence, now: datetime) -> str:
    """How old the evidence says it is."""
    when = parse_time(evidence.created)
    days = max((now - when).days, 0) if when else 0
    return f"evidence signed {evidence.created}, {days} days ago by the signer's own clock: no trusted time backs it"


def _times(signed: Signed) -> Iterator[tuple[str, str, str, str]]:
    yield EVIDENCE_NAME, "created", signed.evidence.created, signed.keyid
    if signed.summary is not None:
        yield VERDICT_NAME, "decided", signed.summary.verdict.decided, signed.summary.keyid
