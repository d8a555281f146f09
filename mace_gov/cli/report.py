"""mace-gov report: render the report of a finished version again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import Key, Registry, Reports


def report(
    version: Annotated[Path, typer.Argument(help="Version folder, or NAME/N in the registry.", show_default=False)],
    registry: Registry = Path("registry"),
    reports: Reports = Path("reports"),
    key: Key = None,
) -> None:
    """Verify a version and write its report again, without running any model."""
    from mace_gov import workflow

    folder = workflow.report_again(version, registry=registry, reports=reports, key=key)
    typer.echo(f"report  {folder / 'index.html'}")
