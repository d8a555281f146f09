"""Plots as inline SVG. Each row is a small drawing of its own, placed by percentages, so that it fills the width it
is given and its text never shrinks on a narrow screen. Colours come from the page's CSS classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from mace_gov.documents.rate import Estimate
from mace_gov.documents.terms import Metric
from mace_gov.report.words import limit_percent, measured, percent, sentence

Scale = Callable[[float], float]
"""Maps a rate in 0..1 to a position in 0..1."""

ANGULAR_TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
LINEAR_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
MARGIN = 2.0
"""Percent of the width left free on either side, so that marks at 0 and 1 are drawn whole."""


def angular(rate: float) -> float:
    """Arcsine square root: stretches both ends, where thresholds lie, and has room for 0 and 1."""
    return math.asin(math.sqrt(min(max(rate, 0.0), 1.0))) / (math.pi / 2)


def linear(rate: float) -> float:
    """The rate itself."""
    return min(max(rate, 0.0), 1.0)


def _x(scale: Scale, rate: float) -> str:
    return f"{MARGIN + (100 - 2 * MARGIN) * scale(rate):.2f}%"


def _width(scale: Scale, low: float, high: float) -> str:
    return f"{(100 - 2 * MARGIN) * (scale(high) - scale(low)):.2f}%"


def _svg(label: str, height: int, body: Sequence[str]) -> str:
    return (
        f'<svg class="track" role="img" aria-label="{escape(label)}" width="100%" height="{height}">'
        f'{"".join(body)}</svg>'
    )


def _grid(scale: Scale, ticks: Sequence[float], height: int) -> list[str]:
    return [
        f'<line class="grid" x1="{_x(scale, tick)}" x2="{_x(scale, tick)}" y1="0" y2="{height}"/>' for tick in ticks
    ]


def _ring(scale: Scale, estimate: Estimate, y: int, radius: float = 4.5) -> str:
    return f'<circle class="base" cx="{_x(scale, estimate.value)}" cy="{y}" r="{radius}"/>'


def _dot(scale: Scale, estimate: Estimate, y: int, radius: float = 5) -> str:
    return f'<circle class="governed" cx="{_x(scale, estimate.value)}" cy="{y}" r="{radius}"/>'


def _whisker(scale: Scale, estimate: Estimate, y: int, kind: str) -> list[str]:
    low, high = _x(scale, estimate.low), _x(scale, estimate.high)
    return [
        f'<line class="whisker {kind}" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>',
        *(f'<line class="whisker {kind}" x1="{x}" x2="{x}" y1="{y - 4}" y2="{y + 4}"/>' for x in (low, high)),
    ]


def forest_row(metric: Metric, limit: float, governed: Estimate | None, base: Estimate | None) -> str:
    """One rule: the region that meets it, the threshold, and both models' estimates with their bounds."""
    height, upper, lower = 44, 13, 31
    at_most = metric is Metric.PRESENCE
    start, end = (0.0, limit) if at_most else (limit, 1.0)
    width, x = _width(angular, start, end), _x(angular, limit)
    region = f'<rect class="met" x="{_x(angular, start)}" width="{width}" y="0" height="{height}"/>'
    threshold = f'<line class="limit" x1="{x}" x2="{x}" y1="0" y2="{height}"/>'
    body = [region, *_grid(angular, ANGULAR_TICKS, height), threshold]
    if base is not None and measured(base):
        body += [*_whisker(angular, base, upper, "base-line"), _ring(angular, base, upper)]
    if governed is not None and measured(governed):
        body += [*_whisker(angular, governed, lower, "governed-line"), _dot(angular, governed, lower)]
    wanted = f"at {'most' if at_most else 'least'} {limit_percent(limit)}"
    return _svg(f"Threshold {wanted}. Base {sentence(base)}. Governed {sentence(governed)}.", height, body)


def dumbbell_row(base: Estimate | None, governed: Estimate | None) -> str:
    """One concept and suite: where the base model was, where the governed model is, and its bounds."""
    height, y = 22, 11
    body = _grid(linear, LINEAR_TICKS, height)
    if base is not None and governed is not None and measured(base) and measured(governed):
        ends = f'x1="{_x(linear, base.value)}" x2="{_x(linear, governed.value)}"'
        body.append(f'<line class="bond" {ends} y1="{y}" y2="{y}"/>')
    if governed is not None and measured(governed):
        body += _whisker(linear, governed, y, "governed-line")
    if base is not None and measured(base):
        body.append(_ring(linear, base, y))
    if governed is not None and measured(governed):
        body.append(_dot(linear, governed, y, 4.5))
    return _svg(f"Base {sentence(base)}. Governed {sentence(governed)}.", height, body)


def _axis(scale: Scale, ticks: Sequence[float], sparse: Sequence[float]) -> str:
    """Tick labels; those not in ``sparse`` are dropped on narrow screens."""
    labels = []
    for tick in ticks:
        rare = "" if tick in sparse else ' class="wide-only"'
        anchor = "start" if tick == 0 else "end" if tick == 1 else "middle"
        x = "0%" if tick == 0 else "100%" if tick == 1 else _x(scale, tick)
        labels.append(f'<text{rare} x="{x}" y="12" text-anchor="{anchor}">{100 * tick:g}</text>')
    return f'<svg class="axis" aria-hidden="true" width="100%" height="16">{"".join(labels)}</svg>'


def forest_axis() -> str:
    """Tick labels in percent of the forest plot's angular scale."""
    return _axis(angular, ANGULAR_TICKS, (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0))


def dumbbell_axis() -> str:
    """Tick labels in percent of the linear scale."""
    return _axis(linear, LINEAR_TICKS, (0.0, 0.5, 1.0))


def trend_line(points: Sequence[tuple[int, float]]) -> str:
    """One rate over versions, as (version, value): evenly spaced, on the linear scale from the bottom to the top."""
    height, inset = 72, 8
    steps = max(len(points) - 1, 1)
    at = [(f"{MARGIN + (100 - 2 * MARGIN) * n / steps:.2f}%",
           f"{height - inset - (height - 2 * inset) * linear(value):.1f}") for n, (_, value) in enumerate(points)]
    body = [f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>' for y in (inset, height / 2, height - inset)]
    body += [f'<line class="whisker governed-line" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
             for (x1, y1), (x2, y2) in pairwise(at)]
    body += [f'<circle class="governed" cx="{x}" cy="{y}" r="4.5"/>' for x, y in at]
    return _svg("; ".join(f"version {number}: {percent(value)}" for number, value in points), height, body)


def outcome_mark(outcome: str) -> str:
    """A small sign with a shape of its own for each outcome, so that colour is never alone."""
    shapes = {
        "PASS": '<circle cx="8" cy="8" r="7"/><path d="M4.6 8.3 7 10.7 11.4 5.6"/>',
        "FAIL": '<rect x="1" y="1" width="14" height="14" rx="2"/><path d="M5 5 11 11M11 5 5 11"/>',
        "REVIEW": '<path d="M8 1.2 15.2 14.4H.8Z"/><path d="M8 6V9.8M8 11.6V12.4"/>',
    }
    return f'<svg class="mark" aria-hidden="true" viewBox="0 0 16 16" width="16" height="16">{shapes[outcome]}</svg>'
