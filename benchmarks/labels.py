"""How a labeller and the judge agree on pictures that were labelled by eye: sensitivity, specificity, Cohen's kappa.

    python -m benchmarks.labels docs/labels/objects-one.csv

A row for each picture of the sheet beside the file: what was asked, what the judge scored, the label (present, absent,
unsure). Labels are taken for the truth, unsure ones are counted and left out; intervals are two-sided 95 %.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.metrics.intervals import bounds

LABELS = ("present", "absent", "unsure")


def agreement(rows: list[dict[str, str]], threshold: float) -> dict[str, object]:
    """Counts, rates with bounds, and kappa. Raises ValueError for another label."""
    if wrong := {row["label"] for row in rows} - set(LABELS):
        raise ValueError(f"labels {sorted(wrong)}, expected {', '.join(LABELS)}")
    seen = [(row["label"] == "present", float(row["judge"]) >= threshold) for row in rows if row["label"] != "unsure"]
    both = sum(a and b for a, b in seen)
    neither = sum(not a and not b for a, b in seen)
    present, found, n = sum(a for a, _ in seen), sum(b for _, b in seen), len(seen)
    chance = (present * found + (n - present) * (n - found)) / n**2
    return {
        "labelled": n, "unsure": len(rows) - n,
        "sensitivity": (both, present, *bounds(both, present, 0.975)),
        "specificity": (neither, n - present, *bounds(neither, n - present, 0.975)),
        "kappa": ((both + neither) / n - chance) / (1 - chance) if chance < 1 else 1.0,
    }


def main(argv: list[str] | None = None) -> dict[str, object]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    args = parser.parse_args(argv)
    with args.labels.open(newline="") as file:
        found = agreement(list(csv.DictReader(file)), JudgeDetector().threshold)
    print(json.dumps(found))
    return found


if __name__ == "__main__":
    main()
