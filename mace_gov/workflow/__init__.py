"""The wiring: joins the stages in order. The only package that knows all of them.

    policy -> plan -> erase -> audit -> record -> attest -> gate -> report

planning       a policy and a base made into a plan
applying       make a governed version; audit a model made elsewhere; erase alone
attempt        erase and audit: what apply, compare and tune have in common
checking       verify
deciding       decide, with waivers and against a version before; a report in the formats of other tools
reporting      write the report, and again after a sign-off
signing_off    a reviewer's decision
release_check  may it be released now? All that uses a version asks it
refusals       errors for what may not: recalled, lapsed, moved in MLflow
release        promote, recall, roll back
registry_check everything in a registry held against everything else
sharding       an audit whose pictures are drawn on several machines
lineage        what a registry holds, seen whole: releases and lineage
loading        load a version, draw with it
exporting      a version in the forms that other tools load
comparing      every method on one policy
settings_search  settings for a policy
"""

from mace_gov.workflow.applying import RunResult, apply, audit_model, erase_model
from mace_gov.workflow.checking import check, folder_of, may_release, verify_path
from mace_gov.workflow.deciding import export_report, gate_path
from mace_gov.workflow.lineage import lineage_of, releases, standings
from mace_gov.workflow.planning import plan_policy
from mace_gov.workflow.registry_check import check_registry
from mace_gov.workflow.release import Released, promote, recall, rollback
from mace_gov.workflow.reporting import report_again
from mace_gov.workflow.sharding import draw_shard, merge_shards

__all__ = [
    "Released", "RunResult", "apply", "audit_model", "check", "check_registry", "draw_shard", "erase_model",
    "export_report", "folder_of", "gate_path", "lineage_of", "may_release", "merge_shards", "plan_policy", "promote",
    "recall", "releases", "report_again", "rollback", "standings", "verify_path",
]
