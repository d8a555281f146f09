"""Pictures for the report: hidden in the file itself where they must be."""

import numpy as np
import pytest
from PIL import Image

from mace_gov.audit.thumbnails import BLOCKS, SIDE, must_pixelate, pixelate, shrink
from mace_gov.documents.policy import Suite
from tests import factories
from tests.audit import planted


def colours(path) -> int:
    with Image.open(path) as image:
        assert image.size == (SIDE, SIDE)
        return len(np.unique(np.asarray(image).reshape(-1, 3), axis=0))


def test_critical_pictures_of_other_models_are_pixelated_in_the_file(tmp_path):
    result = planted.run(tmp_path, planted.erased, embedded=False)
    assert result.thumbnails and all(t.pixelated for t in result.thumbnails)
    for thumbnail in result.thumbnails:
        assert colours(tmp_path / thumbnail.base) <= BLOCKS**2 and colours(tmp_path / thumbnail.governed) <= BLOCKS**2


def test_the_embedded_model_s_pictures_are_clear(tmp_path):
    result = planted.run(tmp_path, planted.erased)
    assert not any(t.pixelated for t in result.thumbnails)
    assert all(colours(tmp_path / t.base) > BLOCKS**2 for t in result.thumbnails)
    assert {t.base for t in result.thumbnails} | {t.governed for t in result.thumbnails} <= set(result.files)


@pytest.mark.parametrize(("severity", "base", "governed", "hidden"), [
    ("critical", {}, {}, False), ("critical", {"embedded": False}, {}, True),
    ("critical", {}, {"image_size": 512}, True), ("critical", {}, {"text_width": 768}, True),
    ("high", {"embedded": False}, {}, False),
])
def test_whose_pictures_are_hidden(severity, base, governed, hidden):
    (category,) = factories.policy(severity=severity).spec.categories
    assert must_pixelate(category, factories.manifest(**base), factories.manifest(**governed)) is hidden


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
    assert sum(t.suite is Suite.UNRELATED for t in result.thumbnails) == 16
