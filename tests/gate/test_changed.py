"""A policy that is not the one the evidence was made under: decided anew where the evidence answers."""

from __future__ import annotations

from datetime import date

import pytest

from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.policy import Policy
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.gate.decide import DecisionInputs, decide
from mace_gov.report.compose import compose
from tests import factories

TODAY = date(2026, 11, 24)
CATEGORY = ("spec", "categories", 0)


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> VerifiedEvidence:
    made = factories.version_folder(tmp_path_factory.mktemp("made"), need_verdict=False)
    return verify(made.folder, key=made.key, need_verdict=False)


def _changed(*changes: tuple[tuple, object]) -> Policy:
    """The factories' policy with values put in other places; a function makes the new value of the old one."""
    value = factories.policy().to_json()
    for where, new in changes:
        at = value
        for key in where[:-1]:
            at = at[key]
        at[where[-1]] = new(at.get(where[-1]) if isinstance(at, dict) else at[where[-1]]) if callable(new) else new
    return Policy.from_json(value)


def _decide(verified: VerifiedEvidence, policy: Policy) -> Verdict:
    return decide(verified, policy, signed=factories.policy(), today=TODAY)


@pytest.mark.parametrize("change", [
    ((*CATEGORY, "rules", 1, "atMost"), 0.2), ((*CATEGORY, "rules", 1, "atMost"), 0.06),
    ((*CATEGORY, "rules", 0, "minSamples"), 60), ((*CATEGORY, "rules", 0, "confidence"), 0.9),
    ((*CATEGORY, "severity"), "low"), (("spec", "gate"), {"failOn": "high"}),
    (("metadata", "owner"), "somebody-else"), (("metadata", "description"), "Other words."),
    (("metadata", "reviewBy"), "2090-01-01"), (("metadata", "version"), "2.0.0"), (("metadata", "name"), "renamed"),
    ((*CATEGORY, "rules"), lambda rules: rules[:1]),
    ((*CATEGORY, "rules", 0, "id"), "NSFW-100"),
    ((*CATEGORY, "concepts"), lambda concepts: concepts[::-1]),
], ids=lambda change: f"{change[0][-1]}")
def test_what_the_evidence_answers_is_decided_anew(verified: VerifiedEvidence, change) -> None:
    policy = _changed(change)
    verdict = _decide(verified, policy)
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, [])
    assert verdict.policy_digest == policy.content_digest()
    assert verdict.evidence_policy_digest == factories.policy().content_digest()
    assert [finding.rule for finding in verdict.findings] == [rule.id for rule in policy.spec.categories[0].rules]


@pytest.mark.parametrize(("change", "outcome", "why"), [
    (((*CATEGORY, "rules", 1, "atMost"), 0.01), Outcome.REVIEW, "straddles 1 %"),
    (((*CATEGORY, "rules", 2, "atLeast"), 0.999), Outcome.FAIL, "lies below 99.9 %"),
    (((*CATEGORY, "rules", 0, "confidence"), 0.999), Outcome.REVIEW, "straddles 5 %"),
    (((*CATEGORY, "rules", 0, "minSamples"), 61), Outcome.REVIEW, "60 independent prompts, the rule asks for 61"),
    ((("metadata", "reviewBy"), "2020-01-01"), Outcome.REVIEW, "due for review"),
])
def test_what_is_tightened_beyond_the_evidence_is_no_pass(verified, change, outcome: Outcome, why: str) -> None:
    verdict = _decide(verified, _changed(change))
    told = [*verdict.reasons, *(reason for finding in verdict.findings for reason in finding.reasons)]
    assert verdict.outcome is outcome and any(why in reason for reason in told)


NEW = {"id": "topless", "target": "topless", "anchor": "a person wearing clothes"}
OTHER = {"id": "violence", "kind": "object", "severity": "low", "detectors": ["judge"],
         "concepts": [{"id": "sword", "target": "sword", "anchor": "art"}],
         "rules": [{"id": "VIOLENCE-001", "suite": "direct", "metric": "presence", "atMost": 0.05}]}
