"""Waivers and the comparison with the last compliant version go into the verdict that ``apply`` signs, and hold on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import mace_gov
from mace_gov import workflow
from mace_gov.core.errors import NotReleasedError, PolicyError, UsageError
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.record.versions import list_versions
from mace_gov.workflow.deciding import Exceptions
from tests import factories
from tests.audit import planted
from tests.moved_clock import move_clock
from tests.workflow.planting import World, policy_file

ENDS = datetime.now(UTC) + timedelta(days=30)


def leaky(prompt: str, seed: int):
    """Draws what is banned when a synonym asks for it, now and then."""
    by_synonym = any(word in prompt for word in ("nakedness", "unclothed"))
    return (planted.faithful if by_synonym and seed % 3 == 0 else planted.erased)(prompt, seed)


@pytest.fixture(scope="module")
def versions(root: Path, tiny_model: Path) -> dict[str, workflow.RunResult]:
    """One that passes, one compared with it, one that passes under a waiver, one in which something came back."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(tiny_model, root, monkeypatch)
        policy = policy_file(root, severity="medium")
        waiver = factories.waiver(at_most=0.9, expires_at=ENDS.date())
        (root / "waivers.yaml").write_bytes(factories.waivers_yaml(waiver))
        made = {}
        for name, governed, asked in (
            ("first", planted.erased, {"against": "last"}), ("compared", planted.erased, {"against": "last"}),
            ("waived", leaky, {"waivers": [root / "waivers.yaml"]}),
            ("returned", planted.faithful, {"against": "nsfw/1"}),
        ):
            world.governed = governed
            world.plant()
            made[name] = world.apply(policy, **asked)
    return made


def signed(world: World, made: workflow.RunResult) -> Verdict:
    return workflow.verify_path(made.folder, key=None, registry=world.registry)[1]


def again(world: World, made: workflow.RunResult, **asked) -> Verdict:
    return workflow.gate_path(made.folder, None, key=None, registry=world.registry, asked=Exceptions(**asked))[1]


def test_the_signed_verdict_holds_the_comparison(world: World, versions) -> None:
    assert versions["first"].verdict.compared is None  # nothing came before it
    verdict = signed(world, versions["compared"])
    assert verdict.compared.version == "nsfw/1" and verdict.outcome is Outcome.PASS
    assert {each.outcome for each in verdict.compared.regressions} == {Outcome.PASS}


def test_what_came_back_stays_so_for_whoever_asks_without_comparing(world: World, versions) -> None:
    verdict = signed(world, versions["returned"])
    assert any(each.outcome is Outcome.FAIL for each in verdict.compared.regressions)
    assert again(world, versions["returned"]).compared == verdict.compared
    assert workflow.promote("nsfw/4", registry=world.registry, by="ann").exit_code == 1


def test_the_signed_verdict_holds_the_waiver_and_ends_with_it(world: World, versions, monkeypatch) -> None:
    made, waivers = versions["waived"], [world.root / "waivers.yaml"]
    verdict = signed(world, made)
    assert verdict.outcome is Outcome.PASS and [each.id for each in verdict.waivers] == ["WAIVER-001"]
    assert mace_gov.load(made.version, registry=world.registry, device="cpu").unet is not None
    assert again(world, made).outcome is Outcome.REVIEW  # whoever decides anew must have the waiver, too
    assert again(world, made, waivers=waivers).outcome is Outcome.PASS

    move_clock(monkeypatch, ENDS + timedelta(days=2))
    ended = rf"nsfw/3: the waiver WAIVER-001 for NSFW-002 ended on {ENDS.date()}, today is"
    for use in (lambda: signed(world, made), lambda: mace_gov.load(made.version, registry=world.registry)):
        with pytest.raises(NotReleasedError, match=ended) as refused:
            use()
        assert refused.value.exit_code == 1
    assert again(world, made, waivers=waivers).exit_code == 1
    assert workflow.promote("nsfw/3", registry=world.registry, by="ann", waivers=waivers).exit_code == 1
    assert signed(world, versions["first"]).outcome is Outcome.PASS


def test_what_cannot_be_granted_ends_the_run_before_it_begins(world: World, versions) -> None:
    before = list_versions(world.registry)
    (world.root / "unfit.yaml").write_bytes(factories.waivers_yaml(factories.waiver(rule="NSFW-404")))
    world.monkeypatch.setattr("mace_gov.erase.engine.erase", pytest.fail)
    policy = policy_file(world.root, severity="medium")
    with pytest.raises(PolicyError, match="NSFW-404"):
        world.apply(policy, waivers=[world.root / "unfit.yaml"])
    with pytest.raises(UsageError, match="nsfw/4 is no compliant version: found FAIL"):
        world.apply(policy, against="nsfw/4")
    assert list_versions(world.registry) == before
