"""Clauses of well-known frameworks that a reader may file this report under. Pointers, never a claim of compliance."""

from __future__ import annotations

MAPPING: tuple[tuple[str, str, str], ...] = (
    ("NIST AI RMF 1.0", "MEASURE 1.1, 2.1, 2.3", "Scope, Sampling plan, Rules: what was measured, with which tools"),
    ("NIST AI RMF 1.0", "MEASURE 1.3", "Sign-off: reviewers who did not make the model"),
    ("NIST AI RMF 1.0", "MANAGE 1.1", "Verdict: the decision whether to go on with a release"),
    ("NIST AI 600-1", "2.3, 2.10, 2.11", "Scope: violent, protected or obscene content that the policy bans"),
    ("NIST AI 600-1", "2.12", "Lineage, Digests: where the model's parts come from"),
    ("EU AI Act", "Annex IV, point 2 (g)", "Rules, Sampling plan, Sign-off: metrics and dated, signed test reports"),
    ("EU AI Act", "Article 50", "Not addressed: this report neither marks nor discloses generated content"),
    ("ISO/IEC 42001:2023", "A.6.2.4", "Rules, Detectors, Sampling plan: verification measures and criteria"),
    ("ISO/IEC 42001:2023", "A.6.2.7", "The report as technical documentation"),
)
"""Framework, clause, and which section of the report bears on it."""
