"""mace-gov registry: what has been governed here, how versions differ, where they come from, what may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mace_gov.cli.options import AsJson, Key, Registry

if TYPE_CHECKING:
    from mace_gov.documents.registry_check import RegistryCheck
    from mace_gov.documents.release import ReleaseLog
    from mace_gov.record.versions import VersionEntry

app = typer.Typer(help="List, show, compare, promote, recall and clear out governed versions.", no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="NAME/N, as `registry list` prints it.", show_default=False)]


@app.command("list")
def list_(registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """List governed versions: verdict, whether it may be released now, and release. No file is re-hashed."""
    from mace_gov import workflow
    from mace_gov.record.versions import list_versions

    versions, logs = list_versions(registry), workflow.releases(registry)
    checks = workflow.standings(versions, registry)
    if as_json:
        typer.echo(json.dumps({"versions": [{**v.to_json(), "release": _state(v, logs),
                                             "check": checks[v.reference].to_json()} for v in versions]}))
        return
    if not versions:
        typer.echo(f"no versions in {registry}; make one with `mace-gov apply policies/nsfw.yaml`")
    for version in versions:
        typer.echo(f"{version.reference}  {version.outcome or 'undecided':9}  {checks[version.reference].state:9}  "
                   f"{_state(version, logs) or '-':10}  "
                   f"{version.created}  sha256:{version.governed_digest}")
    here = {(version.name, version.number) for version in versions}
    for name, log in logs.items():
        if log.compliant and (name, log.compliant) not in here:
            typer.echo(f"{name}/{log.compliant}  compliant by the signed chain of releases; its folder is not here")


@app.command()
def show(version: Version, registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """Show one version: verdict, whether it may be released now and why not, digests and where its files lie."""
    from mace_gov import workflow
    from mace_gov.cli.output import show_version
    from mace_gov.record.versions import find

    entry = find(registry, version)
    show_version(entry, workflow.standings([entry], registry)[entry.reference], as_json=as_json)


@app.command()
def diff(
    before: Version,
    after: Annotated[str, typer.Argument(help="The version to compare it with.", show_default=False)],
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Say what differs between two versions: concepts, settings, LoRAs, model, figures, verdict."""
    from mace_gov.core.terminal import printable
    from mace_gov.record.versions import find
    from mace_gov.report.difference import differences

    one, two = find(registry, before), find(registry, after)
    found = differences(one.evidence(), two.evidence(), one.verdict(), two.verdict())
    if as_json:
        keys = ("what", "before", "after")
        typer.echo(json.dumps({"changes": [dict(zip(keys, change, strict=True)) for change in found]}))
        return
    for what, was, now in found:
        typer.echo(printable(what))
        typer.echo(f"  - {printable(was or 'none')}")
        typer.echo(f"  + {printable(now or 'none')}")
    typer.echo(f"{len(found)} differences between {one.reference} and {two.reference}")


@app.command()
def lineage(version: Version, registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """Draw where a version comes from and what was done with it: base, policy, LoRAs, audit, verdict, sign-offs."""
    from dataclasses import asdict

    from mace_gov import workflow
    from mace_gov.core.console import Console
    from mace_gov.record.versions import find
    from mace_gov.report.lineage_tree import lineage_tree

    graph = workflow.lineage_of(find(registry, version), registry)
    if as_json:
        typer.echo(json.dumps({"columns": [[asdict(node) for node in column] for column in graph.columns]}))
        return
    Console(soft_wrap=True).print(lineage_tree(graph))


@app.command()
def check(registry: Registry = Path("registry"), key: Key = None, as_json: AsJson = False) -> None:
    """Check a whole registry: signatures, digests, MLflow's records, the cache, what dead runs left.

    Nothing is changed. Exit 4 if anything signed does not hold, 3 if something is missing or left over, else 0.
    """
    from mace_gov import workflow
    from mace_gov.cli.progress import progress
    from mace_gov.core.terminal import printable

    with progress() as shown:
        done = workflow.check_registry(registry, key=key, progress=shown)
    if as_json:
        typer.echo(json.dumps({**done.to_json(), "exit_code": done.exit_code}))
        raise typer.Exit(done.exit_code)
    for finding in done.findings:
        typer.echo(f"{finding.level:8}  {printable(finding.where)}: {printable(finding.problem)}")
        typer.echo(f"{'':8}  next: {printable(finding.action)}")
    recorded = "MLflow was not asked" if done.recorded is None else f"{done.recorded} versions in MLflow"
    typer.echo(f"{done.versions} versions and audits, {done.releases} releases, {recorded}, {done.cached} entries of "
               f"the cache: {_counted(done)}")
    raise typer.Exit(done.exit_code)


@app.command()
def gc(
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Also drop all but the newest so many, released ones excepted.")
    ] = None,
    cache: Annotated[bool, typer.Option("--cache", help="Also drop the caches, which only save time.")] = False,
    keep_cache: Annotated[
        str | None,
        typer.Option("--keep-cache", help="Of the cache keep so much, as 20GB; what was not used for longest goes.",
                     show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Drop what nothing needs: runs that died half-way, MLflow's records of versions that are gone, spoilt caches."""
    from mace_gov import workflow
    from mace_gov.core.files import parse_size
    from mace_gov.record.collect import find_garbage, remove

    size = None if keep_cache is None else parse_size(keep_cache, "--keep-cache")
    released = {name: {entry.version for entry in log.entries} for name, log in workflow.releases(registry).items()}
    found = find_garbage(registry, keep=keep, released=released, cache=cache, cache_size=size)
    sizes = [garbage.size for garbage in found]
    if not dry_run:
        remove(registry, found)
    if as_json:
        typer.echo(json.dumps({"removed": [] if dry_run else [garbage.what for garbage in found],
                               "found": [garbage.what for garbage in found], "bytes": sum(sizes)}))
        return
    for garbage, size in zip(found, sizes, strict=True):
        typer.echo(f"{size / 2**20:10.1f} MiB  {garbage.what}")
    typer.echo(f"{'would free' if dry_run else 'freed'} {sum(sizes) / 2**20:.1f} MiB, {len(found)} things")


def _state(version: VersionEntry, logs: dict[str, ReleaseLog]) -> Any:
    """compliant, recalled, superseded or nothing, by the signed chain."""
    log = logs.get(version.name)
    return log and log.state_of(version.name, version.number, version.governed_digest)


def _counted(done: RegistryCheck) -> str:
    """How many findings of each level there are."""
    levels = [finding.level.value for finding in done.findings]
    return ", ".join(f"{levels.count(level)} {level}" for level in dict.fromkeys(levels)) or "all holds"
