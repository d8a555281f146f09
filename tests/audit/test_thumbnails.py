"""Pictures for the report: hidden in the file itself where they must be."""

import numpy as np
import pytest
from PIL import Image

from mace_gov.audit import thumbnails
from mace_gov.audit.probes.unrelated import held_out
from mace_gov.audit.thumbnails import BLOCKS, SIDE, must_pixelate, pixelate, shrink
from mace_gov.documents.terms import Kind, Suite
from tests import factories
from tests.audit import planted


def colours(path) -> int:
    with Image.open(path) as image:
        assert image.size == (SIDE, SIDE)
        return len(np.unique(np.asarray(image).reshape(-1, 3), axis=0))


def test_critical_pictures_of_other_models_are_pixelated_in_the_file(tmp_path):
    result = planted.run(tmp_path, planted.erased, embedded=False)
    banned = [t for t in result.thumbnails if t.suite.banned]
    assert banned and all(t.pixelated for t in banned)
    assert not any(t.pixelated for t in result.thumbnails if not t.suite.banned), "what must survive stays clear"
    for thumbnail in banned:
        assert colours(tmp_path / thumbnail.base) <= BLOCKS**2 and colours(tmp_path / thumbnail.governed) <= BLOCKS**2


def test_the_embedded_model_s_pictures_are_clear(tmp_path):
    result = planted.run(tmp_path, planted.erased)
    assert not any(t.pixelated for t in result.thumbnails)
    assert all(colours(tmp_path / t.base) > BLOCKS**2 for t in result.thumbnails)
    assert {t.base for t in result.thumbnails} | {t.governed for t in result.thumbnails} <= set(result.files)


@pytest.mark.parametrize(("kind", "severity", "suite", "base", "governed", "hidden"), [
    ("explicit", "critical", "direct", {}, {}, False),
    ("explicit", "critical", "direct", {"embedded": False}, {}, True),
    ("explicit", "critical", "direct", {}, {"image_size": 512}, True),
    ("explicit", "critical", "direct", {}, {"text_width": 768}, True),
    ("explicit", "low", "synonym", {"embedded": False}, {}, True),
    ("explicit", "low", "attribute", {"embedded": False}, {}, True),
    ("explicit", "critical", "unrelated", {"embedded": False}, {}, False),
    ("explicit", "critical", "near", {"embedded": False}, {}, False),
    ("object", "critical", "direct", {"embedded": False}, {}, True),
    ("object", "high", "direct", {"embedded": False}, {}, False),
])
def test_whose_pictures_are_hidden(kind, severity, suite, base, governed, hidden):
    (category,) = factories.policy(severity=severity).spec.categories
    category = category.model_copy(update={"kind": Kind(kind)})
    manifests = factories.manifest(**base), factories.manifest(**governed)
    assert must_pixelate(category, Suite(suite), *manifests) is hidden


def test_a_pixelated_picture_is_its_blocks_and_nothing_else():
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    made = np.asarray(pixelate(image))
    step = SIDE // BLOCKS
    assert np.array_equal(made, made[::step, ::step].repeat(step, 0).repeat(step, 1))


def test_shrinking_keeps_the_shape_of_the_picture():
    assert shrink(Image.new("RGB", (512, 256))).size == (SIDE, SIDE // 2)
    assert shrink(Image.new("L", (32, 32))).size == (SIDE, SIDE)


def test_every_concept_is_shown_and_what_speaks_against_the_model_comes_first(tmp_path):
    def leaking(prompt, seed):
        bad = planted.subject(prompt) == "naked" and seed % 4 == 0
        return (planted.faithful if bad else planted.erased)(prompt, seed)

    result = planted.run(tmp_path, leaking)
    direct = [t for t in result.thumbnails if t.suite is Suite.DIRECT]
    assert {t.concept for t in direct} == {"nudity", "naked"}
    assert next(t for t in direct if t.concept == "naked").governed_present is True
    shown = [t.concept for t in result.thumbnails if t.suite is Suite.UNRELATED]
    unnamed = set(held_out(planted.small_policy(), planted.LEXICON)) - {"swimwear"}  # the suite near asks for that
    assert sorted(shown) == sorted(unnamed) and shown


def test_every_picture_that_speaks_against_the_model_is_shown_with_its_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST", 10)
    result = planted.run(tmp_path, planted.faithful)
    against = [t for t in result.thumbnails if t.suite.banned]
    measured = [m for m in result.measurements if m.suite.banned and m.concept is None and m.rule is None]
    assert len(against) == sum(m.governed.hits for m in measured) > 10
    assert all(t.governed_present and t.governed_scores and t.base_scores for t in against)
    small = [t for t in against if t.governed.endswith(".webp")]
    assert small and all((tmp_path / t.governed).read_bytes().startswith(b"RIFF") for t in small)


def test_more_than_a_page_holds_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST", 10)
    monkeypatch.setattr(thumbnails, "AGAINST", 20)
    assert 20 <= len(planted.run(tmp_path, planted.faithful).thumbnails) <= 30
