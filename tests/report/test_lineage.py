"""The lineage graph: what is in it, drawn for the page and for the terminal, with every name escaped."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from rich.console import Console

from mace_gov.documents.erasure import LoraRecord
from mace_gov.report.graph import LORAS_SHOWN, Graph, Node, lineage_graph
from mace_gov.report.lineage_svg import lineage_svg
from mace_gov.report.lineage_tree import lineage_tree
from tests import factories

HOSTILE = '</svg><script>alert(1)</script>"\x1b[31m'


def graph(**overrides) -> Graph:
    fields = {"policy": "nsfw 1.0.0", "version": "nsfw/1", "keyid": factories.hexa("key")}
    return lineage_graph(overrides.pop("evidence", factories.evidence()),
                         overrides.pop("verdict", factories.verdict()), **{**fields, **overrides})


def kinds(made: Graph) -> list[list[str]]:
    return [[node.kind for node in column] for column in made.columns]


def many_loras(count: int):
    loras = [LoraRecord(concept=f"concept-{i}", key=factories.hexa("key"), file=f"loras/{i}", first_loss=1.0,
                        digest=factories.hexa(f"lora {i}"), last_loss=0.1) for i in range(count)]
    return factories.evidence(erasure=factories.erasure(loras=loras))


def printed(made: Graph) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as taken:
        console.print(lineage_tree(made))
    return taken.get()


def test_the_graph_runs_from_the_base_to_what_people_did() -> None:
    stamps = (Node("Sign-off", "ann", "approve"), Node("Release", "promote"))
    assert kinds(graph(stamps=stamps)) == [
        ["Base model", "Policy"], ["LoRA", "LoRA"], ["Version"], ["Audit"], ["Verdict"], ["Sign-off", "Release"]
    ]
    assert kinds(graph(evidence=factories.evidence(erasure=None), verdict=None, version=None)) == [
        ["Base model", "Policy"], ["Model made elsewhere"], ["Audit"]
    ]
    assert kinds(graph(evidence=many_loras(0)))[1] == ["Refinement"]


@pytest.mark.parametrize("count", [LORAS_SHOWN, LORAS_SHOWN + 1, 100])
def test_many_loras_are_counted_and_none_is_lost(count: int) -> None:
    column = graph(evidence=many_loras(count)).columns[1]
    assert len(column) == LORAS_SHOWN
    rest = 0 if count == LORAS_SHOWN else int(column[-1].name.split()[1])
    assert sum(node.kind == "LoRA" for node in column) + rest == count


def test_the_drawing_is_well_formed_has_every_node_and_every_link() -> None:
    root = ElementTree.fromstring(lineage_svg(graph()))
    boxes = [element for element in root.iter() if element.tag == "g"]
    assert len(boxes) == 7
    assert len([element for element in root.iter() if element.get("class") == "link"]) == 4 + 2 + 1 + 1
    assert [box.get("class") for box in boxes][-1] == "node pass"
    titles = [box.find("title").text for box in boxes]
    assert any(factories.evidence().audit.governed_digest in title for title in titles)
    assert f"Base model {factories.manifest().ref} and Policy nsfw 1.0.0, then LoRA nudity" in root.get("aria-label")
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for rect in root.iter("rect"):
        assert float(rect.get("x")) + float(rect.get("width")) < width
        assert float(rect.get("y")) + float(rect.get("height")) < height


def test_names_cannot_break_out_of_page_or_terminal() -> None:
    hostile = graph(policy=HOSTILE, stamps=[Node("Sign-off", HOSTILE, HOSTILE)])
    text = lineage_svg(hostile)
    assert "<script" not in text
    assert text.count("</svg>") == 1
    assert "\x1b" not in printed(hostile)


def test_the_tree_hangs_each_step_below_what_it_rests_on() -> None:
    lines = printed(graph(stamps=[Node("Release", "promote", "by ann")])).splitlines()
    branches = "│├└─ "
    indents = {line.strip(branches).split("  ")[0]: len(line) - len(line.lstrip(branches)) for line in lines}
    order = ["Base model", "Policy", "LoRA", "Audit", "Verdict", "Release"]
    assert [indents[kind] for kind in order] == sorted(indents[kind] for kind in order)
    assert indents["LoRA"] == indents["Version"] < indents["Audit"]
    assert "promote  by ann" in lines[-1]
