"""mace-gov sign-off and sign-keyless: a reviewer decides on a verdict; an identity of CI signs it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Key, Registry, TrustConfig
from mace_gov.documents.sign_off import Decision


def sign_off(
    path: Annotated[
        Path, typer.Argument(help="The report folder that was looked at, or a version.", show_default=False)
    ],
    signing_key: Annotated[
        Path, typer.Option("--signing-key", help="The reviewer's private key (PEM).", show_default=False)
    ],
    decision: Annotated[Decision, typer.Option("--decision", help="The decision.", show_default=False)],
    reviewer: Annotated[str, typer.Option("--reviewer", help="Who decides.", show_default=False)],
    role: Annotated[str, typer.Option("--role", help="In which capacity.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words.", show_default=False)],
    key: Key = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Verify a report, then sign a decision on its verdict. It counts where the reviewer's key is pinned."""
    from mace_gov.attest.sign_off import ReviewerDecision
    from mace_gov.workflow import signing_off

    written, verified = signing_off.sign_off_path(
        path, ReviewerDecision(decision, reviewer, role, reason), signing_key=signing_key, key=key, registry=registry)
    verdict = verified.verdict.outcome if verified.verdict else None
    if as_json:
        typer.echo(json.dumps({"sign_off": str(written), "decision": decision, "verdict": verdict,
                               "resource_uri": verified.resource_uri}))
        return
    typer.echo(f"signed  {decision} of {verified.resource_uri}, verdict {verdict}: {written}")
    here = written.is_relative_to(registry)
    filed = "" if here else "put it in the version's folder sign-offs/; "
    version = shlex.quote(str(written.parents[1])) if here else "VERSION"
    typer.echo(f"next: {filed}`mace-gov report {version}` writes the report anew with it")


def sign_keyless(
    path: Annotated[Path, typer.Argument(help="A version or its report folder.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Where the bundle goes (JSON).", show_default=False)],
    trust_config: TrustConfig = None,
    key: Key = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Verify a version, then sign its verdict as who this job is by its identity token (extra: sigstore)."""
    from mace_gov import workflow
    from mace_gov.attest.keyless import sign_keyless as sign

    verified, _, _ = workflow.verify_path(path, key=key, registry=registry)
    identity = sign(verified, out, trust_config=trust_config)
    if as_json:
        typer.echo(json.dumps({"bundle": str(out), "identity": identity, "resource_uri": verified.resource_uri}))
        return
    typer.echo(f"signed  the verdict on {verified.resource_uri} as {identity}: {out}")
