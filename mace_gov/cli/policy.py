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
    policies: Annotated[list[Path], typer.Argument(help="Policy files (YAML).", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Check policies: every error at once, each with file, line, field and what was expected."""
    from mace_gov.core.clock import now
    from mace_gov.core.errors import PolicyError
    from mace_gov.policy.advice import advice
    from mace_gov.policy.load import load_policy

    problems: list[str] = []
    warnings: list[str] = []
    for path in policies:
        try:
            loaded = load_policy(path)
        except PolicyError as error:
            problems += error.problems or [error.message]
            continue
        for where, message in advice(loaded.policy, now().date()):
            line, column = loaded.source.place(where)
            warnings.append(f"{path}:{line}:{column}: warning: {message}")
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
def schema() -> None:
    """Print the policy's JSON Schema, for editors and other tools."""
    from mace_gov.policy.schema import policy_schema_text

    typer.echo(policy_schema_text(), nl=False)


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
