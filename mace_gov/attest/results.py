"""The rules' outcomes as an in-toto Test Result v0.1, for verifiers that know no policy of ours.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from __future__ import annotations

from mace_gov.attest.statement import described, version_name
from mace_gov.documents.evidence import Evidence, Statement, Subject
from mace_gov.documents.registry import POLICY_NAME
from mace_gov.documents.verdict import Outcome, Verdict

TEST_RESULT_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
RESULTS = {Outcome.PASS: "PASSED", Outcome.REVIEW: "WARNED", Outcome.FAIL: "FAILED"}


def results_statement(evidence: Evidence, verdict: Verdict) -> Statement:
    """Each rule is a test: passed, warned (a person must look) or failed; the result is the whole verdict's.

    A waived rule counts as passed, as it does in the verdict, which says so.
    """

    def rules(outcome: Outcome) -> list[str]:
        return [finding.rule for finding in verdict.findings if finding.effect is outcome]

    predicate = {
        "result": RESULTS[verdict.outcome],
        "configuration": [described(POLICY_NAME, evidence.policy_file_digest)],
        "passedTests": rules(Outcome.PASS),
        "warnedTests": rules(Outcome.REVIEW),
        "failedTests": rules(Outcome.FAIL),
    }
    subject = Subject(name=version_name(evidence) or "model", digest={"sha256": verdict.governed_digest})
    return Statement(subject=[subject], predicate_type=TEST_RESULT_TYPE, predicate=predicate)
