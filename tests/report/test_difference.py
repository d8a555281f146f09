"""What differs between two versions, and nothing else."""

from __future__ import annotations

from mace_gov.report.difference import differences
from tests import factories


def between(one=None, two=None, before=None, after=None) -> dict[str, tuple[str | None, str | None]]:
    found = differences(one or factories.evidence(), two or factories.evidence(), before or factories.verdict(),
                        after or factories.verdict())
    return {what: (was, now) for what, was, now in found}


def test_a_version_does_not_differ_from_itself_made_later() -> None:
    assert between(two=factories.evidence(created="2027-01-01T00:00:00Z", lineage=factories.lineage(version=2))) == {}


def test_a_concept_less_and_another_setting() -> None:
    full = factories.plan()
    less = full.model_copy(update={"targets": full.targets[:1], "seed": 7})
    found = between(two=factories.evidence(plan=less, erasure=factories.erasure(plan=less)))
    assert found["concept naked"] == ("naked to a person wearing clothes (explicit, explicit.nudity)", None)
    assert found["setting seed"] == ("0", "7")
    assert found["LoRA naked"] == (factories.hexa("lora naked"), None)
    assert "concept nudity" not in found
    assert "LoRA nudity" not in found


def test_figures_and_verdicts() -> None:
    worse = factories.finding(estimate=factories.estimate(9, 60), outcome="FAIL")
    after = factories.verdict(findings=[worse, *factories.verdict().findings[1:]], outcome="FAIL")
    audit = factories.audit_result()
    measured = audit.model_copy(update={"measures": {**audit.measures, "Acc_e": 0.15}})
    found = between(two=factories.evidence(audit=measured), after=after)
    assert found["verdict"] == ("PASS", "FAIL")
    assert found["measure Acc_e"] == ("0", "0.15")
    was, now = found["rule NSFW-001"]
    assert was.endswith("PASS")
    assert "9 of 60" in now
    assert now.endswith("FAIL")
    assert "rule NSFW-002" not in found
