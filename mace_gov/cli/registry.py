"""mace-gov registry: what has been governed here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Registry

app = typer.Typer(help="List and show governed versions.", no_args_is_help=True)


@app.command("list")
def list_(registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """List governed versions with their signed verdicts. Listing verifies nothing: `mace-gov verify` does."""
    from mace_gov.record.versions import list_versions

    versions = list_versions(registry)
    if as_json:
        typer.echo(json.dumps({"versions": [version.to_json() for version in versions]}))
        return
    if not versions:
        typer.echo(f"no versions in {registry}; make one with `mace-gov apply policies/nsfw.yaml`")
    for version in versions:
        typer.echo(f"{version.reference}  {version.outcome or 'undecided':9}  {version.created}  "
                   f"sha256:{version.governed_digest}")


@app.command()
def show(
    version: Annotated[str, typer.Argument(help="NAME/N, as `registry list` prints it.", show_default=False)],
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Show one version: verdict, digests, lineage, measures and where its files lie."""
    from mace_gov.cli.output import show_version
    from mace_gov.record.versions import find

    show_version(find(registry, version), as_json=as_json)
