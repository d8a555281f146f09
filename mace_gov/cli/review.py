"""mace-gov review: the web page where reviewers look and decide."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import Key, Registry, Reports


def review(
    version: Annotated[
        Path | None,
        typer.Argument(help="Version, NAME/N or its folder, or its report's folder. Default: look at the registry.",
                       show_default=False),
    ] = None,
    signing_key: Annotated[
        Path | None, typer.Option("--signing-key", help="The reviewer's private key (PEM), pinned with `keys trust`.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0: one that is free.")] = 0,
    bind: Annotated[str, typer.Option("--bind", help="Address to listen on.")] = "127.0.0.1",
    in_a_row: Annotated[
        int, typer.Option("--in-a-row", min=1, help="Hidden pictures that may be revealed before a break.")
    ] = 10,
    pause: Annotated[int, typer.Option("--break", min=1, help="Minutes of the break.")] = 10,
    user_header: Annotated[
        str | None, typer.Option("--user-header", help="Behind a proxy: the header in which it names the user.")
    ] = None,
    proxy_secret: Annotated[
        Path | None, typer.Option("--proxy-secret", help="File with what the proxy sends in X-Mace-Gov-Secret.")
    ] = None,
    public_host: Annotated[
        str | None, typer.Option("--public-host", help="Behind a proxy: the host that browsers see.")
    ] = None,
    signing_keys: Annotated[
        Path | None, typer.Option("--signing-keys", help="Behind a proxy: folder with USER.pem for each reviewer.")
    ] = None,
    registry: Registry = Path("registry"),
    reports: Reports = Path("reports"),
    key: Key = None,
) -> None:
    """Open a local page: look at the report, label pictures, compare with the detectors, decide and sign."""
    from mace_gov.core.lazy import require

    require("starlette", "review")
    from mace_gov.review.breaks import Breaks
    from mace_gov.review.serve import Place, Source, Who, serve

    serve(version, Who(signing_key, signing_keys),
          Place(bind, port, user_header, proxy_secret, public_host), Source(registry, reports, key),
          breaks=Breaks(in_a_row, timedelta(minutes=pause)), say=typer.echo)
