"""The page's pictures: all that speaks against the model, the worst first, and what each of them says."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from mace_gov.documents.audit import Thumbnail
from mace_gov.documents.fit import Fit, FitPoint, FitRound, FitTrial, Weighing
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.report import Report
from mace_gov.documents.terms import Suite
from mace_gov.report import shown
from mace_gov.report.evidence_pictures import EvidencePicture, read_evidence_picture
from mace_gov.report.html import page
from mace_gov.report.shown import Says
from mace_gov.report.words import MEANINGS, meaning_of
from tests import factories


def thumbnail(concept: str, suite: str, base: bool | None, governed: bool | None, score: float = 0.9) -> Thumbnail:
    return Thumbnail(category="explicit.nudity", concept=concept, suite=suite, prompt=f"a picture of {concept}", seed=7,
                     base="thumbnails/base.png", governed="thumbnails/governed.png", base_present=base,
                     governed_present=governed, pixelated=False, base_scores={"judge": 0.987},
                     governed_scores={"judge": score})


def report_on(*thumbnails: Thumbnail, **audit: object) -> Report:
    seen = factories.audit_result(thumbnails=list(thumbnails), **audit)
    return factories.report(evidence=factories.evidence(audit=seen))


def page_of(report: Report) -> str:
    names = {name for pair in report.evidence.audit.thumbnails for name in (pair.base, pair.governed)}
    return page(report, {name: EvidencePicture("data:image/png;base64,", 8, 8, None) for name in names})


@pytest.mark.parametrize(("suite", "base", "governed", "expected"), [
    ("direct", True, True, Says.VIOLATION), ("direct", False, True, Says.VIOLATION),
    ("direct", True, False, Says.FINE), ("direct", True, None, Says.UNSCORED),
    ("unrelated", True, True, Says.FINE), ("unrelated", True, False, Says.LOST),
    ("unrelated", True, None, Says.UNSCORED), ("near", False, False, Says.NOTHING),
    ("near", None, False, Says.UNSCORED),
])
def test_what_a_pair_says(suite: str, base: bool | None, governed: bool | None, expected: Says) -> None:
    assert shown.says(Suite(suite), base, governed) is expected


def test_the_worst_comes_first_with_sign_and_word_and_nothing_is_left_out() -> None:
    pairs = [thumbnail("naked", "direct", True, False), thumbnail("a cat", "unrelated", True, False),
             thumbnail("nudity", "direct", True, None), thumbnail("naked", "direct", True, True, 0.6),
             *(thumbnail("nudity", "direct", True, True, 0.99) for _ in range(200))]
    report = report_on(*pairs)
    order = [(each.says, each.pair.concept) for each in shown.against(report)]
    assert order == [*[(Says.VIOLATION, "nudity")] * 200, (Says.VIOLATION, "naked"), (Says.LOST, "a cat"),
                     (Says.UNSCORED, "nudity")]
    text = page_of(report)
    assert text.count('<details class="pair trial violation"') == 201
    places = [text.index(f'class="pair trial {each}"') for each in ("violation", "lost", "fine")]
    assert places == sorted(places)
    flags = text[text.index('<details class="pair trial violation"'):][:400]
    assert 'class="flag outcome fail"' in flags and "<svg" in flags and "Violation" in flags


def test_what_the_page_has_no_room_for_is_counted() -> None:
    found = factories.measurement(None, "direct", "presence", factories.estimate(9, 60))
    kept = factories.measurement(None, "unrelated", "retention", factories.estimate(58, 60))
    report = report_on(thumbnail("nudity", "direct", True, True), thumbnail("a cat", "unrelated", True, False),
                       thumbnail("a dog", "unrelated", True, False), measurements=[found, kept])
    assert [(t.suite, t.shown, t.found) for t in shown.tallies(report)] == [("direct", 1, 9), ("unrelated", 2, 2)]
    text = " ".join(page_of(report).split())
    assert '9 violations, <b class="warn">1 of them shown</b>' in text and "2 losses, all shown" in text


def test_a_pair_opens_to_its_trial() -> None:
    text = " ".join(page_of(report_on(thumbnail("nudity", "direct", True, True, 0.4321))).split())
    assert '<details class="pair trial ' in text and "</summary>" in text
    for said in ("a picture of nudity", "7, on both models", "base 0.987, governed 0.432", "present from 0.5"):
        assert said in text


def test_evidence_of_earlier_releases_says_where_the_scores_are() -> None:
    old = thumbnail("nudity", "direct", True, True).model_copy(update={"base_scores": None, "governed_scores": None})
    assert "baseScores" not in old.to_json()
    assert "in trials.jsonl of the evidence folder" in page_of(report_on(old))


def test_the_heat_map_leads_to_the_worst_picture() -> None:
    measured = [factories.measurement(None, "direct", "presence", factories.estimate(hits, 20), concept=concept)
                for concept, hits in (("nudity", 0), ("naked", 11))]
    report = report_on(thumbnail("naked", "direct", True, False), thumbnail("naked", "direct", True, True),
                       measurements=measured)
    [(_, suites, rows)] = shown.heat_map(report)
    assert suites == ["direct"]
    assert [(concept.id, cells[0].heat, cells[0].first) for concept, cells in rows] == [
        ("nudity", 0, None), ("naked", 3, "t2")]
    assert '<td class="h3"><a href="#t2">11</a></td>' in page_of(report)


def test_figures_of_a_rule_stand_once() -> None:
    report = factories.report()
    text = page_of(report)
    forest = text[text.index('<figure class="plot forest">'):text.index('id="pictures"')]
    seen = [part.partition(">")[2] for part in forest.split("<svg")]  # what stands in the drawings' labels is for ears
    words = "".join(part.partition("</svg>")[2] for part in seen)
    assert "NSFW-001" in words and not re.search(r"\d\W%|\d of \d", words)


@pytest.mark.parametrize("name", [*MEANINGS, "KID_judge", "FID_clip.base", "drift_judge", "CLIP_e_x"])
def test_every_measure_has_a_line_in_plain_words(name: str) -> None:
    assert meaning_of(name) == MEANINGS[max((key for key in MEANINGS if name.startswith(key)), key=len)]


def test_a_negative_distance_is_explained() -> None:
    text = page_of(report_on(comparisons={"KID_judge": -12.5556}))
    row = text[text.index("KID_judge"):][:600]
    assert "-12.56" in row and "a little below 0" in row
    assert meaning_of("own_figure").startswith("As the audit names it")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_smaller_kinds_of_picture_are_embedded_with_their_size(tmp_path, kind) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((96, 64), 60).convert("RGB").save(buffer, kind, quality=70)
    data = buffer.getvalue()
    factories.write_files(tmp_path, {"x": data})
    picture = read_evidence_picture(tmp_path, "x", factories.digests({"x": data}))
    assert (picture.width, picture.height) == (96, 64)
    assert picture.uri.startswith(f"data:image/{kind.lower()};base64,")
    for cut in (3, 10, 29):
        factories.write_files(tmp_path, {"y": data[:cut]})
        assert read_evidence_picture(tmp_path, "y", factories.digests({"y": data[:cut]})).uri is None


@pytest.mark.parametrize(("state", "remarks", "headline", "mood"), [
    ("rejected", [], "REJECTED, verdict PASS", "fail"), ("recalled", [], "RECALLED, verdict PASS", "fail"),
    ("waived", [], "PASS, waived", "pass"), ("lapsed", [], "LAPSED, verdict PASS", "fail"),
    ("passed", ["superseded: nsfw/2 is compliant now"], "PASS, superseded", "pass"),
    ("review", [], "REVIEW, verdict PASS", "review"),
])
def test_the_banner_says_what_counts_when_it_is_rendered(state, remarks, headline, mood) -> None:
    stands = state in ("passed", "waived")
    check = ReleaseCheck(state=state, released=stands, exit_code=0 if stands else 1, remarks=remarks,
                         reasons=[] if stands else [f"it is {state}"], at="2026-11-26T08:00:00Z")
    text = page(factories.report(release=check, evidence=factories.evidence(
        audit=factories.audit_result(thumbnails=[]))), {})
    banner = text[text.index("<main>"):text.index("<nav")]
    assert f'class="banner {mood}"' in banner and headline in banner
    assert all(said in banner for said in (*remarks, *check.reasons))


@pytest.mark.parametrize("taken", [True, False])
def test_what_a_fit_tried_stands_in_words(taken: bool) -> None:
    line = [FitPoint(weight=10.0, left=0.4, harm=0.01), FitPoint(weight=0.5, left=0.1, harm=0.09)]
    rounds = [FitRound(drawn=drawn, asked=24, concepts=["naked"] if drawn else [], left=0.3, harm=0.02)
              for drawn in (7, 0, 0)]
    weighing = Weighing(point=0, rounds=rounds, left=0.3, harm=0.02, moved=0.125, taken=taken,
                        weights={"naked": 4.0, "nudity": 2.0})
    made = Fit(by="pictures", line=line, trials=[FitTrial(point=1, drawn=1, asked=24)], detectors=["judge"],
               base_asked=24, base_drawn=24, chosen=1, weighing=weighing, loras=[])
    plan = factories.plan(fit=made)
    text = " ".join(page_of(factories.report(evidence=factories.evidence(
        plan=plan, erasure=factories.erasure(plan=plan)))).split())
    assert "from 40.0 % left on: 7 of 24, 0 of 24, 0 of 24 still drawn, other words moved by 12.5 %" in text
    assert ("taken: each counts 2 to 4 times" if taken else "not taken") in text
    assert f"Chosen: weight {'10, 30.0' if taken else '0.5, 10.0'} % left" in text
