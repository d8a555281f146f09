"""mace-gov generate: draw pictures with any model here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import Device, Registry, Revision


def generate(
    model: Annotated[str, typer.Argument(help="embedded, a folder, a hub id, registry:NAME/N.", show_default=False)],
    prompts: Annotated[list[str], typer.Argument(help="Prompts, one picture each.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("pictures"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first picture; the next ones count up.")] = 0,
    revision: Revision = None,
    registry: Registry = Path("registry"),
    device: Device = None,
) -> None:
    """Draw one picture per prompt and save them as PNG files."""
    from mace_gov import workflow
    from mace_gov.cli.progress import progress

    with progress() as shown:
        paths = workflow.generate_pictures(
            model, prompts, out, seed=seed, revision=revision, registry=registry, device=device, progress=shown
        )
    for prompt, path in zip(prompts, paths, strict=True):
        typer.echo(f"{path}  {prompt}")
