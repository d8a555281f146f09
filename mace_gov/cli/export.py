"""mace-gov export: a version's weights, or a report, in the forms that other tools read."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Key, Outputs, Registry, check_outputs


class Form(StrEnum):
    """What a version's weights can be written as."""

    DIFFUSERS = "diffusers"
    SINGLE_FILE = "single-file"
    LORA = "lora"


def export(
    what: Annotated[
        Path,
        typer.Argument(help="With --to: a version, NAME/N or its folder. With --output: a report's folder or "
                            "report.json.", show_default=False),
    ],
    to: Annotated[
        Form | None, typer.Option("--to", help="The version as a diffusers folder, one safetensors file, or a LoRA.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --to: new folder (diffusers, lora) or file.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Where the base model lies. Default: the one that the version names.")
    ] = None,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of the LoRA; refused where unfaithful.")] = 64,
    unreleased: Annotated[
        bool, typer.Option("--unreleased", help="With --to: write a version that may not be released, for study.")
    ] = False,
    output: Outputs = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Policy file that findings are placed in. Default: the report's.")
    ] = None,
    key: Key = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Write a version for other tools (--to), verified first; or a report as Markdown, JUnit, SARIF, ... (--output)."""
    from mace_gov.core.errors import UsageError

    outputs = check_outputs(output, as_json=as_json)
    if (to is None) != (out is None) or bool(outputs) == (to is not None):
        raise UsageError("no output was asked for, expected --to FORM --out PATH for a version or "
                         "--output FORMAT=FILE for a report")
    if to is not None and out is not None:
        _version(what, to, out, base=base, rank=rank, key=key, registry=registry, unreleased=unreleased,
                 as_json=as_json)
        return
    from mace_gov import workflow

    workflow.export_report(what, outputs, policy=policy)
    for name, path in outputs.items():
        typer.echo(f"{name:11} {path}", err=True)


def _version(
    version: Path, to: Form, out: Path, *, base: str | None, rank: int, key: Path | None, registry: Path,
    unreleased: bool, as_json: bool,
) -> None:
    from mace_gov.workflow import exporting

    written, verdict = exporting.export_version(
        version, to.value, out, base=base, rank=rank, key=key, registry=registry, unreleased=unreleased
    )
    if as_json:
        told = {"path": str(written.path), "form": to, "verdict": verdict.outcome, "rank": written.rank,
                "error": written.error}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"written  {written.path}")
    if written.error is not None:
        typer.echo(f"rank {written.rank}: misses {written.error:.2%} of the change")
    typer.echo(f"verdict  {verdict.outcome} on the version itself; this copy carries no signature")
