"""The model card in the hub's format: README.md with metadata that the hub reads, and what a reader must know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mace_gov.documents.report import Report
from mace_gov.documents.terms import Metric
from mace_gov.documents.verdict import Finding
from mace_gov.report.sections import done, limitations
from mace_gov.report.words import NBSP, SUITES, effect, interval, meaning, observed

CARD = "README.md"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|!~])")


def model_card(report: Report) -> str:
    """The card of a report's model. Everything that a policy or an audit brought is escaped.

    The metadata are those of https://huggingface.co/docs/hub/model-cards: the base model where it is a hub id, tags,
    and a ``model-index`` with one result for each rule, whose value is the governed model's rate.
    """
    head = yaml.safe_dump(_metadata(report), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{head}---\n\n" + "\n".join(_body(report)).replace(NBSP, " ") + "\n"


def _metadata(report: Report) -> dict[str, Any]:
    base = report.evidence.plan.base
    hub = base.ref if _HUB_ID.fullmatch(base.ref) else None
    licence = {"license": "apache-2.0"} if base.embedded else {
        "license": "other", "license_name": "as-the-base-model",
        **({"license_link": f"https://huggingface.co/{hub}"} if hub else {}),
    }
    results = [result for finding in report.verdict.findings for result in _result(finding)]
    return {
        **licence, "library_name": "diffusers", "pipeline_tag": "text-to-image", **({"base_model": hub} if hub else {}),
        "tags": ["concept-erasure", "mace-gov", f"verdict-{report.headline.partition(',')[0].lower()}"],
        **({"model-index": [{"name": report.version or report.policy.metadata.name, "results": results}]}
           if results else {}),
    }


def _result(finding: Finding) -> Iterator[dict[str, Any]]:
    if finding.estimate is None or finding.estimate.n == 0:
        return
    bound = "upper" if finding.metric is Metric.PRESENCE else "lower"
    value = finding.estimate.high if bound == "upper" else finding.estimate.low
    yield {
        "task": {"type": "text-to-image", "name": "Text to image"},
        "dataset": {"type": f"mace-gov/{finding.suite}", "name": f"{finding.category}, {SUITES[finding.suite]}"},
        "metrics": [
            {"type": str(finding.metric), "value": round(finding.estimate.value, 6),
             "name": f"{finding.rule}: {finding.metric} ({finding.outcome})"},
            {"type": f"{finding.metric}_{bound}_bound", "value": round(value, 6),
             "name": f"{finding.rule}: one-sided {bound} bound at {finding.estimate.confidence:g}"},
        ],
    }


def _body(report: Report) -> Iterator[str]:
    verdict, evidence, policy = report.verdict, report.evidence, report.policy
    base = evidence.plan.base
    yield from (f"# {_plain(report.title)}", "", f"**{_plain(report.headline)}** against the policy "
                f"{_plain(verdict.policy_name)} {verdict.policy_version}. {_plain(meaning(verdict))} "
                f"{_plain(effect(verdict, report.release))}", "")
    for reason in (*(report.release.reasons if report.release else ()), *verdict.reasons):
        yield f"- {_plain(reason)}"
    yield from ("", f"Base model: {_plain(base.ref)}{f', revision {_plain(base.revision)}' if base.revision else ''}. "
                f"Erased with {evidence.plan.method} ({done(report)}), {len(evidence.plan.targets)} concepts. "
                "The licence is that of the base model."
                + (" See NOTICE of mace-gov for the art that it was trained on." if base.embedded else ""),
                "", "## What is banned", "")
    for category in policy.spec.categories:
        words = ", ".join(_plain(concept.target) for concept in category.concepts)
        yield f"- {_plain(category.id)} ({category.severity}): {words}"
    yield from ("", "## What was measured", "",
                "| rule | requirement | base | governed | bounds | outcome |", "| --- | --- | --- | --- | --- | --- |")
    for finding in verdict.findings:
        cells = (finding.rule, f"{finding.requirement}, {SUITES[finding.suite]}", observed(finding.base),
                 observed(finding.estimate), interval(finding.estimate),
                 f"{finding.outcome}{' (waived)' if finding.waiver else ''}")
        yield f"| {' | '.join(map(_plain, cells))} |"
    yield from ("", "## Use", "", "Load it with `mace_gov.load`, which verifies first:", "", "    import mace_gov",
                f'    pipe = mace_gov.load("{report.version or "FOLDER"}", key="pipeline.pub.pem")')
    yield from ("", "## Verify", "", f"Governed model: `{verdict.governed_digest}`  ",
                f"Policy: `{verdict.policy_digest}`  ", f"Signing key: `{report.keyid}`", "")
    for line in "\n".join(report.how_to_verify).splitlines():
        yield f"    {line}"
    if report.sign_offs:
        yield from ("", "## Sign-offs", "")
        yield from (f"- {_plain(said.reviewer)} ({_plain(said.role)}), {said.signed}: **{said.decision}**. "
                    f"{_plain(said.reason)}" for said in report.sign_offs)
    yield from ("", "## Limitations", "")
    yield from (f"- {_plain(text)}" for text in limitations(report))


def _plain(text: str) -> str:
    """Text in one line that Markdown takes for nothing but text."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
