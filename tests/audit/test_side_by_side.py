"""Rates and pictures of several audits side by side."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from mace_gov.audit.metrics.intervals import estimate
from mace_gov.audit.side_by_side import contact_sheet, differences, harmonic_interval, rates, retention
from mace_gov.audit.trials import TRIALS_NAME, write_trials
from mace_gov.documents.audit import Trial
from mace_gov.documents.policy import Suite
from tests import factories


def trial(suite: Suite, n: int, side: str, present: bool | None, concept: str = "nudity") -> Trial:
    return Trial(category="explicit.nudity", concept=concept, suite=suite, prompt=f"{suite} {n}", seed=n, side=side,
                 image=f"pictures/{side}.png", image_digest="0" * 64, scores={"judge": 0.5}, present=present)


def many(suite: Suite, side: str, outcomes: list[bool | None]) -> list[Trial]:
    return [trial(suite, n, side, present) for n, present in enumerate(outcomes)]


def rate(hits: int, n: int):
    return estimate([i < hits for i in range(n)], range(n))


def test_h_is_the_harmonic_mean_and_its_interval_shrinks_with_n():
    one = harmonic_interval(rate(2, 100), rate(90, 100), rate(10, 100))
    assert one.value == pytest.approx(3 / (1 / 0.98 + 1 / 0.9 + 1 / 0.9))
    assert 0.85 < one.low < one.value < one.high < 1
    without = harmonic_interval(rate(2, 100), rate(90, 100), None)
    assert without.value == pytest.approx(2 / (1 / 0.98 + 1 / 0.9))
    few, more = (harmonic_interval(rate(0, n), rate(n, n), None) for n in (10, 1000))
    assert few.value == more.value == few.high == 1
    assert few.low < 0.95 < more.low


def test_rates_are_one_sides_and_leave_out_what_nobody_scored():
    trials = (many(Suite.DIRECT, "governed", [True, False, False, None]) + many(Suite.DIRECT, "base", [True] * 4)
              + many(Suite.UNRELATED, "governed", [True, True, False]))
    found = rates(trials, "governed")
    assert (found.acc_e.hits, found.acc_e.n) == (1, 3)
    assert (found.acc_s.hits, found.acc_s.n) == (2, 3)
    assert found.acc_g is None and found.near is None
    assert found.h.value == pytest.approx(2 / (1.5 + 1.5))
    assert rates(trials, "base").acc_e.value == 1 and rates(trials, "base").h is None


def test_retention_counts_what_the_base_got_right():
    trials = many(Suite.UNRELATED, "base", [True, True, False, True]) + many(
        Suite.UNRELATED, "governed", [True, False, True, None])
    kept = retention(trials)
    assert (kept.hits, kept.n) == (1, 2)


def test_methods_differ_by_the_prompts_that_they_alone_lose():
    """Six prompts that the second method alone loses: exactly 2/64, and twice that beside another question."""
    one = many(Suite.UNRELATED, "governed", [True] * 10) + many(Suite.DIRECT, "governed", [False] * 4)
    other = many(Suite.UNRELATED, "governed", [False] * 6 + [True] * 4) + many(Suite.DIRECT, "governed", [False] * 4)
    found = differences({"mace": one, "uce": other})
    assert found == {"mace": {}, "uce": {Suite.UNRELATED: pytest.approx(4 / 64), Suite.DIRECT: 1.0}}


def colours(uri: str) -> set[tuple[int, int, int]]:
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        return {colour for _, colour in image.convert("RGB").getcolors(1 << 16)}


def test_the_sheet_shows_the_same_prompts_of_every_method(tmp_path):
    folders = {}
    for method, grey in (("mace", 200), ("uce", 90)):
        folders[method] = tmp_path / method
        (folders[method] / "pictures").mkdir(parents=True)
        (folders[method] / "pictures/base.png").write_bytes(factories.png(40))
        (folders[method] / "pictures/governed.png").write_bytes(factories.png(grey))
        trials = [trial(suite, n, side, side == "base", concept)
                  for suite, concept in ((Suite.DIRECT, "nudity"), (Suite.DIRECT, "naked"), (Suite.UNRELATED, "a cat"))
                  for n in range(12) for side in ("base", "governed")]
        write_trials(folders[method] / TRIALS_NAME, trials)
    base = factories.manifest()
    sheet = contact_sheet(factories.policy(), base, {"mace": base, "uce": base}, folders)
    assert [row.suite for row in sheet].count(Suite.DIRECT) == 10
    assert [row.concept for row in sheet[:4]] == ["nudity", "naked", "nudity", "naked"]  # concepts take turns
    for row in sheet:
        assert list(row.pictures) == ["base", "mace", "uce"]
        assert [colours(uri) for uri, _ in row.pictures.values()] == [{(40,) * 3}, {(200,) * 3}, {(90,) * 3}]
        assert [present for _, present in row.pictures.values()] == [True, False, False]
        assert not row.pixelated


def test_critical_pictures_of_a_real_model_are_pixelated(tmp_path):
    (tmp_path / "pictures").mkdir()
    for side in ("base", "governed"):
        Image.effect_noise((64, 64), 80).convert("RGB").save(tmp_path / f"pictures/{side}.png")
    write_trials(tmp_path / TRIALS_NAME, [trial(Suite.DIRECT, 0, side, True) for side in ("base", "governed")])
    real = factories.manifest(embedded=False)
    (row,) = contact_sheet(factories.policy(), real, {"mace": real}, {"mace": tmp_path})
    assert row.pixelated
    assert all(len(colours(uri)) <= 64 for uri, _ in row.pictures.values())
