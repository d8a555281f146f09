"""Promote, roll back, recall; and what verification makes of a registry whose MLflow was edited."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

import mace_gov
from mace_gov import workflow
from mace_gov.attest.keypair import generate_key, load_key_pair
from mace_gov.attest.keys import pin
from mace_gov.attest.sign_off import ReviewerDecision
from mace_gov.cli.registry import list_
from mace_gov.core.errors import IntegrityError, NotReleasedError, RecalledError, UsageError
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from mace_gov.documents.verdict import Outcome
from mace_gov.record.store import open_store
from mace_gov.record.versions import find
from mace_gov.workflow import exporting
from mace_gov.workflow.loading import generate_pictures
from mace_gov.workflow.signing_off import sign_off_path
from tests import factories
from tests.audit import planted
from tests.workflow.planting import World, policy_file

COMPLIANT = Path("models:/nsfw@compliant")


@pytest.fixture(scope="module")
def finished(root: Path, tiny_model: Path) -> Path:
    """A registry with nsfw/1 and nsfw/2, which pass and differ, nsfw/3, which fails, and nsfw/4, left to review."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(tiny_model, root, monkeypatch)
        world.two_versions()
        world.governed = planted.faithful
        world.plant()
        assert world.apply().verdict.outcome is Outcome.FAIL
        world.base, world.governed = planted.incapable, planted.erased
        world.plant()
        assert world.apply().verdict.outcome is Outcome.REVIEW
    return world.registry


@pytest.fixture
def registry(finished: Path) -> Path:
    """The same before anything was released. Not a copy: MLflow holds absolute paths."""
    shutil.rmtree(finished / "releases", ignore_errors=True)
    saved = finished / "mlflow.db.saved"
    if not saved.exists():
        shutil.copyfile(finished / "mlflow.db", saved)
    shutil.copyfile(saved, finished / "mlflow.db")
    return finished


def promote(registry: Path, number: int) -> workflow.Released:
    return workflow.promote(f"nsfw/{number}", registry=registry, by="ann")


def verified(registry: Path, path: Path = COMPLIANT) -> str:
    """The version that ``path`` leads to, verified."""
    evidence = workflow.verify_path(path, key=None, registry=registry)[0].evidence
    return f"{evidence.lineage.name}/{evidence.lineage.version}"


def standing(registry: Path) -> str:
    """What verification says of recalls."""
    return workflow.verify_path(Path("nsfw/1"), key=None, registry=registry)[0].checks[-1]


def edit(registry: Path, statement: str, *values: object) -> None:
    """Change MLflow's database behind its back."""
    with sqlite3.connect(registry / "mlflow.db") as database:
        assert database.execute(statement, values).rowcount == 1


def test_promote_roll_back_and_recall(registry: Path) -> None:
    with pytest.raises(UsageError, match="knows no models:/nsfw@compliant"):
        verified(registry)
    assert standing(registry).endswith("no signed chain at hand; whether this version was recalled since is not known")
    assert promote(registry, 1).exit_code == 0
    assert standing(registry) == "releases: not recalled by the 1 signed entries at hand"
    assert verified(registry) == "nsfw/1"
    assert promote(registry, 2).exit_code == 0
    assert promote(registry, 2).exit_code == 0  # again: nothing new is signed
    assert len(list((registry / "releases" / "nsfw").iterdir())) == 2
    assert verified(registry) == verified(registry, Path("models:/nsfw/2")) == "nsfw/2"

    assert workflow.rollback("nsfw", registry=registry, by="ann", reason="slower").version == "nsfw/1"
    assert verified(registry) == "nsfw/1"
    with open_store(registry) as client:
        states = {v.tags["mace_gov.version"]: v.tags.get("mace_gov.release") for v in
                  client.search_model_versions("name = 'nsfw'")}
    assert states == {"nsfw/1": "compliant", "nsfw/2": "superseded", "nsfw/3": None, "nsfw/4": None}

    assert mace_gov.load(str(COMPLIANT), registry=registry, device="cpu").unet is not None

    log = workflow.recall("nsfw/1", registry=registry, by="bob", reason="it draws what is banned when asked in Dutch")
    assert (log.compliant, log.rollback_target) == (None, 2)
    with pytest.raises(UsageError, match="Aliases of nsfw: candidate|knows no"):
        verified(registry)
    folder = registry / "versions" / "nsfw" / "1"
    for path in (Path("nsfw/1"), folder, folder / "model", Path("models:/nsfw/1")):
        with pytest.raises(RecalledError, match=r"nsfw/1 was recalled on .* by bob: .* in Dutch") as refused:
            verified(registry, path)
        assert refused.value.exit_code == 1
    with pytest.raises(RecalledError):
        promote(registry, 1)
    with pytest.raises(RecalledError):
        mace_gov.load("nsfw/1", registry=registry)
    assert workflow.rollback("nsfw", registry=registry, by="ann").version == "nsfw/2"
    with pytest.raises(UsageError, match="recalled"):
        workflow.rollback("nsfw", registry=registry, by="ann")


