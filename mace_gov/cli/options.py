"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PolicyPath = Annotated[Path, typer.Argument(help="Policy file (YAML).", show_default=False)]
PolicyOption = Annotated[Path, typer.Option("--policy", help="Policy file (YAML).", show_default=False)]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Base model instead of the policy's: embedded, a folder, a hub id, registry:NAME/N."),
]
Revision = Annotated[str | None, typer.Option("--revision", help="Commit of a hub model.")]
Registry = Annotated[Path, typer.Option("--registry", help="Registry folder.")]
Reports = Annotated[Path, typer.Option("--reports", help="Folder for reports.")]
Key = Annotated[
    Path | None,
    typer.Option("--key", help="Pinned public key (PEM) or trust file. Default: the registry's, which proves less."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object alone on standard output.")]
Device = Annotated[str | None, typer.Option("--device", help="cuda, mps or cpu; the best there is by default.")]
