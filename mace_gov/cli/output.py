"""How a run's end is printed: for people through report.console, for programs as one JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.registry import EVIDENCE_NAME, MODEL_SIGNATURE_NAME, VERDICT_NAME
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.verdict import Verdict

if TYPE_CHECKING:
    from mace_gov.record.versions import VersionEntry
    from mace_gov.workflow import Outcome


def finish(outcome: Outcome, *, as_json: bool) -> int:
    """Print a finished run and return its exit code."""
    paths = {
        "model": outcome.model,
        "evidence": outcome.folder / EVIDENCE_NAME,
        "verdict": outcome.folder / VERDICT_NAME,
        "report": outcome.report / "index.html",
        "version": outcome.folder,
        **({"model_signature": outcome.folder / MODEL_SIGNATURE_NAME, "model_signing_key": outcome.model_key}
           if outcome.model_key else {}),
    }
    if as_json:
        typer.echo(json.dumps({
            "verdict": outcome.verdict.outcome,
            "version": outcome.version,
            "model_digest": outcome.audit.governed_digest,
            "paths": {name: str(path) for name, path in paths.items()},
            "measures": {**outcome.audit.measures, **outcome.audit.comparisons},
            "rules": _rules(outcome.verdict),
            "reasons": outcome.verdict.reasons,
            "review": [*outcome.check.reasons, *outcome.check.remarks],
            "exit_code": outcome.check.exit_code,
        }))
    else:
        from mace_gov.report import console

        console.show(outcome.verdict, outcome.audit.measures, {name: str(path) for name, path in paths.items()},
                     check=outcome.check)
        if outcome.check.exit_code != outcome.verdict.exit_code:
            say_standing(outcome.check)
    return outcome.check.exit_code


def finish_verified(
    verified: VerifiedEvidence, verdict: Verdict, after: ReleaseCheck, *, pinned: bool, as_json: bool
) -> int:
    """Print what was verified and decided, and return the exit code: whether it may be released now."""
    lineage = verified.evidence.lineage
    if as_json:
        typer.echo(json.dumps({
            "verdict": verdict.outcome,
            "version": f"{lineage.name}/{lineage.version}" if lineage else None,
            "model_digest": verified.evidence.audit.governed_digest,
            "paths": {"version": str(verified.folder)},
            "measures": verified.evidence.audit.measures,
            "rules": _rules(verdict),
            "reasons": verdict.reasons,
            "waivers": [waiver.to_json() for waiver in verdict.waivers],
            "compared": verdict.compared.to_json() if verdict.compared else None,
            "checks": list(verified.checks),
            "keyid": verified.keyid,
            "key_pinned": pinned,
            "sign_offs": [one.to_json() for one in verified.sign_offs],
            "review": [*after.reasons, *after.remarks],
            "release": after.to_json(),
            "exit_code": after.exit_code,
        }))
        return after.exit_code
    for check in verified.checks:
        typer.echo(f"ok  {check}")
    if not pinned:
        typer.echo("note  the registry's own public key was used; give --key with a key that you got another way")
    from mace_gov.report import console

    console.show(verdict, verified.evidence.audit.measures, {"version": str(verified.folder)}, check=after)
    say_standing(after)
    return after.exit_code


def say_standing(check: ReleaseCheck) -> None:
    """Print how a version stands now, if its verdict alone does not say it."""
    from mace_gov.core.terminal import printable

    for reason in (*check.reasons, *check.remarks):
        typer.echo(f"review  {printable(reason)}")
    typer.echo(f"release {check.state}: {'may be released' if check.released else 'may not be released'}")


def say_not_compared(against: str | None, verdict: Verdict) -> None:
    """Say that a comparison was asked for and nothing was there to compare with."""
    if against and verdict.compared is None:
        typer.echo(f"note  {verdict.policy_name} has no earlier compliant version to compare with", err=True)


def show_version(entry: VersionEntry, check: ReleaseCheck, *, as_json: bool) -> None:
    """Print one version of the registry and how it stands."""
    if as_json:
        typer.echo(json.dumps({**entry.to_json(), "check": check.to_json()}))
        return
    for name, value in entry.to_json().items():
        typer.echo(f"{name:16} {value}")
    say_standing(check)
    typer.echo(f"next: mace-gov verify {Path(entry.folder)}")


def _rules(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {
            "id": finding.rule,
            "estimate": finding.estimate.value if finding.estimate else None,
            "n": finding.estimate.n if finding.estimate else 0,
            "low": finding.estimate.low if finding.estimate else 0.0,
            "high": finding.estimate.high if finding.estimate else 1.0,
            "outcome": finding.outcome,
        }
        for finding in verdict.findings
    ]
