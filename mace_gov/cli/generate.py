"""mace-gov generate: draw pictures with a model that was verified first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import Batch, Device, Key, Precision, Registry, Revision, Threads


def generate(
    model: Annotated[str, typer.Argument(help="embedded, a folder, a hub id, registry:NAME/N.", show_default=False)],
    prompts: Annotated[list[str], typer.Argument(help="Prompts, one picture each.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("pictures"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first picture; the next ones count up.")] = 0,
    revision: Revision = None,
    key: Key = None,
    registry: Registry = Path("registry"),
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Draw with a folder that has no evidence, or whose verdict is no PASS.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=1000, help="Sampler steps. Default: as the version was judged.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", min=0, max=100, help="Guidance scale. Default: likewise.")
    ] = None,
    device: Device = None,
    batch: Batch = None,
    dtype: Precision = None,
    threads: Threads = None,
) -> None:
    """Verify a governed model, then draw one picture per prompt and save them as PNG files.

    embedded and hub ids are base models, which nothing governs: they are drawn with as they are.
    """
    from mace_gov.cli.progress import progress
    from mace_gov.core.resources import using
    from mace_gov.workflow import loading

    with progress() as shown, using(batch=batch, precision=dtype, threads=threads):
        paths = loading.generate_pictures(
            model, prompts, out, seed=seed, revision=revision, key=key, registry=registry, verify=not unverified,
            steps=steps, guidance=guidance, device=device, progress=shown,
        )
    for prompt, path in zip(prompts, paths, strict=True):
        typer.echo(f"{path}  {prompt}")
