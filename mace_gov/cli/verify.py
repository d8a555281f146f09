"""mace-gov verify: do signatures, digests and files hold?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Key, Registry


def verify(
    path: Annotated[Path, typer.Argument(help="A version, a report folder or a model folder.", show_default=False)],
    key: Key = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Check signatures, digests and files offline. Exit 4 if anything does not hold, else the verdict's code."""
    from mace_gov import workflow
    from mace_gov.cli.output import finish_verified

    verified, verdict, pinned = workflow.verify_path(path, key=key, registry=registry)
    raise typer.Exit(finish_verified(verified, verdict, pinned=pinned, as_json=as_json))
