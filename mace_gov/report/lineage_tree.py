"""The lineage graph for the terminal, as a rich tree: what rests on something hangs below it."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from mace_gov.core.terminal import printable
from mace_gov.report.console import STYLES
from mace_gov.report.graph import Graph, Node


def lineage_tree(graph: Graph) -> Tree:
    """The graph as a tree, base model first."""
    first, *rest = (node for node in graph.columns[0])
    root = place = Tree(_label(first), guide_style="dim")
    for node in rest:
        place = place.add(_label(node))
    for column in graph.columns[1:]:
        # One node carries the next column; several are leaves, and the next column follows beside them.
        for node in column:
            added = place.add(_label(node))
        place = added if len(column) == 1 else place
    return root


def _label(node: Node) -> Text:
    style = f"bold {STYLES[node.outcome]}" if node.outcome else "bold"
    label = Text.assemble((f"{node.kind}  ", "dim"), (printable(node.name), style))
    if node.detail:
        label.append(f"  {printable(node.detail)}")
    if node.digest:
        label.append(f"  sha256:{node.digest[:12]}", style="dim")
    return label
