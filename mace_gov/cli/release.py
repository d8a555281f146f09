"""mace-gov registry promote, rollback, recall: which version may be deployed."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mace_gov.cli.options import AsJson, Key, Registry, WaiverFiles

if TYPE_CHECKING:
    from mace_gov.workflow import Released

By = Annotated[str | None, typer.Option("--by", help="Who asks for it. Default: the user who runs this.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the record.")]


def promote(
    version: Annotated[
        str, typer.Argument(help="NAME/N, or models:/NAME@candidate for the newest.", show_default=False)
    ],
    key: Key = None,
    by: By = None,
    reason: Reason = None,
    waivers: WaiverFiles = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Verify a version, ask the gate anew, and make it `compliant` if it passes. The exit code is the gate's."""
    from mace_gov import workflow

    released = workflow.promote(
        version, registry=registry, key=key, by=_asker(by), reason=reason, waivers=waivers or ()
    )
    raise typer.Exit(_finish(released, as_json=as_json))


def rollback(
    name: Annotated[str, typer.Argument(help="Registered model: the policy's name.", show_default=False)],
    key: Key = None,
    by: By = None,
    reason: Reason = None,
    waivers: WaiverFiles = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Make the version before the compliant one `compliant` again, once it verifies and passes the gate."""
    from mace_gov import workflow

    released = workflow.rollback(
        name, registry=registry, key=key, by=_asker(by), reason=reason, waivers=waivers or ()
    )
    raise typer.Exit(_finish(released, as_json=as_json))


def recall(
    version: Annotated[str, typer.Argument(help="NAME/N, as `registry list` prints it.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why, for everybody who runs into it.", show_default=False)],
    by: By = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Call a version back: `verify` refuses it and its model from now on, under whatever number."""
    from mace_gov import workflow

    log = workflow.recall(version, registry=registry, by=_asker(by), reason=reason)
    name = log.entries[0].name
    now, before = (f"{name}/{number}" if number else None for number in (log.compliant, log.rollback_target))
    if as_json:
        typer.echo(json.dumps({"recalled": version, "compliant": now, "rollback": before}))
        return
    typer.echo(f"recalled   {version}")
    typer.echo(f"compliant  {now or 'none'}")
    if now is None:
        step = f"mace-gov registry rollback {name}" if before else "mace-gov registry promote VERSION"
        typer.echo(f"next       {step}")


def _asker(by: str | None) -> str:
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"


def _finish(released: Released, *, as_json: bool) -> int:
    verdict, code = released.verdict, released.exit_code
    if as_json:
        typer.echo(json.dumps({
            "version": released.version, "verdict": verdict.outcome, "compliant": code == 0, "exit_code": code,
            "model_digest": verdict.governed_digest, "review": list(released.reasons),
        }))
    elif code == 0:
        typer.echo(f"compliant  {released.version}  sha256:{verdict.governed_digest}")
        typer.echo(f"next       mace-gov verify models:/{verdict.policy_name}@compliant --key KEY")
    else:
        from mace_gov.core.terminal import printable
        from mace_gov.report import console

        console.show(verdict, {}, {"version": released.version})
        for reason in released.reasons:
            typer.echo(f"review  {printable(reason)}")
        typer.echo("not promoted: only a PASS is released, or what reviewers approved")
    return code
