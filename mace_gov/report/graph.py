"""The lineage as a graph: base and policy, LoRAs, version, audit, verdict, and what people did with it. Pure.

``lineage_svg`` draws it for the page, ``lineage_tree`` for the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mace_gov.documents.evidence import Evidence
from mace_gov.documents.sign_off import Decision, SignOff
from mace_gov.documents.verdict import Outcome, Verdict

LORAS_SHOWN = 5
"""LoRAs drawn one by one; where there are more, the rest is counted in one node."""


@dataclass(frozen=True)
class Node:
    """One thing in the lineage."""

    kind: str
    """What it is: ``Base model``."""
    name: str
    """What it is called."""
    detail: str = ""
    """What else is worth a line."""
    digest: str | None = None
    """SHA-256, where it has one."""
    outcome: Outcome | None = None
    """For decisions: how they went."""


@dataclass(frozen=True)
class Graph:
    """Columns from left to right; every node rests on all nodes of the column before its own."""

    columns: tuple[tuple[Node, ...], ...]
    """Nodes by column, none empty."""


def lineage_graph(
    evidence: Evidence, verdict: Verdict | None, *, policy: str, version: str | None, keyid: str | None = None,
    stamps: Sequence[Node] = (),
) -> Graph:
    """The graph of one version. ``stamps`` are sign-offs and releases, which come after the verdict.

    policy: its name and version, in words. keyid: the key that signed, if it is known.
    """
    base, audit, erasure = evidence.plan.base, evidence.audit, evidence.erasure
    columns: list[tuple[Node, ...]] = [
        (Node("Base model", base.ref, base.revision or "", base.digest),
         Node("Policy", policy, f"{len(evidence.plan.targets)} concepts", evidence.policy_digest)),
    ]
    if erasure:
        columns.append(_loras(evidence))
    columns += [
        (Node("Version" if version else "Model made elsewhere", version or "not in a registry",
              f"key {keyid[:12]}" if keyid else "", audit.governed_digest),),
        (Node("Audit", f"{audit.trials:,} pictures", "judged, of both models", audit.content_digest()),),
    ]
    if verdict:
        columns.append((Node("Verdict", verdict.outcome.value, f"decided {verdict.decided[:10]}",
                             verdict.content_digest(), verdict.outcome),))
    if stamps:
        columns.append(tuple(stamps))
    return Graph(tuple(columns))


def sign_off_node(said: SignOff) -> Node:
    """A reviewer's decision, to stamp a lineage with."""
    outcome = {Decision.APPROVE: Outcome.PASS, Decision.CONDITIONAL: Outcome.REVIEW}.get(said.decision, Outcome.FAIL)
    return Node("Sign-off", said.decision.value, f"{said.signed} by {said.reviewer} ({said.role}): {said.reason}",
                outcome=outcome)


def _loras(evidence: Evidence) -> tuple[Node, ...]:
    loras = evidence.erasure.loras if evidence.erasure else []
    if not loras:
        return (Node("Refinement", "no LoRA", "closed form alone"),)
    phrases = {target.id: f"{target.target} to {target.anchor}" for target in evidence.plan.targets}
    shown = loras if len(loras) <= LORAS_SHOWN else loras[:LORAS_SHOWN - 1]
    nodes = [Node("LoRA", lora.concept, phrases.get(lora.concept, ""), lora.digest) for lora in shown]
    if rest := len(loras) - len(shown):
        nodes.append(Node("LoRAs", f"and {rest} more", "digests below"))
    return tuple(nodes)
