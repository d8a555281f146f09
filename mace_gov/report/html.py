"""The report as one self-contained page: no network; one style sheet and one script, each allowed by its hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mace_gov.documents.attack import NEEDS
from mace_gov.documents.family_info import untried
from mace_gov.documents.method_info import method_info
from mace_gov.documents.report import Report
from mace_gov.documents.terms import Metric, Suite
from mace_gov.documents.verdict import Outcome
from mace_gov.report import plots, sections, shown, words
from mace_gov.report.evidence_pictures import EvidencePicture
from mace_gov.report.graph import lineage_graph, sign_off_node
from mace_gov.report.lineage_svg import lineage_svg
from mace_gov.report.words import MAPPING, meaning_of

SECTIONS = (
    ("scope", "Scope"),
    ("rules", "Rules"),
    ("pictures", "Before and after"),
    ("concepts", "Concept by concept"),
    ("collateral", "What else changed"),
    ("measures", "Measures"),
    ("attacks", "Attacks and derivatives"),
    ("detectors", "Detectors and their power"),
    ("broken", "Is it still a model?"),
    ("sampling", "Sampling plan"),
    ("erasure", "Erasure"),
    ("lineage", "Lineage"),
    ("limitations", "Limitations"),
    ("verify", "How to verify"),
    ("signoff", "Sign-off"),
    ("mapping", "Appendix: where this report may serve"),
    ("digests", "Appendix: digests in full"),
)
"""Template name and heading of every section, in the order in which a reviewer reads."""


def _drawn(function: Callable[..., str]) -> Callable[..., Markup]:
    """A plot's SVG may stand in the page as it is: plots escape their own text."""
    return lambda *args: Markup(function(*args))


def _lineage(report: Report) -> str:
    policy = report.policy.metadata
    return lineage_svg(lineage_graph(
        report.evidence, report.verdict, policy=f"{policy.name} {policy.version}", version=report.version,
        keyid=report.keyid, stamps=[sign_off_node(said) for said in report.sign_offs],
    ))


def style_sheet() -> str:
    """The page's CSS."""
    return resources.files("mace_gov.report").joinpath("templates/style.css").read_text(encoding="utf-8")


def script() -> str:
    """The page's script, which filters its pictures; all else works without."""
    return resources.files("mace_gov.report").joinpath("templates/filter.js").read_text(encoding="utf-8")


def content_security_policy(css: str, code: str | None = None) -> str:
    """Nothing is allowed but pictures in data URIs, this one style sheet and, where there is one, this one script."""
    scripts = f"script-src {_allowed(code)}; " if code is not None else ""
    return f"default-src 'none'; img-src data:; style-src {_allowed(css)}; {scripts}base-uri 'none'; form-action 'none'"


def _allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def environment() -> Environment:
    """Templates with the filters and the plots that pages use."""
    made = Environment(
        loader=PackageLoader("mace_gov.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )
    for function in (
        words.percent, words.limit_percent, words.confidence_percent, words.observed, words.interval, words.sentence,
        words.bounds, words.p_value, words.presence, words.number, words.seconds, words.short, words.count,
        words.measured, words.unbroken, words.score, meaning_of,
    ):
        made.filters[function.__name__] = function
    made.globals.update(
        words=words, sections=sections, shown=shown, Suite=Suite, Metric=Metric, Outcome=Outcome, MAPPING=MAPPING,
        measures={key: (Markup(symbol), way, Markup(text)) for key, (symbol, way, text) in words.MEASURES.items()},
        forest_row=_drawn(plots.forest_row), forest_axis=_drawn(plots.forest_axis),
        dumbbell_row=_drawn(plots.dumbbell_row), dumbbell_axis=_drawn(plots.dumbbell_axis),
        outcome_mark=_drawn(plots.outcome_mark), lineage_picture=_drawn(_lineage), untried=untried, needs=NEEDS.get,
        trend_line=_drawn(plots.trend_line),
    )
    return made


def page(report: Report, pictures: Mapping[str, EvidencePicture]) -> str:
    """The page. ``pictures`` holds each thumbnail by its name; equal input gives equal bytes."""
    css, code = style_sheet(), script()
    context: dict[str, Any] = {
        "report": report, "policy": report.policy, "verdict": report.verdict, "evidence": report.evidence,
        "audit": report.evidence.audit, "plan": report.evidence.plan, "erasure": report.evidence.erasure,
        "pictures": pictures, "css": Markup(css), "script": Markup(code), "csp": content_security_policy(css, code),
        "contents": SECTIONS, "method": method_info(report.evidence.plan.method),
    }
    return environment().get_template("page.html.j2").render(context)
