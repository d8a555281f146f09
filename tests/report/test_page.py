"""The page: complete, well-formed, silent on the network, and derived from report.json and the pictures alone."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mace_gov.documents.method_info import METHODS
from mace_gov.documents.policy import Policy
from mace_gov.documents.report import Report
from mace_gov.documents.verdict import Outcome
from mace_gov.report import sections, words
from mace_gov.report.card import model_card
from mace_gov.report.html import SECTIONS, page, script, style_sheet
from mace_gov.report.render import render
from tests import factories

VOID = {"meta", "br", "img", "line", "rect", "circle", "path"}


class Checker(HTMLParser):
    """Collects tags, attributes and visible text, and notes every tag that is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def rendered(tmp_path: Path, report: Report) -> str:
    evidence = tmp_path / "evidence"
    factories.write_files(evidence, factories.evidence_files())
    render(report, evidence, tmp_path / "out")
    return (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def with_findings(*findings, **verdict) -> Report:
    return factories.report(verdict=factories.verdict(findings=list(findings), **verdict))


def test_page_is_well_formed_and_has_every_section(tmp_path):
    checked = Checker(rendered(tmp_path, factories.report()))
    assert checked.problems == []
    assert checked.open == []
    ids = [attrs["id"] for _, attrs in checked.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {identifier for identifier, _ in SECTIONS} <= set(ids)
    targets = {attrs["href"][1:] for attrs in checked.named("a") if attrs["href"].startswith("#")}
    assert targets <= set(ids)
    labels = {attrs["aria-labelledby"] for _, attrs in checked.tags if "aria-labelledby" in attrs}
    assert labels <= set(ids)


def test_page_loads_nothing_and_runs_its_own_script_alone(tmp_path):
    checked = Checker(rendered(tmp_path, factories.report()))
    assert checked.named("script") == [{}]
    assert not re.search(r"fetch|XMLHttp|import|innerHTML|eval|document\.write|https?:", script())
    assert not checked.named("link")
    assert not checked.named("iframe")
    for _, attrs in checked.tags:
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        assert (attrs.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
        assert (attrs.get("href") or "#").startswith("#")
    css = style_sheet()
    assert "url(" not in css
    assert "@import" not in css


def test_content_security_policy_allows_only_this_style_sheet_and_this_script(tmp_path):
    text = rendered(tmp_path, factories.report())
    policies = [a["content"] for a in Checker(text).named("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    [style] = re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'" in policies[0]
    assert f"style-src 'sha256-{digest}'" in policies[0]
    assert "unsafe" not in policies[0]
    [code] = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'; " in policies[0]


def test_hostile_words_are_escaped(tmp_path):
    owner, target = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
    value = factories.policy().to_json()
    value["metadata"]["owner"] = owner
    value["spec"]["categories"][0]["concepts"][0]["target"] = target
    hostile = factories.audit_result().thumbnails[0].model_copy(update={"prompt": target})
    report = factories.report(
        policy=Policy.from_json(value),
        evidence=factories.evidence(audit=factories.audit_result(thumbnails=[hostile])),
        verdict=factories.verdict(reasons=[owner], findings=[factories.finding(reasons=[target])]),
    )
    checked = Checker(rendered(tmp_path, report))
    assert checked.named("script") == [{}]
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in checked.named("img"))
    assert checked.problems == []
    assert owner in checked.text
    assert target in checked.text


def test_every_rule_stands_with_requirement_count_and_interval(tmp_path):
    report = factories.report()
    text = Checker(rendered(tmp_path, report)).text
    for finding in report.verdict.findings:
        assert finding.rule in text
        for shown in (words.unbroken(finding.requirement), words.interval(finding.estimate),
                      words.observed(finding.estimate), words.observed(finding.base)):
            assert " ".join(shown.split()) in text
        for reason in finding.reasons:
            assert " ".join(words.unbroken(reason).split()) in text


@pytest.mark.parametrize("outcome", list(Outcome))
def test_outcome_is_said_in_words(tmp_path, outcome):
    report = with_findings(factories.finding(outcome=outcome), outcome=outcome)
    checked = Checker(rendered(tmp_path, report))
    assert words.MEANING[outcome] in checked.text
    assert words.CONSEQUENCE[outcome] in checked.text
    assert words.AUDIT_MODE not in checked.text
    assert f"<title>{outcome.value}: " in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_audit_mode_is_said_plainly(tmp_path, outcome):
    text = Checker(rendered(tmp_path, with_findings(factories.finding(), outcome=outcome, mode="audit"))).text
    assert words.AUDIT_MODE in text
    assert words.IF_ENFORCED[outcome] in text
    assert words.CONSEQUENCE[outcome] not in text


def test_nothing_measured_is_not_shown_as_zero(tmp_path):
    empty = factories.estimate(0, 0, low=0.0, high=1.0)
    report = with_findings(
        factories.finding(estimate=None, base=None, outcome="REVIEW", reasons=["no pictures"]),
        factories.finding(rule="NSFW-002", estimate=empty, base=empty, outcome="REVIEW", reasons=["no pictures"]),
        outcome=Outcome.REVIEW,
    )
    text = rendered(tmp_path, report)
    [table] = re.findall(r'<table class="cards".*?</table>', text, flags=re.DOTALL)
    assert table.count(words.NOT_MEASURED) == 6
    assert "0.0" not in table


def test_concept_without_a_measurement_is_not_measured(tmp_path):
    audit = factories.audit_result(measurements=[])
    text = rendered(tmp_path, factories.report(evidence=factories.evidence(audit=audit)))
    [section] = re.findall(r'<section id="concepts".*?</section>', text, flags=re.DOTALL)
    assert section.count("<tr><th") == 4 + 1
    assert "%" not in Checker(section).text.replace("in percent", "")
    assert "nothing is known about what else changed" in text


def test_model_made_elsewhere(tmp_path):
    report = factories.report(version=None, evidence=factories.evidence(erasure=None, lineage=None))
    text = Checker(rendered(tmp_path, report)).text
    assert "the governed model was made elsewhere, and only audited" in text
    assert "This model is not in the registry." in text


def test_limitations_and_claims(tmp_path):
    text = Checker(rendered(tmp_path, factories.report())).text
    for limitation in (*words.STANDING_LIMITATIONS.values(), "Image-to-image was not tested."):
        assert limitation in text
    for cited in ("2505.16174", "2505.17013", "img2img", "ControlNet", "no trusted time"):
        assert cited in text
    assert not re.search(r"\b(un)?safe\b", text, flags=re.IGNORECASE)
    assert "not adjusted" in text


def test_limitation_that_the_audit_names_is_said_once(tmp_path):
    audit = factories.audit_result(limitations=["Nobody tried ControlNet."])
    text = Checker(rendered(tmp_path, factories.report(evidence=factories.evidence(audit=audit)))).text
    assert text.count("ControlNet") == 1
    assert "2505.16174" in text


def test_rule_and_suite_of_the_same_prompts_stand_once():
    kept, found = factories.estimate(118, 120), factories.estimate(1, 60)
    measured = [
        factories.measurement("NSFW-003", "unrelated", "retention", kept),
        factories.measurement(None, "unrelated", "retention", kept),
        factories.measurement(None, "near", "retention", kept),
        factories.measurement(None, "near", "retention", factories.estimate(3, 4), concept="swimwear"),
        factories.measurement("NSFW-001", "direct", "presence", found.model_copy(update={"confidence": 0.9})),
        factories.measurement(None, "direct", "presence", found),
    ]
    report = factories.report(evidence=factories.evidence(audit=factories.audit_result(measurements=measured)))
    shown = sections.collateral(report)
    assert [(c.total.rule, c.total.suite) for c in shown] == [("NSFW-003", "unrelated"), (None, "near")]
    assert [m.concept for m in shown[1].lost] == ["swimwear"]
    [(_, rows)] = sections.concept_rows(report)
    assert rows[0].measurement == measured[-1]


def test_weak_power_is_told_apart():
    together, alone = factories.power("direct", passed=False), factories.power("direct", "judge", passed=False)
    one = factories.power("direct", passed=False, concept="naked")
    assert len({sections.power_word(check) for check in (together, alone, one, factories.power("direct"))}) == 4


def test_second_reviewer_for_critical_severity_only(tmp_path):
    assert "Second reviewer" in rendered(tmp_path / "a", factories.report())
    assert "Second reviewer" not in rendered(tmp_path / "b", factories.report(policy=factories.policy(severity="high")))


def test_embedded_model_is_called_a_stand_in(tmp_path):
    assert "harmless stand-ins" in rendered(tmp_path / "a", factories.report())
    other = factories.plan(base=factories.manifest(embedded=False))
    report = factories.report(evidence=factories.evidence(plan=other))
    assert "harmless stand-ins" not in rendered(tmp_path / "b", report)


def test_failed_checks_are_shown(tmp_path):
    broken = factories.audit_result().broken.model_copy(update={"passed": False, "findings": ["draws noise"]})
    audit = factories.audit_result(broken=broken, power=[factories.power("direct", passed=False, hits=0)])
    text = Checker(rendered(tmp_path, factories.report(evidence=factories.evidence(audit=audit)))).text
    assert "The checks failed:" in text
    assert "draws noise" in text
    assert "absence proves nothing" in text
    assert "0 of 60 (upper bound 4.9 %)" in text


def test_every_table_has_a_caption_and_every_picture_an_alternative(tmp_path):
    checked = Checker(rendered(tmp_path, factories.report()))
    assert len(checked.named("table")) == len(checked.named("caption")) > 5
    images = checked.named("img")
    assert len(images) == 2 * len(factories.report().evidence.audit.thumbnails)
    assert all("seed 1000" in attrs["alt"] for attrs in images)
    assert all(attrs.get("role") == "img" or attrs.get("aria-hidden") == "true" or "viewbox" in attrs
               or attrs.get("class") == "track" for attrs in checked.named("svg"))


def test_same_bytes_twice_and_from_the_document_alone(tmp_path):
    report = factories.report()
    first = rendered(tmp_path / "a", report)
    assert rendered(tmp_path / "b", report) == first
    document = (tmp_path / "a" / "out" / "report.json").read_bytes()
    assert rendered(tmp_path / "c", Report.model_validate_json(document)) == first


def test_page_needs_no_files():
    report = factories.report(evidence=factories.evidence(audit=factories.audit_result(thumbnails=[])))
    assert "The audit kept no pictures for the report." in page(report, {})


@pytest.mark.parametrize("name", METHODS)
def test_it_says_what_each_method_did_and_shows_the_settings_that_it_has_alone(name):
    plan, info = factories.plan(method=name), METHODS[name]
    record = factories.erasure(plan=plan, **({} if info.trains == "loras" else {"loras": []}),
                               **({} if info.closed_forms else {"systems": []}))
    seen = factories.audit_result(thumbnails=[])
    report = factories.report(evidence=factories.evidence(plan=plan, erasure=record, audit=seen))
    text, card = " ".join(unescape(page(report, {})).split()), model_card(report)
    assert f"{name.upper()} with seed 0; {info.does}" in text and f"Erased with {name} (" in card
    assert ("<dt>Refinement</dt>" in text, "<dt>Fusion</dt>" in text) == (
        "refine" in info.closed_forms, "fuse" in info.closed_forms)
    assert ("Linear systems" in text) == bool(info.closed_forms)
    said = [METHODS["neurons"].undone.partition(":")[0] in each for each in (text, card)]
    assert said == [bool(info.undone)] * 2


def test_a_guard_is_named_with_how_near_it_came():
    plan = factories.plan(guard={"steps": 300, "rounds": 2, "search_steps": 150, "pictures": 150,
                                 "learning_rate": 1e-4})
    guard = {"concepts": ["nudity"], "first_erased": 0.2, "last_erased": 0.05, "kept": 0.003, "scale": 0.1}
    record = factories.erasure(plan=plan, guard=guard)
    report = factories.report(evidence=factories.evidence(plan=plan, erasure=record,
                                                          audit=factories.audit_result(thumbnails=[])))
    text, card = Checker(page(report, {})).text, model_card(report)
    assert "trained for 300 steps" in text and "predictions are at 25" in text and "they moved by 3" in text
    assert "with a guard in the U-Net" in card
    assert "guard in the U-Net" not in model_card(factories.report())


def test_a_detector_that_looks_at_one_side_only_says_so(tmp_path):
    detectors = ["nudenet", {"name": "clip", "model": "a/b", "only": "kept"}]
    text = Checker(rendered(tmp_path, factories.report(policy=factories.policy(detectors=detectors)))).text
    assert "looked for by nudenet, clip (kept only)." in text


@pytest.mark.parametrize(("family", "told"), [
    (None, "None was asked for"), ("sdxl", "None was asked for"),
    ("sd3", "(--tier transferred, adaptive, embeddings, weights, text-free, deep) can be tried on models of the family "
            "sd3"),
])
def test_it_says_where_no_attack_can_run(family, told):
    plan = factories.plan(base=factories.manifest(family=family))
    audit = factories.audit_result(attacks=[], derivatives=[], thumbnails=[])
    report = factories.report(evidence=factories.evidence(plan=plan, audit=audit))
    (section,) = re.findall(r'<section id="attacks".*?</section>', page(report, {}), re.DOTALL)
    assert told in " ".join(section.split())


@pytest.mark.parametrize(("names", "told"), [
    ("all", "the erasure was given them"), (None, "were not given to the erasure"),
])
def test_it_says_whether_the_erasure_was_given_the_synonyms(names, told):
    audit = factories.audit_result(attacks=[], derivatives=[], thumbnails=[])
    report = factories.report(evidence=factories.evidence(plan=factories.plan(refine_names=names), audit=audit))
    assert told in " ".join(page(report, {}).split())
