"""Plots: marks where the numbers are, text escaped, nothing drawn for what was not measured."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mace_gov.documents.policy import Metric
from mace_gov.report import plots
from tests.factories import estimate


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def position(element: ElementTree.Element, name: str) -> float:
    return float(element.get(name).rstrip("%"))


@pytest.mark.parametrize("scale", [plots.angular, plots.linear])
def test_scales_rise_from_0_to_1(scale):
    values = [scale(i / 100) for i in range(101)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0.0, 1.0)


def test_forest_row_puts_governed_bound_and_threshold_in_order():
    inside = drawn(plots.forest_row(Metric.PRESENCE, 0.05, estimate(0, 64), estimate(64, 64)))
    limit = position(inside.find("line[@class='limit']"), "x1")
    whisker = inside.find("line[@class='whisker governed-line']")
    assert position(whisker, "x2") < limit
    outside = drawn(plots.forest_row(Metric.PRESENCE, 0.05, estimate(0, 50), estimate(50, 50)))
    assert position(outside.find("line[@class='whisker governed-line']"), "x2") > limit
    base, governed = (position(inside.find(f"circle[@class='{side}']"), "cx") for side in ("base", "governed"))
    assert base > governed


def test_met_region_is_on_the_right_side():
    at_most = drawn(plots.forest_row(Metric.PRESENCE, 0.1, None, None)).find("rect")
    at_least = drawn(plots.forest_row(Metric.RETENTION, 0.9, None, None)).find("rect")
    assert position(at_most, "x") == plots.MARGIN
    assert position(at_least, "x") + position(at_least, "width") == pytest.approx(100 - plots.MARGIN, abs=0.02)


@pytest.mark.parametrize("empty", [None, estimate(0, 0, low=0.0, high=1.0)])
def test_nothing_measured_draws_no_mark(empty):
    for svg in (plots.forest_row(Metric.PRESENCE, 0.1, empty, empty), plots.dumbbell_row(empty, empty)):
        assert drawn(svg).find("circle") is None
        assert "not measured" in drawn(svg).get("aria-label")


def test_labels_say_what_is_drawn():
    label = drawn(plots.dumbbell_row(estimate(60, 60), estimate(0, 60))).get("aria-label")
    assert "Base 60 of 60" in label
    assert "Governed 0 of 60" in label


def test_label_is_escaped():
    assert drawn(plots._svg('"><script>', 1, [])).get("aria-label") == '"><script>'


def test_every_outcome_has_a_shape_of_its_own():
    marks = {re.sub(r"<svg[^>]*>", "", plots.outcome_mark(outcome)) for outcome in ("PASS", "FAIL", "REVIEW")}
    assert len(marks) == 3


def test_axes_are_labelled_from_0_to_100():
    for svg in (plots.forest_axis(), plots.dumbbell_axis()):
        labels = [text.text for text in drawn(svg).findall("text")]
        assert (labels[0], labels[-1]) == ("0", "100")


def test_a_trend_has_a_mark_for_each_version_and_rises_with_the_rate():
    made = drawn(plots.trend_line([(1, 0.5), (3, 1.0), (4, 0.9)]))
    marks = made.findall("circle")
    heights = [float(mark.get("cy")) for mark in marks]
    assert [position(mark, "cx") for mark in marks] == [2.0, 50.0, 98.0] and heights[1] < heights[2] < heights[0]
    assert made.get("aria-label") == "version 1: 50.0\u00a0%; version 3: 100.0\u00a0%; version 4: 90.0\u00a0%"
    assert len(drawn(plots.trend_line([(1, 0.5)])).findall("circle")) == 1
