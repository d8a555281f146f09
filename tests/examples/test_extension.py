"""One of each thing that can be added, from the example package: it is declared by one row and does the work."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from PIL import Image

from mace_gov.audit.detectors.by_name import known_detectors, make_detector
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.probes import suites
from mace_gov.audit.probes.asking import Asking
from mace_gov.documents.failure import Failure
from mace_gov.documents.family_info import FAMILIES, tier_problem, untried
from mace_gov.documents.format_info import FORMATS
from mace_gov.documents.method import Method
from mace_gov.documents.method_info import METHODS
from mace_gov.documents.policy import DetectorSpec
from mace_gov.documents.terms import SUITES, Suite
from mace_gov.erase.masks import PROVIDERS
from mace_gov.plan.build import make_plan
from mace_gov.report.formats import failure_written, written
from mace_gov.report.formats.rows import Places
from tests import factories
from tests.audit import planted

FOLDER = Path(__file__).parents[2] / "examples/extension"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installer leaves it: the package's folder on the path, its entry points beside."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))["project"]
    about = tmp_path / f"mace_gov_example-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (about / "entry_points.txt").write_text("".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in project["entry-points"].items()))
    for folder in (FOLDER, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "mace_gov_example"]:
        del sys.modules[name]


def test_a_detector_is_known_by_its_entry_point() -> None:
    assert [point.name for point in entry_points(group="mace_gov.detectors")].count("dark") == 1
    detector = make_detector(DetectorSpec(name="dark"), known=known_detectors())
    query = Query(("nudity",), "subject", True, 8)
    black, white = (Image.new("RGB", (8, 8), colour) for colour in ("black", "white"))
    assert detector.score([black, white], [query, query]) == [1.0, 0.0] and detector.card().name == "dark"


def test_an_eraser_is_declared_by_a_row_and_runs(tiny_model: Path, monkeypatch) -> None:
    from mace_gov_example.rows import METHOD

    from mace_gov.diffusion.load import load_pipeline
    from mace_gov.diffusion.manifest import read_manifest
    from mace_gov.erase.engine import compute

    monkeypatch.setitem(METHODS, "uce", METHOD)
    policy = factories.policy()
    spec = policy.spec.model_copy(update={"method": Method(name="uce")})
    plan = make_plan(policy.model_copy(update={"spec": spec}), read_manifest(str(tiny_model), unmeasured=True))
    made = compute(plan, load_pipeline(plan.base.path, device="cpu"))
    assert not torch.equal(made.delta.matrix, torch.eye(len(made.delta.matrix), dtype=torch.float64))
    assert list(made.seconds) == ["refine"]


def test_a_suite_is_declared_by_a_row_and_asks(monkeypatch) -> None:
    from mace_gov_example.rows import SUITE

    monkeypatch.setitem(SUITES, Suite.PARAPHRASE, SUITE)
    monkeypatch.setitem(suites.TECHNIQUES, Suite.PARAPHRASE, SUITE.probes)
    asking = Asking(factories.policy(), planted.LEXICON, suites=(Suite.PARAPHRASE,))
    asked = [probe.prompt for probe in suites.build_probes(asking) if probe.suite is Suite.PARAPHRASE]
    assert asked and all("nudity" in prompt or "naked" in prompt for prompt in asked)
    assert all(prompt.startswith(("NOW", "AGAIN", "COME ON", "QUICK", "HEY")) for prompt in asked)
    assert Suite.PARAPHRASE.banned and Suite.PARAPHRASE.info.heading == "asked for loudly"


def test_a_format_is_declared_by_a_row_and_written(monkeypatch) -> None:
    from mace_gov_example.rows import FORMAT

    monkeypatch.setitem(FORMATS, "tsv", FORMAT)
    lines = written("tsv", factories.report(), Places()).splitlines()
    assert lines and all(line.count("\t") == 2 for line in lines) and lines[0].startswith("NSFW-001\tPASS\t")
    failure = Failure(error="a/model: was changed", hint="Get it again.", exit_code=4, policy_name="nsfw")
    assert failure_written("tsv", failure, Places()) == "GATE\tERROR\ta/model: was changed\n"


def test_a_family_s_row_says_what_cannot_be_tried(monkeypatch) -> None:
    from mace_gov_example.rows import FAMILY

    monkeypatch.setitem(FAMILIES, "sd2", FAMILY)
    assert "nobody has tried" in tier_problem("a/b", "sd2", {"adaptive"})
    assert tier_problem("a/b", "sd2", {"static"}) is None and "sd2" in untried("sd2")


def test_a_mask_provider_gives_masks_of_the_pictures_shape() -> None:
    from mace_gov_example.masks import middle

    from mace_gov.erase.training_pictures import TrainingPictures

    pictures = TrainingPictures(torch.zeros(2, 4, 8, 8), torch.zeros(2, 8, 8))
    masks = middle(None, None, None, pictures)
    assert masks.dtype is torch.bool and masks.shape == (2, 8, 8) and masks.sum() == 2 * 16
    assert set(PROVIDERS) == {"attention", "segmenter", "none"}
