"""The example of a detector of one's own: what it takes to use it, and that it decides on a model of one's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mace_gov import workflow
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.plugin import load
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import DetectorError, NumericalError
from mace_gov.documents.verdict import Outcome
from mace_gov.embedded import MODEL_DIR
from mace_gov.workflow.planning import BaseChoice
from tests.cli.conftest import run

__all__ = ["run"]
FOLDER = Path(__file__).parents[2] / "examples/own-detector"
POLICY, CODE = FOLDER / "policy.yaml", FOLDER / "detector.py"
PLUGIN = f"mine={CODE}:Mine"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of one's own: a folder that draws, which is not the one that ships."""
    return Path(shutil.copytree(MODEL_DIR, tmp_path / "my-model"))


def test_every_command_takes_it_and_none_does_without(model: Path, tmp_path: Path, run) -> None:
    for command in (["policy", "lint"], ["plan", "--no-calibrate"]):
        place = ["--model", model, "--registry", tmp_path / "registry"]
        assert run(*command, POLICY, *place, "--plugin", PLUGIN)[0] == 0
        code, _, err = run(*command, POLICY, *place)
        assert code == 2 and "found the detector 'mine'" in err


def test_an_erasure_alone_is_fitted_by_it(model: Path, tmp_path: Path, run, monkeypatch) -> None:
    given = []

    def fitted(_policy, _plan, *, plugins=(), **_others):
        given.extend(plugins)
        raise NumericalError("far enough")

    monkeypatch.setattr("mace_gov.fitting.fit.fit", fitted)
    asked = ["erase", POLICY, "--model", model, "--registry", tmp_path / "registry", "--out", tmp_path / "governed"]
    code, _, err = run(*asked)
    assert code == 2 and "found the detector 'mine'" in err and not given
    _, _, err = run(*asked, "--plugin", PLUGIN)
    assert "far enough" in err and given == [PLUGIN]


def test_it_scores_what_it_is_asked_about_and_refuses_what_it_does_not_know() -> None:
    made = load(f"{CODE}:Mine")(threshold=0.4)
    assert made.threshold == 0.4 and made.card().weights_digest
    probabilities = np.zeros((1, len(made.classifier.classes)))
    probabilities[0, made.known["ship"]] = 0.9
    made.classifier = SimpleNamespace(predict=lambda _images: SimpleNamespace(concept_probs=probabilities))
    query = Query(("ship",), "subject", True, 32)
    assert made.score([None], [query]) == [0.9] and made.score([None], [Query(("cat",), "subject", True, 32)]) == [0.0]
    assert made.looks_for(query) and not made.looks_for(Query(("noto",), "style", True, 32))
    with pytest.raises(DetectorError, match="'zeppelin' is none of"):
        made.score([None], [Query(("zeppelin",), "subject", True, 32)])


@pytest.mark.slow
def test_it_decides_a_release_on_a_model_of_ones_own(model: Path, tmp_path: Path) -> None:
    outcome = workflow.apply(POLICY, base=BaseChoice(str(model)), registry=tmp_path / "registry",
                             reports=tmp_path / "reports",
                             run=AuditRun(device="cpu", inputs=Inputs(plugins=(PLUGIN,))))
    assert outcome.verdict.outcome is Outcome.PASS, outcome.verdict
    verified, _, _ = workflow.verify_path(outcome.folder, key=None, registry=tmp_path / "registry")
    assert [card.name for card in verified.evidence.audit.detectors] == ["mine"]
    assert verified.evidence.audit.inputs == {"detector.py": sha256_file(CODE)}
