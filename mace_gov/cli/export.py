"""mace-gov export: a report in the formats that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import Outputs, check_outputs


def export(
    report: Annotated[Path, typer.Argument(help="A report's folder, or its report.json.", show_default=False)],
    output: Outputs = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Policy file that findings are placed in. Default: the report's.")
    ] = None,
) -> None:
    """Write a report as Markdown, JUnit, SARIF, annotations or CSV. Verifies nothing: `mace-gov verify` does."""
    outputs = check_outputs(output, as_json=False)
    from mace_gov import workflow
    from mace_gov.core.errors import UsageError

    if not outputs:
        raise UsageError("no output was asked for, expected --output FORMAT=FILE")
    workflow.export(report, outputs, policy=policy)
    for name, path in outputs.items():
        typer.echo(f"{name:11} {path}", err=True)
