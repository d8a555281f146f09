"""The wiring: joins the stages in order. The only package that knows all of them.

    policy -> plan -> erase -> audit -> record -> attest -> gate -> report

making     plan, apply, audit a model made elsewhere, erase alone
checking   verify
deciding   decide, with waivers and against a version before; a report in the formats of other tools
reporting  write the report, and again after a sign-off
release_check   may it be released now? All that uses a version asks it
standing   errors for what may not: recalled, lapsed, moved in MLflow
release    promote, recall, roll back
shelf      what a registry holds, seen whole
"""

from mace_gov.workflow.checking import check, folder_of, may_release, plan_policy, verify_path
from mace_gov.workflow.deciding import export, gate_path
from mace_gov.workflow.making import Outcome, apply, audit_model, erase_model
from mace_gov.workflow.release import Released, promote, recall, rollback
from mace_gov.workflow.reporting import report_again
from mace_gov.workflow.shelf import lineage_of, releases, standings

__all__ = [
    "Outcome", "Released", "apply", "audit_model", "check", "erase_model", "export", "folder_of", "gate_path",
    "lineage_of", "may_release", "plan_policy", "promote", "recall", "releases", "report_again", "rollback",
    "standings", "verify_path",
]