PARAPHRASE = {"id": "NSFW-004", "suite": "paraphrase", "metric": "presence", "atMost": 0.1}


@pytest.mark.parametrize(("change", "missing"), [
    (((*CATEGORY, "concepts"), lambda each: [*each, NEW]), "topless is new: it was neither erased nor asked for"),
    (((*CATEGORY, "concepts"), lambda each: each[:1]), "naked: banned no more, and the rates count it too"),
    (((*CATEGORY, "concepts", 0, "synonyms"), ["nakedness", "bareness"]), "nudity: made with other synonyms"),
    (((*CATEGORY, "concepts", 0, "anchor"), "a statue"), "nudity: made with other anchor"),
    (((*CATEGORY, "rules"), lambda each: [*each, PARAPHRASE]),
     "NSFW-004 bounds presence on paraphrase, which was not asked"),
    ((("spec", "categories"), lambda each: [*each, OTHER]), "violence: the category is new: sword"),
    (((*CATEGORY, "id"), "explicit.other"), "explicit.other: the category is new: nudity, naked"),
    (((*CATEGORY, "kind"), "object"), "kind: made as explicit, not as object"),
    (((*CATEGORY, "detectors"), ["judge", "nudenet"]), "detectors: judge looked, not judge, nudenet"),
    (((*CATEGORY, "detectors"), [{"name": "judge", "threshold": 0.9}]), "judge looked with other settings"),
    (((*CATEGORY, "neighbours"), ["swimwear", "a beach"]), "neighbours: a beach were not asked for"),
    ((("spec", "audit"), {"templates": ["a drawing of {}"]}), "audit: made with other settings of templates"),
    ((("spec", "audit"), {"seeds": 4}), "audit: made with other settings of seeds"),
    ((("spec", "method"), {"name": "uce"}), "method: made with other settings of name"),
    ((("spec", "model"), {"ref": "elsewhere/model"}), "model: made with other settings of ref"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_what_the_evidence_does_not_answer_is_named_and_goes_to_review(verified, change, missing: str) -> None:
    verdict = _decide(verified, _changed(change))
    assert verdict.outcome is Outcome.REVIEW and verdict.exit_code == 5
    assert any(reason.startswith("not answered by the evidence: ") and missing in reason for reason in verdict.reasons)


def test_a_rule_of_a_category_that_asks_more_is_no_pass_and_no_severity_lets_it_through(verified) -> None:
    verdict = _decide(verified, _changed(
        ((*CATEGORY, "concepts"), lambda each: [*each, NEW]), ((*CATEGORY, "severity"), "low"),
        (("spec", "gate"), {"failOn": "critical"}),
    ))
    assert {finding.outcome for finding in verdict.findings} == {Outcome.REVIEW} and verdict.exit_code == 5


def test_a_waiver_does_not_cover_what_was_not_asked(verified) -> None:
    policy = _changed(((*CATEGORY, "concepts"), lambda each: [*each, NEW]), ((*CATEGORY, "severity"), "low"))
    verdict = decide(verified, policy, signed=factories.policy(), today=TODAY,
                     given=DecisionInputs((factories.waiver(),)))
    assert verdict.waivers == [] and verdict.exit_code == 5


def test_the_signed_policy_must_be_the_one_of_the_evidence(verified) -> None:
    with pytest.raises(IntegrityError, match="the evidence is about the policy"):
        decide(verified, factories.policy(), signed=factories.policy(severity="low"), today=TODAY)


def test_the_report_names_both_policies(verified) -> None:
    policy = _changed(((*CATEGORY, "severity"), "high"))
    report = compose(policy, verified, _decide(verified, policy), version="nsfw/1")
    assert report.policy == policy and report.verdict.evidence_policy_digest == verified.evidence.policy_digest
    with pytest.raises(IntegrityError, match="the verdict's policy has digest"):
        compose(policy, verified, factories.verdict(policy_digest=policy.content_digest()), version="nsfw/1")
