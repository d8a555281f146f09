"""mace-gov keys: the keys that sign here, and the keys that count here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Registry
from mace_gov.documents.trust import Role

app = typer.Typer(help="Make, show, pin, rotate and revoke keys.", no_args_is_help=True)

Private = Annotated[Path, typer.Argument(help="Private key file (PEM).", show_default=False)]
Ask = Annotated[
    bool, typer.Option("--passphrase", help="Encrypt it: ask for a passphrase, unless the environment names one.")
]


@app.command()
def show(registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """Print the public key and its fingerprint, to be pinned by those who verify."""
    from mace_gov.attest.keys import PUBLIC_NAME, load_public_key
    from mace_gov.documents.registry import Layout

    path = Layout(registry).keys / PUBLIC_NAME
    key = load_public_key(path)
    if as_json:
        typer.echo(json.dumps({"path": str(path), "keyid": key.fingerprint, "pem": key.pem().decode()}))
        return
    typer.echo(key.pem().decode(), nl=False)
    typer.echo(f"fingerprint sha256:{key.fingerprint}")


@app.command()
def init(registry: Registry = Path("registry"), passphrase: Ask = False) -> None:
    """Make the registry's signing keys if there are none yet."""
    from mace_gov.attest.keys import ensure_key_pair, ensure_model_pair
    from mace_gov.attest.passphrase import new_passphrase

    secret = new_passphrase() if passphrase else None
    for pair in (ensure_key_pair(registry, passphrase=secret), ensure_model_pair(registry, passphrase=secret)):
        typer.echo(f"{'made' if pair.made else 'kept'} {pair.public_path}  sha256:{pair.public.fingerprint}")


@app.command()
def generate(path: Private, passphrase: Ask = False) -> None:
    """Make a key pair of your own, to sign off with, where git will not commit it. The public half lies beside it."""
    from mace_gov.attest.keypair import generate_key, load_key_pair
    from mace_gov.attest.passphrase import new_passphrase
    from mace_gov.core.errors import UsageError
    from mace_gov.core.git import would_commit

    if would_commit(path):
        raise UsageError(f"{path} lies in a git work tree that does not ignore it: a private key must not be committed",
                         hint="Give a path elsewhere, like ~/.config/mace-gov/reviewer.pem, or write *.pem into "
                              ".gitignore.")
    secret = new_passphrase() if passphrase else None
    if not generate_key(path, passphrase=secret):
        raise UsageError(f"{path} is there already, expected a new file", hint="Give another path.")
    pair = load_key_pair(path, passphrase=secret)
    typer.echo(f"made {path}, keep it to yourself; hand out {pair.public_path}  sha256:{pair.public.fingerprint}")


@app.command()
def passphrase(path: Private) -> None:
    """Encrypt a private key anew under a passphrase that is asked for; an empty one leaves it unencrypted."""
    from mace_gov.attest.keypair import encrypt_key
    from mace_gov.attest.passphrase import NEW_VARIABLE, new_passphrase
    from mace_gov.core.errors import UsageError

    if not path.is_file():
        raise UsageError(f"{path} is not a file, expected a private key (PEM)")
    secret = new_passphrase(NEW_VARIABLE)
    encrypt_key(path, secret)
    typer.echo(f"{path} is {'encrypted' if secret else 'not encrypted'}")


@app.command("list")
def list_(registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """List the keys that the registry's trust file pins, with role and state."""
    from mace_gov.attest.keys import TRUST_NAME, pinned_keys
    from mace_gov.documents.registry import Layout

    keys = pinned_keys(registry)
    if as_json:
        typer.echo(json.dumps({"path": str(Layout(registry).keys / TRUST_NAME), "keys": [k.to_json() for k in keys]}))
        return
    for key in keys:
        state = f"revoked {key.revoked}: {key.reason}" if key.revoked else (
            f"retired {key.retired}" if key.retired else f"since {key.since}")
        typer.echo(f"{key.role:9} sha256:{key.keyid}  {key.name}  {state}")
    if not keys:
        typer.echo(f"no keys are pinned in {registry}; `mace-gov keys init` makes the first")


@app.command()
def fingerprint(
    path: Annotated[Path, typer.Argument(help="Public key (PEM) or trust file (JSON).", show_default=False)],
) -> None:
    """Print the fingerprint of a public key, or of each key in a trust file."""
    from mace_gov.attest.trust import load_trust

    for entry, _ in load_trust(path).keys:
        typer.echo(f"sha256:{entry.keyid}" + (f"  {entry.role}  {entry.name}" if path.suffix == ".json" else ""))


@app.command()
def trust(
    path: Annotated[Path, typer.Argument(help="Public key to pin (PEM).", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="Whose key it is.", show_default=False)],
    role: Annotated[Role, typer.Option("--role", help="What it may sign.")] = Role.REVIEWER,
    registry: Registry = Path("registry"),
) -> None:
    """Pin a public key in the registry's trust file, keys/trust.json: get it from its owner, not from a folder."""
    from mace_gov.attest.keys import load_public_key, pin

    entry = pin(registry, load_public_key(path, curve=role is Role.MODEL), role=role, name=name)
    typer.echo(f"pinned {entry.role} '{entry.name}'  sha256:{entry.keyid}")


@app.command()
def rotate(registry: Registry = Path("registry"), passphrase: Ask = False) -> None:
    """Replace the registry's signing keys. What the old ones signed still verifies; those who pinned one pin anew."""
    from mace_gov.attest.keys import SIGNERS, rotate
    from mace_gov.attest.passphrase import new_passphrase

    secret = new_passphrase() if passphrase else None
    for role in SIGNERS:
        old, new = rotate(registry, role, passphrase=secret)
        typer.echo(f"{role:9} sha256:{old.keyid} retired, sha256:{new.public.fingerprint} signs from now on")


@app.command()
def revoke(
    keyid: Annotated[str, typer.Argument(help="Fingerprint, or its first 8 digits or more.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why, for those who will ask.", show_default=False)],
    registry: Registry = Path("registry"),
) -> None:
    """Refuse everything that a key has signed, whatever its date: for a key that is lost or stolen."""
    from mace_gov.attest.keys import revoke

    entry = revoke(registry, keyid, reason)
    typer.echo(f"revoked {entry.role} '{entry.name}'  sha256:{entry.keyid}; hand the trust file to those who verify")
