"""A detector of one's own through every command that audits; whoever verifies what came of it does not need it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import DetectorError, MaceGovError, PolicyError, UsageError
from mace_gov.documents.verdict import Outcome
from mace_gov.fitting import fit as fitting
from mace_gov.workflow.comparing import compare
from mace_gov.workflow.planning import BaseChoice
from mace_gov.workflow.settings_search import tune
from tests.workflow.planting import METHOD, World, policy_file

CODE = '''
from tests.workflow.planting import PlantedJudge

class Mine(PlantedJudge):
    name = "mine"

class Unmade(Mine):
    def __init__(self, *, threshold=None, classes=None):
        from mace_gov.core.errors import DetectorError
        raise DetectorError("mine: its weights do not load")

def sure(images, queries):
    return [1.0] * len(images)
'''


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def test_it_decides_an_apply_and_its_evidence_holds_where_it_is_not(
    world: World, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[object] = []
    real = fitting.fit

    def heard(*args, **given):
        fitted.append(given["plugins"])
        return real(*args, **given)

    monkeypatch.setattr(fitting, "fit", heard)
    path, plugin = policy_file(world.root, detectors=("mine",)), [f"mine={code}:Mine"]
    with pytest.raises(PolicyError, match="found the detector 'mine'"):
        world.apply(path)
    outcome = world.apply(path, plugins=plugin)
    assert outcome.verdict.outcome is Outcome.PASS, outcome.verdict
    assert fitted == [tuple(plugin)]  # it looks where the settings are sought, too
    digest = sha256_file(code)
    code.unlink()
    verified, verdict, _ = workflow.verify_path(outcome.folder, key=None, registry=world.registry)
    assert verdict == outcome.verdict and [card.name for card in verified.evidence.audit.detectors] == ["mine"]
    assert verified.evidence.audit.inputs == {"mine.py": digest}
    assert workflow.gate_path(outcome.folder, path, key=None, registry=world.registry)[1].outcome is Outcome.PASS
    assert workflow.report_again(outcome.folder, registry=world.registry, reports=world.reports, key=None)[1].released


@pytest.mark.parametrize(("target", "settings", "error", "told"), [
    ("gone.py:Mine", {}, UsageError, "does not load"), ("{}:absent", {}, UsageError, "does not load"),
    ("{}:CODE", {}, UsageError, "does not load"), ("{}:__doc__", {}, PolicyError, "expected a class or a callable"),
    ("{}:sure", {"model": "x"}, PolicyError, "it is a callable"),
    ("{}:Mine", {"references": "x"}, PolicyError, "takes no such setting"),
    ("{}:Unmade", {}, DetectorError, "weights do not load"),
])
def test_one_that_cannot_be_made_ends_an_apply_before_the_work(
    world: World, code: Path, monkeypatch: pytest.MonkeyPatch, target: str, settings: dict, error: type[MaceGovError],
    told: str,
) -> None:
    monkeypatch.setattr("mace_gov.erase.engine.erase", lambda *_args, **_named: pytest.fail("erased"))
    path = policy_file(world.root, detectors=({"name": "mine", **settings},))
    with pytest.raises(error, match=told):
        world.apply(path, plugins=[f"mine={target.format(code)}"])


@pytest.mark.parametrize("plugins", [[], ["mine={}:Unmade"]])
def test_compare_and_tune_know_it_before_the_work(world: World, code: Path, plugins: list[str]) -> None:
    path = policy_file(world.root, detectors=("mine",))
    inputs = Inputs(plugins=tuple(each.format(code) for each in plugins))
    given = {"base": BaseChoice(str(world.model)), "registry": world.registry,
             "run": AuditRun(device="cpu", inputs=inputs)}
    with pytest.raises(DetectorError if plugins else PolicyError, match="mine"):
        compare(path, ["uce"], reports=world.reports, **given)
    with pytest.raises(DetectorError if plugins else PolicyError, match="mine"):
        tune(path, minutes=0, **given)


def test_it_looks_for_compare_and_tune(world: World, code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mace_gov.audit.probes.tuning_probes.ERASED", 12)
    monkeypatch.setattr("mace_gov.audit.probes.tuning_probes.KEPT", 8)
    path = policy_file(world.root, detectors=("mine",), method={**METHOD, "name": "uce", "preserve": {}})
    given = {"base": BaseChoice(str(world.model)), "registry": world.registry,
             "run": AuditRun(device="cpu", inputs=Inputs(plugins=(f"mine={code}:sure",)))}
    (row,) = compare(path, ["uce"], reports=world.reports, **given)[0].rows
    assert row.rates.acc_e.value == 1 and row.rates.acc_e.n
    path = policy_file(world.root, detectors=("mine",), method={**METHOD, "preserve": {"prior": "general"}})
    assert tune(path, minutes=0, **given).attempts[0].rates.acc_e.value == 1