def test_only_a_pass_is_promoted_and_only_what_verifies(registry: Path) -> None:
    refused = promote(registry, 3)
    assert refused.exit_code == 1
    assert refused.verdict.outcome is Outcome.FAIL
    picture = next((registry / "versions/nsfw/2/evidence/pictures/base").iterdir())
    held = picture.read_bytes()
    picture.write_bytes(held + b"x")
    with pytest.raises(IntegrityError, match=picture.name):
        promote(registry, 2)
    picture.write_bytes(held)
    assert not (registry / "releases").exists()


def test_what_is_left_to_review_is_released_once_two_reviewers_approve(registry: Path, tmp_path: Path) -> None:
    folder = registry / "versions/nsfw/4"
    for place, name in enumerate(("ann", "bob"), 1):
        waiting = promote(registry, 4)
        assert waiting.exit_code == 5
        assert f"found {place - 1}" in waiting.reasons[0]
        key = tmp_path / f"{name}.pem"
        generate_key(key)
        pair = load_key_pair(key)
        pin(registry, pair.public, role=Role.REVIEWER, name=name)
        sign_off_path(folder, ReviewerDecision(Decision.APPROVE, name, "reviewer", "stand-ins only"), signing_key=key,
                      key=None, registry=registry)
    assert promote(registry, 4).exit_code == 0
    assert verified(registry) == "nsfw/4"
    # What was deleted everywhere else is missed by MLflow's count.
    kept = {path: path.read_bytes() for where in (folder / "sign-offs", registry / "decisions")
            for path in where.rglob("*.dsse.json")}
    for path in kept:
        path.unlink()
    with pytest.raises(IntegrityError, match="MLflow counts 2 sign-offs on nsfw/4, found 0"):
        verified(registry)
    for path, data in kept.items():
        path.write_bytes(data)
    assert [node.kind for node in workflow.lineage_of(find(registry, "nsfw/4"), registry).columns[-1]] == [
        "Sign-off", "Sign-off", "Release"
    ]


def test_a_waiver_lets_a_version_be_released_and_is_named_in_the_chain(registry: Path, world: World) -> None:
    def leaky(prompt: str, seed: int):
        by_synonym = any(word in prompt for word in ("nakedness", "unclothed"))
        return (planted.faithful if by_synonym and seed % 3 == 0 else planted.erased)(prompt, seed)

    world.governed = leaky
    world.plant()
    made = world.apply(policy_file(world.root, name="lenient", severity="medium"))
    assert made.verdict.outcome is Outcome.REVIEW
    assert workflow.promote(made.version, registry=registry, by="ann").exit_code == 5
    ends = (datetime.now(UTC) + timedelta(days=30)).date()
    waiver = factories.waiver(policy="lenient", at_most=0.9, expires_at=ends)
    (world.root / "waivers.yaml").write_bytes(factories.waivers_yaml(waiver))
    asked = {"registry": registry, "by": "ann", "waivers": [world.root / "waivers.yaml"]}
    assert workflow.promote(made.version, **asked).exit_code == 0
    [entry] = workflow.releases(registry)["lenient"].entries
    assert entry.waivers == [waiver.content_digest()]


def test_a_recall_needs_neither_the_model_nor_a_promotion(registry: Path) -> None:
    model = registry / "versions/nsfw/2/model"
    model.rename(registry / "hidden")
    workflow.recall("nsfw/2", registry=registry, by="ann", reason="wrong base")
    (registry / "hidden").rename(model)
    with pytest.raises(RecalledError, match="wrong base"):
        verified(registry, Path("nsfw/2"))
    assert verified(registry, Path("nsfw/1")) == "nsfw/1"


def test_an_alias_that_was_moved_is_refused(registry: Path) -> None:
    promote(registry, 1)
    edit(registry, "UPDATE registered_model_aliases SET version = 2 WHERE alias = 'compliant'")
    with pytest.raises(IntegrityError, match="leads to nsfw/2, expected nsfw/1") as refused:
        verified(registry)
    assert refused.value.exit_code == 4


def test_an_alias_without_a_signed_release_is_refused(registry: Path) -> None:
    edit(registry, "UPDATE registered_model_aliases SET alias = 'compliant' WHERE alias = 'candidate'")
    with pytest.raises(IntegrityError, match="leads to nsfw/4, expected none"):
        verified(registry)


