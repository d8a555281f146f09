"""Small policies in YAML, for tests that spoil them."""

from __future__ import annotations


def head(name: str = "t", version: str = "1.0.0", owner: str = "me", review_by: str = "2027-06-01") -> str:
    """The lines above ``spec``."""
    return ("apiVersion: mace-gov/v1\nkind: ErasurePolicy\n"
            f"metadata: {{name: {name}, version: {version}, owner: {owner}, reviewBy: {review_by}}}\n")


HEAD = head() + """\
spec:
  model: {ref: embedded}
  categories:
    - id: objects
      kind: object
      severity: medium
      detectors: [judge]
      rules: [{id: OBJ-001, suite: direct, metric: presence, atMost: 0.2, minSamples: 59}]
"""
"""A policy that lacks its concepts."""

POLICY = HEAD + "      concepts: [{id: a, target: ship, anchor: sky}]\n"
"""A whole one."""
