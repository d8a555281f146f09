"""The command tree."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mace_gov import __version__
from mace_gov.cli import (
    apply,
    audit,
    compare,
    detectors,
    doctor,
    erase,
    export,
    gate,
    generate,
    keys,
    plan,
    policy,
    probes,
    registry,
    release,
    report,
    review,
    sign_off,
    tune,
    verify,
)

app = typer.Typer(
    name="mace-gov",
    help="Erase banned concepts from a text-to-image model, prove it, sign it, gate the release.",
    epilog="Exit codes: 0 passed, 1 policy violated, 2 usage, 3 incomplete, 4 integrity, 5 needs human review.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"mace-gov {__version__}")
        raise typer.Exit


class Log(StrEnum):
    """How progress is told."""

    TEXT = "text"
    JSON = "json"


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    log: Annotated[
        Log, typer.Option("--log", envvar="MACE_GOV_LOG", help="Progress on standard error: text, or JSON lines.")
    ] = Log.TEXT,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Progress as lines with the time and the memory; tracebacks.")
    ] = False,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", envvar="MACE_GOV_TRACE", help="Write a timeline of the stages, in Chrome's format.",
                     show_default=False),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option("--metrics", envvar="MACE_GOV_METRICS", help="Keep a file of metrics that Prometheus reads.",
                     show_default=False),
    ] = None,
) -> None:
    from mace_gov.cli.observing import begin
    from mace_gov.cli.streams import be_verbose

    begin(context.invoked_subcommand or "", as_json=log is Log.JSON, trace=trace, metrics_file=metrics)
    be_verbose(verbose)


app.command(rich_help_panel="The main job")(apply.apply)
app.add_typer(policy.app, name="policy", rich_help_panel="Stages")
for command in (plan.plan, erase.erase, audit.audit, verify.verify, gate.gate, report.report, export.export):
    app.command(rich_help_panel="Stages")(command)
app.command(rich_help_panel="Around it")(compare.compare)
app.command(rich_help_panel="Around it")(tune.tune)
app.command(rich_help_panel="Around it")(review.review)
app.command("sign-off", rich_help_panel="Around it")(sign_off.sign_off)
app.command("sign-keyless", rich_help_panel="Around it")(sign_off.sign_keyless)
app.command(rich_help_panel="Around it")(generate.generate)
registry.app.command()(release.promote)
registry.app.command()(release.rollback)
registry.app.command()(release.recall)
app.command(rich_help_panel="Around it")(probes.probes)
app.add_typer(detectors.app, name="detectors", rich_help_panel="Around it")
app.add_typer(registry.app, name="registry", rich_help_panel="Around it")
app.add_typer(keys.app, name="keys", rich_help_panel="Around it")
app.command(rich_help_panel="Around it")(doctor.doctor)
