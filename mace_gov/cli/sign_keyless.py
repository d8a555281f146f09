"""mace-gov sign-keyless: sign a verdict as an identity, by Sigstore."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Key, Registry, TrustConfig


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
