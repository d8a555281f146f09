"""The rows that declare them: in the package, each stands in its table."""

from __future__ import annotations

from mace_gov.documents.family_info import FamilyInfo
from mace_gov.documents.format_info import FormatInfo
from mace_gov.documents.method_info import MethodInfo
from mace_gov.documents.terms import SuiteInfo

METHOD = MethodInfo("mace_gov_example.eraser:plain", "the concepts' own tokens made their anchors', nothing preserved")
SUITE = SuiteInfo("asked for loudly", "mace_gov_example.suite:shouted")
FORMAT = FormatInfo("mace_gov_example.tsv:tsv", "mace_gov_example.tsv:failed")
FAMILY = FamilyInfo(methods=("uce",), tiers=("static",), why="nobody has tried the others on it")
