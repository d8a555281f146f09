"""mace-gov policy: init, lint, schema, diff, explain, synonyms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mace_gov.cli.options import AsJson, Model, Plugins, PolicyPath, Registry, Revision

app = typer.Typer(help="Check, explain and describe policies.", no_args_is_help=True)


@app.command()
def init(
    name: Annotated[
        str | None, typer.Argument(help="A policy that ships; without one, all are listed.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; by default policies/NAME.yaml.", show_default=False)
    ] = None,
) -> None:
    """Copy a policy that ships with mace-gov, to begin with or to change; without a name, list them."""
    from mace_gov.policy.shipped import copy_policy, shipped_policies

    if name is None:
        for each in shipped_policies():
            typer.echo(each)
    else:
        typer.echo(copy_policy(name, out))


@app.command()
def lint(
    policies: Annotated[list[Path], typer.Argument(help="Policy or waivers files (YAML).", show_default=False)],
    plugin: Plugins = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Check as well that the detectors can look at this model's pictures: embedded, a "
                     "folder, a hub id, registry:NAME/N.", show_default=False),
    ] = None,
    revision: Revision = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Check policies and waivers files: every error at once, each with file, line, field and what was expected."""
    from mace_gov.audit.detectors.plugin import parse
    from mace_gov.core.clock import wall_clock
    from mace_gov.policy.lint import lint as lint_file

    names, side = parse(plugin or ()), None
    if model is not None:
        from mace_gov.diffusion.manifest import picture_side

        side = picture_side(model, revision=revision, registry=registry)
    problems: list[str] = []
    warnings: list[str] = []
    for path in policies:
        errors, advice = lint_file(path, wall_clock().date(), names, side)
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
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the same as a page, NAME.html.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say in words what the second policy bans more, tightens and loosens."""
    from mace_gov.core.atomic import write_text
    from mace_gov.core.errors import UsageError
    from mace_gov.core.terminal import printable
    from mace_gov.policy.diff import diff as compare
    from mace_gov.policy.diff import headline
    from mace_gov.policy.load import load_policy
    from mace_gov.report.policies import policies_page

    if html is not None and html.suffix.lower() != ".html":
        raise UsageError(f"--html: found '{html}', expected a name that ends in .html")
    before, after = load_policy(first).policy, load_policy(second).policy
    changes = compare(before, after)
    if html is not None:
        write_text(html, policies_page(before, after, headline(changes), changes))
    looser = any(change.looser for change in changes)
    if as_json:
        told = [{"subject": c.subject, "effect": c.effect, "words": c.words} for c in changes]
        typer.echo(json.dumps({"summary": headline(changes), "looser": looser, "changes": told}))
    else:
        typer.echo(headline(changes))
        for change in changes:
            typer.echo(printable(f"  {change.effect:8}  {change.subject}: {change.words}"))
    raise typer.Exit(1 if looser and exit_code else 0)


@app.command()
def explain(policy: PolicyPath, as_json: AsJson = False) -> None:
    """Say in words what a policy bans, what must survive and what passing takes."""
    from mace_gov.cli.explain import explanation
    from mace_gov.core.terminal import printable
    from mace_gov.policy.load import load_policy

    loaded = load_policy(policy)
    if as_json:
        typer.echo(json.dumps(loaded.policy.to_json()))
        return
    for line in explanation(loaded.policy):
        typer.echo(printable(line))


@app.command()
def synonyms(
    policy: PolicyPath,
    out: Annotated[Path, typer.Option("--out", help="CSV file to write, for a reviewer.", show_default=False)],
    sense: Annotated[
        list[str] | None,
        typer.Option("--sense", help="Pin what a concept means, as n02121620; repeat it.", show_default=False),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Words of a concept.")] = 8,
    closest: Annotated[float, typer.Option("--closest", help="Cosine to the target that a word must reach.")] = 0.0,
    wordnet: Annotated[Path, typer.Option("--wordnet", help="Folder of WordNet's files.")] = Path("/usr/share/wordnet"),
    model: Model = None,
    revision: Revision = None,
    registry: Registry = Path("registry"),
) -> None:
    """Propose synonyms from WordNet, ranked in the model's own text encoder; a person reviews them."""
    from mace_gov.audit.probes.wordnet import WordNet
    from mace_gov.audit.synonyms import propose
    from mace_gov.preflight.checks import Ahead
    from mace_gov.workflow.planning import BaseChoice, plan_policy

    words = WordNet(wordnet)
    loaded, plan, _ = plan_policy(policy, BaseChoice(model, revision), registry=registry,
                               ahead=Ahead(asks=False, judges=False))
    counts = propose(out, loaded.policy, plan.base, words, senses=sense or (), most=most, closest=closest)
    typer.echo(f"wrote {sum(counts.values())} synonyms to {out}")
    if none := [name for name, count in counts.items() if not count]:
        typer.echo(f"none for: {', '.join(none)}")
    typer.echo("next: delete the rows that mean something else, put your name into the column reviewer of the others, "
               f"then mace-gov audit MODEL --policy {policy} --prompts {out}")
