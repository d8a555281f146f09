"""mace-gov policy: lint, schema, explain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, PolicyPath

app = typer.Typer(help="Check, explain and describe policies.", no_args_is_help=True)


@app.command()
def lint(
    policies: Annotated[list[Path], typer.Argument(help="Policy or waivers files (YAML).", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Check policies and waivers files: every error at once, each with file, line, field and what was expected."""
    from mace_gov.core.clock import wall_clock
    from mace_gov.policy.lint import lint as lint_file

    problems: list[str] = []
    warnings: list[str] = []
    for path in policies:
        errors, advice = lint_file(path, wall_clock().date())
        problems += errors
        warnings += advice
    if as_json:
        typer.echo(json.dumps({"errors": problems, "warnings": warnings}))
    else:
        for warning in warnings:
            typer.echo(warning)
        for problem in problems:
            typer.echo(problem, err=True)
        count = f"{len(policies)} {'policy' if len(policies) == 1 else 'policies'}"
        typer.echo(f"{count}: {len(problems)} errors, {len(warnings)} warnings")
    raise typer.Exit(2 if problems else 0)


@app.command()
def schema(
    of: Annotated[
        str, typer.Argument(help="policy, waivers or report.", metavar="[policy|waivers|report]")
    ] = "policy",
) -> None:
    """Print the JSON Schema of a policy, of a waivers file or of report.json, for editors and other tools."""
    from mace_gov.policy.schema import schema_text

    typer.echo(schema_text(of), nl=False)


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="Policy file (YAML), the one before.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Policy file (YAML), the one after.", show_default=False)],
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 when the second policy asks less anywhere.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say in words what the second policy bans more, tightens and loosens."""
    from mace_gov.policy.diff import diff as compare
    from mace_gov.policy.diff import headline
    from mace_gov.policy.load import load_policy

    changes = compare(load_policy(first).policy, load_policy(second).policy)
    looser = any(change.looser for change in changes)
    if as_json:
        told = [{"subject": c.subject, "effect": c.effect, "words": c.words} for c in changes]
        typer.echo(json.dumps({"summary": headline(changes), "looser": looser, "changes": told}))
    else:
        typer.echo(headline(changes))
        for change in changes:
            typer.echo(f"  {change.effect:8}  {change.subject}: {change.words}")
    raise typer.Exit(1 if looser and exit_code else 0)


@app.command()
def explain(policy: PolicyPath, as_json: AsJson = False) -> None:
    """Say in words what a policy bans, what must survive and what passing takes."""
    from mace_gov.cli.explain import explanation
    from mace_gov.policy.load import load_policy

    loaded = load_policy(policy)
    if as_json:
        typer.echo(json.dumps(loaded.policy.to_json()))
        return
    for line in explanation(loaded.policy):
        typer.echo(line)
