"""All methods on one policy, end to end on a random model: as many models, one table, one page."""

from __future__ import annotations

import json
import sys

import pytest
import yaml

from mace_gov.audit.inputs import AuditRun
from mace_gov.cli import main
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.documents.policy import Policy
from mace_gov.report.comparison_page import spreads
from mace_gov.workflow.comparing import compare, with_method, with_spread


@pytest.fixture(scope="module")
def policy(tmp_path_factory, tiny_model):
    rules = [{"id": "THING-001", "suite": "direct", "metric": "presence", "atMost": 0.5}]
    category = {"id": "things", "kind": "object", "severity": "low", "detectors": ["always-present"], "rules": rules,
                "concepts": [{"id": "ship", "target": "ship", "anchor": "sky", "synonyms": ["boat"]}]}
    method = {"refine": {"templates": ["a photo of {}"]}, "lora": {"steps": 2, "images": 1}, "esd": {"steps": 2}}
    value = {"apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
             "metadata": {"name": "things", "version": "1.0.0", "owner": "me", "reviewBy": "2099-01-01"},
             "spec": {"model": {"ref": str(tiny_model)}, "method": method, "categories": [category],
                      "audit": {"prompts": 2, "unrelated": 2}}}
    path = tmp_path_factory.mktemp("policy") / "things.yaml"
    path.write_text(yaml.safe_dump(value))
    return path


@pytest.fixture
def run(tmp_path, policy):
    def _run(*methods):
        return compare(policy, methods, registry=tmp_path / "registry", reports=tmp_path / "reports",
                       run=AuditRun(device="cpu"))

    return _run


def test_every_method_has_a_row_with_what_it_cost_and_what_came_of_it(policy, tmp_path, monkeypatch, capsys):
    arguments = ["compare", str(policy), "--registry", str(tmp_path / "registry"),
                 "--reports", str(tmp_path / "reports"), "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", ["mace-gov", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    rows = told["comparison"]["rows"]
    assert [row["method"] for row in rows] == ["mace", "uce", "nullspace", "esd"]
    for row in rows:
        assert row["rates"]["accE"]["n"] == row["rates"]["accG"]["n"] == 2
        assert row["rates"]["accE"]["value"] == 1 and row["rates"]["h"]["value"] == 0  # always-present
        assert row["retention"]["value"] == 1
        assert row["seconds"] > 0 and row["peakBytes"] > 50_000_000 and row["deltaBytes"] > 32 * 32
    page = (tmp_path / "reports" / "compare-things" / "index.html").read_text()
    assert told["paths"]["page"].endswith("compare-things/index.html")
    for heading in ("base", "mace", "uce", "nullspace", "esd"):
        assert f'<th scope="col">{heading}</th>' in page
    assert page.count("data:image/png") >= 5 * 4  # two direct, two synonym rows at least


def test_a_method_that_refuses_says_why_and_the_others_go_on(run, policy):
    without = yaml.safe_load(policy.read_text())
    without["spec"]["method"]["preserve"] = {"prior": "none"}
    policy.with_name("bare.yaml").write_text(yaml.safe_dump(without))
    table, _ = compare(policy.with_name("bare.yaml"), ["nullspace", "uce"], registry=policy.parent / "registry",
                       reports=policy.parent / "reports", run=AuditRun(device="cpu"))
    assert "nothing is preserved" in table.rows[0].problem and table.rows[0].rates is None
    assert table.rows[1].problem is None
    with pytest.raises(IncompleteError, match="nothing is preserved"):
        compare(policy.with_name("bare.yaml"), ["nullspace"], registry=policy.parent / "registry",
                reports=policy.parent / "reports", run=AuditRun(device="cpu"))


def test_several_seeds_tell_how_much_is_chance(policy, tmp_path):
    places = {"registry": tmp_path / "registry", "reports": tmp_path / "reports", "run": AuditRun(device="cpu")}
    made, folder = compare(policy, ["uce"], seeds=3, **places)
    (row,) = made.rows
    assert row.seeds == [0, 1, 2]
    assert row.spread["accE"].deviation == 0  # always-present
    assert "uce, seeds 0 to 2" in (folder / "index.html").read_text()
    rows = [row.model_copy(update={"retention": row.retention.model_copy(update={"value": value})})
            for value in (0.2, 0.6, 0.4)]
    row = with_spread(rows, 5)
    assert row.seeds == [5, 6, 7] and row.retention.value == 0.2
    spread = row.spread["retention"]
    assert (spread.lowest, spread.highest) == (0.2, 0.6)
    assert spread.mean == pytest.approx(0.4) and spread.deviation == pytest.approx(0.2)
    shown = spreads(made.model_copy(update={"rows": [row]}))
    assert ("uce, seeds 5 to 7", "20.0\u00a0% to 60.0\u00a0%") in {(name, range_) for name, _, _, range_ in shown}
    with pytest.raises(UsageError, match="found 2, expected 1, or 3"):
        compare(policy, ["uce"], seeds=2, **places)


def test_a_method_named_twice_is_a_mistake(run):
    with pytest.raises(UsageError, match="twice"):
        run("uce", "uce")


def test_only_the_methods_name_differs(policy):
    one = Policy.model_validate(yaml.safe_load(policy.read_text()))
    other = with_method(one, "uce")
    assert other.spec.method.name == "uce"
    assert with_method(other, "mace") == one
