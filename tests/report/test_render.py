"""The report folder: report.json reads back, pictures are the signed ones or none."""

from __future__ import annotations

import pytest

from mace_gov.core.errors import IntegrityError
from mace_gov.documents.attack import AttackResult
from mace_gov.documents.audit import Thumbnail
from mace_gov.documents.report import Report
from mace_gov.report.evidence_pictures import confined, read_evidence_picture
from mace_gov.report.render import render
from tests import factories


@pytest.fixture
def evidence(tmp_path):
    folder = tmp_path / "evidence"
    factories.write_files(folder, factories.evidence_files())
    return folder


def showing(name: str, **files: str) -> Report:
    pair = Thumbnail(category="explicit.nudity", concept="nudity", suite="direct", prompt="a picture", seed=1,
                     base=name, governed="thumbnails/governed.png", base_present=None, governed_present=False,
                     pixelated=True)
    listed = {**factories.audit_result().files, **files}
    return factories.report(
        evidence=factories.evidence(audit=factories.audit_result(thumbnails=[pair], files=listed))
    )


def test_report_json_reads_back_equal(tmp_path, evidence):
    report = factories.report(version=None, evidence=factories.evidence(erasure=None, lineage=None))
    render(report, evidence, tmp_path / "out")
    data = (tmp_path / "out" / "report.json").read_bytes()
    assert data == report.canonical()
    assert Report.model_validate_json(data) == report
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["README.md", "index.html", "report.json"]


def test_undecided_pictures_survive_the_round_trip(tmp_path, evidence):
    report = showing("thumbnails/base.png")
    render(report, evidence, tmp_path / "out")
    assert Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes()) == report
    assert "not scored" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_missing_picture_leaves_a_placeholder(tmp_path, evidence):
    (evidence / "thumbnails/base.png").unlink()
    render(showing("thumbnails/base.png"), evidence, tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "No picture: missing from the evidence folder" in text
    assert text.count("<img") == 1


def test_unlisted_picture_is_not_shown(tmp_path, evidence):
    factories.write_files(evidence, {"thumbnails/other.png": factories.png(7)})
    render(showing("thumbnails/other.png"), evidence, tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "not in the list of signed files" in text
    assert text.count("<img") == 1


def test_changed_picture_is_refused_and_nothing_written(tmp_path, evidence):
    (evidence / "thumbnails/base.png").write_bytes(factories.png(41))
    with pytest.raises(IntegrityError, match=r"thumbnails/base\.png"):
        render(factories.report(), evidence, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [b"GIF89a" + b"\0" * 40, b"", factories.png(1)[:20], b"<svg onload=x>" + b" " * 40])
def test_what_is_no_png_is_not_embedded(tmp_path, data):
    factories.write_files(tmp_path, {"x.png": data})
    picture = read_evidence_picture(tmp_path, "x.png", factories.digests({"x.png": data}))
    assert picture.uri is None
    assert picture.problem == "not a PNG, WebP or JPEG file"


def test_png_is_embedded_with_its_size(tmp_path):
    data = factories.png(9, side=12)
    factories.write_files(tmp_path, {"x.png": data})
    picture = read_evidence_picture(tmp_path, "x.png", factories.digests({"x.png": data}))
    assert (picture.width, picture.height, picture.problem) == (12, 12, None)
    assert picture.uri.startswith("data:image/png;base64,iVBORw0KGgo")


@pytest.mark.parametrize(
    "name", ["../secret.png", "a/../../secret.png", "/etc/passwd", "", ".", "..", "c:/x.png", "..\\x.png", "a\0.png"]
)
def test_names_that_lead_out_are_refused(tmp_path, evidence, name):
    listed = {name: factories.hexa("x")}
    with pytest.raises(IntegrityError, match="leads out"):
        confined(evidence, name)
    with pytest.raises(IntegrityError):
        render(showing(name, **listed), evidence, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_that_lead_out_are_refused(tmp_path, evidence):
    secret = tmp_path / "secret.png"
    secret.write_bytes(factories.png(3))
    (evidence / "link.png").symlink_to(secret)
    with pytest.raises(IntegrityError, match="leads out"):
        read_evidence_picture(evidence, "link.png", factories.digests({"link.png": factories.png(3)}))


def test_attacks_that_show_nothing_say_why(tmp_path, evidence):
    def attack(name: str, base: int, governed: int, control: int) -> AttackResult:
        rates = {model: factories.estimate(hits, 8)
                 for model, hits in (("base", base), ("governed", governed), ("control", control))}
        return AttackResult(category="explicit.nudity", concept="nudity", attack=name, tier="adaptive",
                            source="after a paper", budget=20, seed=1, found="words", **rates)

    def page(*attacks: AttackResult) -> str:
        audit = factories.audit_result(attacks=list(attacks))
        out = tmp_path / attacks[0].attack
        render(factories.report(evidence=factories.evidence(audit=audit)), evidence, out)
        return (out / "index.html").read_text(encoding="utf-8")

    powerless, leaking = "no power: ", "random weights show it too"
    assert powerless + "0 of 8 on the base" in (text := page(attack("none", 0, 0, 0))) and leaking not in text
    assert powerless + "7 of 8 on the base" in page(attack("weak", 7, 0, 0))  # under nine in ten
    assert leaking in (text := page(attack("ghost", 8, 5, 3))) and powerless not in text
    for found in (attack("erased", 8, 0, 0), attack("back", 0, 4, 0)):
        assert powerless not in (text := page(found)) and leaking not in text
