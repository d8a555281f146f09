"""What compare.py measured: rates with intervals, a table and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mace_gov.audit.metrics.intervals import estimate
from mace_gov.audit.metrics.measures import harmonic
from mace_gov.audit.metrics.melded import harmonic_bounds
from mace_gov.audit.probes.probe import Probe
from mace_gov.documents.terms import Suite

BASE = "base"
SUITES = {"erased": (Suite.DIRECT,), "synonyms": (Suite.SYNONYM,), "held_out": (Suite.NEAR, Suite.UNRELATED),
          "preserved": (Suite.PRESERVED,)}
COLUMNS = {"erased": "erased, still drawn", "synonyms": "by synonym", "held_out": "held-out kept",
           "preserved": "preserved kept"}
CONFIDENCE = 0.975
"""One-sided: intervals are two-sided at 95 %."""


def rates_of(probes: Sequence[Probe], present: Sequence[bool]) -> dict:
    """Rates by name with intervals clustered by prompt and concept, and H of what is erased and what is held out."""
    row, terms = {}, []
    for name, suites in SUITES.items():
        own = [(seen, probe) for seen, probe in zip(present, probes, strict=True) if probe.suite in suites]
        if not own:
            continue
        found = estimate([bool(seen) for seen, _ in own], [probe.prompt for _, probe in own], CONFIDENCE,
                         concepts=[probe.concept for _, probe in own])
        row[name] = {"value": found.value, "n": found.n, "low": found.low, "high": found.high}
        if name != "preserved":
            terms.append((found.value if name == "held_out" else 1 - found.value, found.effective_n))
    low, high = harmonic_bounds([(rate * n, n) for rate, n in terms], CONFIDENCE)
    return {**row, "H": {"value": harmonic(rate for rate, _ in terms), "low": low, "high": high}}


def markdown(cells: list[dict]) -> str:
    """One row for each number of concepts and method: rates and H in percent with 95 % intervals, and what it took."""
    lines = ["| concepts | method | " + " | ".join(COLUMNS.values()) + " | H | CPU seconds | delta MB |",
             "| --- " * (len(COLUMNS) + 5) + "|"]
    for cell in sorted(cells, key=lambda cell: cell["concepts"]):
        rates = cell.get("rates", {})
        shown = [_rate(rates.get(name)) for name in (*COLUMNS, "H")]
        cost = [f"{cell[key] / unit:.{digits}f}" if key in cell else ""
                for key, unit, digits in (("seconds", 1, 0), ("delta_bytes", 1e6, 1))]
        lines.append("| " + " | ".join([str(cell["concepts"]), cell["method"], *shown, *cost]) + " |")
    return "\n".join(lines)


def _rate(rate: dict | None) -> str:
    if rate is None:
        return "none"
    hits = f" of {rate['n']}" if "n" in rate else ""
    return f"{100 * rate['value']:.1f}{hits} [{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"


def plotted(cells: list[dict], out: Path) -> None:
    """H against the number of concepts, one line a method, with its intervals."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for place, method in enumerate(dict.fromkeys(c["method"] for c in cells if c["method"] != BASE)):
        mine = sorted((c for c in cells if c["method"] == method and "rates" in c), key=lambda c: c["concepts"])
        h = [c["rates"]["H"] for c in mine]
        spread = [[max(x["value"] - x["low"], 0) for x in h], [max(x["high"] - x["value"], 0) for x in h]]
        axes.errorbar([c["concepts"] * 1.06 ** (place - 1.5) for c in mine], [x["value"] for x in h], yerr=spread,
                      marker="o", capsize=3, label=method)
    counts = sorted({c["concepts"] for c in cells})
    axes.set(xscale="log", xlabel="concepts erased", ylabel="H (higher is better)", ylim=(0, 1.02))
    axes.set_xticks(counts, [str(count) for count in counts], minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    pyplot.rcParams["svg.hashsalt"] = "mace-gov"
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