def test_a_source_that_was_moved_is_refused(registry: Path) -> None:
    promote(registry, 1)
    other = (registry / "versions/nsfw/3/model").as_uri()
    edit(registry, "UPDATE model_versions SET source = ?, storage_location = ? WHERE version = 1", other, other)
    with pytest.raises(IntegrityError, match="its database was changed"):
        verified(registry)
    gone = (registry / "nowhere").as_uri()
    edit(registry, "UPDATE model_versions SET source = ?, storage_location = ? WHERE version = 1", gone, gone)
    with pytest.raises(IntegrityError, match="nowhere"):
        verified(registry)


def test_a_digest_that_was_changed_is_refused(registry: Path) -> None:
    edit(registry, "UPDATE model_version_tags SET value = 'abcd' WHERE key = ? AND version = 1",
         "mace_gov.governed_digest")
    with pytest.raises(IntegrityError, match="MLflow says that its digest is abcd"):
        verified(registry, Path("models:/nsfw/1"))


def test_a_copy_is_verified_by_its_own_files(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(registry, 1)
    copy = tmp_path / "x%2Fy" / "reg?istry"
    shutil.copytree(registry, copy)
    assert verified(copy) == "nsfw/1"
    weights = next((copy / "versions/nsfw/1/model/unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=weights.name):
        verified(copy)
    shutil.rmtree(copy / "versions/nsfw/1")
    with pytest.raises(IntegrityError, match="there is no"):
        verified(copy)
    list_(registry=copy)
    assert "nsfw/1  compliant by the signed chain of releases; its folder is not here" in capsys.readouterr().out


def test_a_recall_that_was_taken_off_the_chain_still_shows_in_mlflow(registry: Path) -> None:
    promote(registry, 1)
    workflow.recall("nsfw/1", registry=registry, by="ann", reason="it came back")
    sorted((registry / "releases" / "nsfw").iterdir())[-1].unlink()
    with pytest.raises(RecalledError, match="MLflow says"):
        verified(registry, Path("models:/nsfw/1"))


@pytest.mark.parametrize("how", ["written", "renamed"])
def test_a_delta_that_is_exchanged_after_verification_is_not_exported(
    registry: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    delta = registry / "versions" / "nsfw" / "1" / exporting.DELTA_NAME
    good, other = delta.read_bytes(), (registry / "versions" / "nsfw" / "2" / exporting.DELTA_NAME).read_bytes()
    assert good != other
    verify_path = exporting.verify_path

    def swap_after(*args: object, **options: object) -> object:
        found = verify_path(*args, **options)
        if how == "renamed":
            delta.rename(tmp_path / "aside")
        delta.write_bytes(other)
        return found

    monkeypatch.setattr(exporting, "verify_path", swap_after)
    try:
        with pytest.raises(IntegrityError, match="erasure.safetensors: changed after it was verified"):
            exporting.export_version(Path("nsfw/1"), "lora", tmp_path / "out", base=str(tiny_model), registry=registry)
        assert not (tmp_path / "out").exists()
    finally:
        delta.write_bytes(good)


def test_what_was_not_passed_rejected_or_recalled_draws_nothing_by_its_name_in_mlflow(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = partial(generate_pictures, prompts=["a cat"], seed=1, revision=None, key=None, registry=registry,
                    out=tmp_path / "out", device="cpu")

    def load_pipeline(*_args: object, **_options: object) -> None:
        raise AssertionError("a model was loaded that may not be used")

    monkeypatch.setattr("mace_gov.diffusion.load.load_pipeline", load_pipeline)
    with pytest.raises(NotReleasedError, match="its verdict is FAIL"):
        drawn("models:/nsfw/3")
    promote(registry, 1)
    with pytest.raises(AssertionError, match="was loaded"):
        drawn(str(COMPLIANT))
    workflow.recall("nsfw/1", registry=registry, by="bob", reason="it came back")
    with pytest.raises(RecalledError, match="it came back"):
        drawn("models:/nsfw/1")
    generate_key(tmp_path / "eve.pem")
    pin(registry, load_key_pair(tmp_path / "eve.pem").public, role=Role.REVIEWER, name="eve")
    sign_off_path(Path("nsfw/2"), ReviewerDecision(Decision.REJECT, "eve", "safety", "seen in Dutch"),
                  signing_key=tmp_path / "eve.pem", key=None, registry=registry)
    with pytest.raises(NotReleasedError, match="eve .safety. rejected it: seen in Dutch"):
        drawn("models:/nsfw/2")
    assert not (tmp_path / "out").exists()
