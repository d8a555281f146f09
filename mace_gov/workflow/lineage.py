"""What a registry holds, seen whole: chains of releases, and a version's lineage with what people did after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mace_gov.attest.decisions import read_decisions
from mace_gov.attest.keys import registry_trust
from mace_gov.attest.signed import read_signed
from mace_gov.attest.trust import Trust
from mace_gov.core.clock import wall_clock
from mace_gov.documents.registry import Layout
from mace_gov.documents.release import Action, Release, ReleaseLog
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.verdict import Outcome
from mace_gov.record.versions import VersionEntry
from mace_gov.report.graph import Graph, Node, lineage_graph, sign_off_node
from mace_gov.workflow.release_check import chain, check_entry


def releases(registry: Path) -> dict[str, ReleaseLog]:
    """Every chain of releases by model, under the registry's own key; those at hand, whatever a server may have."""
    names = Layout(registry).released_names()
    return {name: chain(registry, name, registry_trust(registry)) for name in names}


def standings(entries: Sequence[VersionEntry], registry: Path) -> dict[str, ReleaseCheck]:
    """Whether each version may be released now, by reference, under the registry's own keys. No file is re-hashed."""
    trust = registry_trust(registry) if entries else Trust(())
    return {entry.reference: check_entry(entry, registry, trust) for entry in entries}


def lineage_of(entry: VersionEntry, registry: Path) -> Graph:
    """The lineage of a version, its sign-offs, and the releases that speak about it.

    Signatures are checked under the registry's own keys, files are not re-hashed. Raises IntegrityError.
    """
    trust = registry_trust(registry)
    signed = read_signed(entry.folder, trust, need_verdict=False)
    verdict = signed.summary.verdict if signed.summary else None
    sign_offs = read_decisions([entry.folder], registry, signed, trust, wall_clock()).sign_offs
    log = releases(registry).get(entry.name, ReleaseLog())
    return lineage_graph(
        signed.evidence, verdict, version=entry.reference, keyid=signed.keyid,
        policy=f"{verdict.policy_name} {verdict.policy_version}" if verdict else entry.name,
        stamps=[*map(sign_off_node, sign_offs), *(_released(e) for e in log.entries if e.version == entry.number)],
    )


def _released(release: Release) -> Node:
    detail = f"{release.at} by {release.by}" + (f": {release.reason}" if release.reason else "")
    outcome = Outcome.FAIL if release.action is Action.RECALL else Outcome.PASS
    return Node("Release", release.action.value, detail, outcome=outcome)
