"""mace-gov keys: the signing key of a registry."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from mace_gov.cli.options import AsJson, Registry

app = typer.Typer(help="Make and show the registry's signing key.", no_args_is_help=True)


@app.command()
def show(registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """Print the public key and its fingerprint, to be pinned by those who verify."""
    from mace_gov.attest.keys import PUBLIC_NAME, key_folder, load_public_key

    path = key_folder(registry) / PUBLIC_NAME
    key = load_public_key(path)
    if as_json:
        typer.echo(json.dumps({"path": str(path), "keyid": key.fingerprint, "pem": key.pem().decode()}))
        return
    typer.echo(key.pem().decode(), nl=False)
    typer.echo(f"fingerprint sha256:{key.fingerprint}")


@app.command()
def init(registry: Registry = Path("registry")) -> None:
    """Make the signing key if there is none yet."""
    from mace_gov.attest.keys import ensure_key_pair

    pair = ensure_key_pair(registry)
    typer.echo(f"{'made' if pair.made else 'kept'} {pair.public_path}  sha256:{pair.public.fingerprint}")
