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
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Print the page into report.pdf beside it, with Chromium or else WeasyPrint.")
    ] = False,
) -> None:
    """Verify a version and write its report again as it stands now. Exit code: as of `verify`.

    Without the pipeline's private key the report is unsigned, and says so.
    """
    from mace_gov import workflow
    from mace_gov.cli.output import say_standing
    from mace_gov.documents.registry import REPORT_NAME

    folder, check = workflow.report_again(version, registry=registry, reports=reports, key=key, pdf=pdf)
    signed = "" if (folder / REPORT_NAME).exists() else "  (unsigned: the pipeline's private key is not here)"
    typer.echo(f"report  {folder / 'index.html'}{signed}")
    say_standing(check)
    raise typer.Exit(check.exit_code)
