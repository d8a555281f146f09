"""mace-gov verify: check signatures, digests and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Key, Registry, TrustConfig


def verify(
    path: Annotated[Path, typer.Argument(help="A version, a report folder or a model folder.", show_default=False)],
    key: Key = None,
    resource_uri: Annotated[
        str | None, typer.Option("--resource-uri", help="What the verdict must be about, default the version itself.",
                                 show_default=False)
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Keyless signature on the verdict that must hold, too.",
                                  show_default=False)
    ] = None,
    certificate_identity: Annotated[
        str | None, typer.Option("--certificate-identity", help="Who must have signed the bundle.")
    ] = None,
    certificate_oidc_issuer: Annotated[
        str | None, typer.Option("--certificate-oidc-issuer", help="The provider that vouches for that identity.")
    ] = None,
    trust_config: TrustConfig = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Check signatures, digests and files offline. Exit 4 if anything does not hold, else the verdict's code."""
    from mace_gov import workflow
    from mace_gov.cli.output import finish_verified
    from mace_gov.core.errors import UsageError

    keyless = (bundle, certificate_identity, certificate_oidc_issuer)
    if any(keyless) and not all(keyless):
        raise UsageError("found a part of them, expected --bundle, --certificate-identity and "
                         "--certificate-oidc-issuer together")
    verified, verdict, now = workflow.verify_path(
        path, key=key, registry=registry, resource_uri=resource_uri)
    if bundle and certificate_identity and certificate_oidc_issuer:
        from mace_gov.attest.keyless import check_keyless
        from mace_gov.attest.verify import also_checked

        verified = also_checked(verified, check_keyless(
            verified, bundle, identity=certificate_identity, issuer=certificate_oidc_issuer, trust_config=trust_config
        ))
    raise typer.Exit(finish_verified(verified, verdict, now, pinned=key is not None, as_json=as_json))
