"""Where the work was done does not show in what is signed: processes, a Ray cluster, shards, and workers that die."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mace_gov import workflow
from mace_gov.audit.attacks.by_tier import ATTACKS
from mace_gov.audit.deriving import PLAIN
from mace_gov.audit.detectors.by_name import DETECTORS
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.resources import using
from mace_gov.execute import hired
from mace_gov.record.versions import find
from mace_gov.workflow.planning import BaseChoice
from tests.audit import planted
from tests.conftest import build_tiny_model
from tests.execute.clusters import other_node, two_nodes
from tests.factories import Said
from tests.workflow.killing import content
from tests.workflow.planting import METHOD, RULES, policy_file

pytestmark = [pytest.mark.nightly,
              pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")]


class Here:
    """One policy, with real pictures of tiny models, of which a judge of planted ones always says the same."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.policy = policy_file(folder, rules=RULES[:2], method={
            **METHOD, "lora": {**METHOD["lora"], "steps": 2}, "harden": {"rounds": 1, "searches": 2, "steps": 2}})
        self.seams = AuditRun(lexicon=planted.LEXICON)

    def apply(self, name: str, said: Said | None = None) -> dict[str, Any]:
        """What an apply into a new registry signs."""
        registry = self.folder / name
        workflow.apply(self.policy, base=BaseChoice(str(self.model)), registry=registry,
                       reports=registry.with_suffix(".reports"),
                       run=replace(self.seams, device="cpu", progress=said or Said()))
        return content(registry)

    def signed(self, name: str, made: workflow.RunResult) -> dict[str, Any]:
        """An audit's evidence, but for times."""
        evidence = find(self.folder / name, f"nsfw/{made.folder.name}", shelf="audits").evidence().to_json()
        evidence.pop("created")
        evidence["audit"].pop("seconds")
        for attack in evidence["audit"]["attacks"]:
            attack.pop("seconds")
        return {"evidence": evidence, "verdict": made.verdict.outcome}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Here]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DETECTORS, "judge", "tests.workflow.planting:PlantedJudge")
        yield Here(tmp_path_factory.mktemp("workers"), tiny_model)


@pytest.fixture(scope="module")
def alone(here: Here) -> dict[str, Any]:
    """What one process signs."""
    return here.apply("alone")


@contextmanager
def after_a_unit(pool: Any, act: Any) -> Iterator[None]:
    """Do something once the first unit is done."""
    def wait() -> None:
        while not any(slot.done for slot in pool._slots):
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()


def test_one_process_signs_what_no_worker_signs(here: Here, alone: dict[str, Any]) -> None:
    with hired(1, device="cpu", progress=Said()) as pool, using(workers=pool):
        assert here.apply("one") == alone


def test_four_processes_of_which_one_is_killed(here: Here, alone: dict[str, Any]) -> None:
    said = Said()
    with hired(4, device="cpu", threads=1, progress=said) as pool, using(workers=pool):
        def kill() -> None:
            busy = max(pool._slots, key=lambda slot: slot.done)
            os.kill(busy.channel.pid, signal.SIGKILL)

        with after_a_unit(pool, kill):
            assert here.apply("four", said) == alone
    assert any("was ended by signal 9" in note for note in said.notes), said.notes


def test_a_ray_cluster_of_which_a_worker_and_then_a_node_are_killed(here: Here, alone: dict[str, Any]) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'mace-gov[ray]'")
    said = Said()
    with two_nodes() as cluster, hired(3, cluster.address, device="cpu", progress=said) as pool, using(workers=pool):
        def kill() -> None:
            busy = max(pool._slots, key=lambda slot: slot.done)
            ray.kill(busy.channel._actor)
            done = sum(slot.done for slot in pool._slots)
            while sum(slot.done for slot in pool._slots) < done + 3:
                time.sleep(0.02)
            cluster.remove_node(other_node(cluster), allow_graceful=False)

        with after_a_unit(pool, kill):
            assert here.apply("ray", said) == alone
    assert sum("is done again" in note for note in said.notes) >= 1, said.notes


def test_eight_shards_and_four_workers_sign_what_one_process_signs(here: Here) -> None:
    governed = str(build_tiny_model(here.folder / "governed", seed=1))
    asked = {"base": BaseChoice(str(here.model)), "run": replace(here.seams, device="cpu")}
    made = {}
    for name in ("audit-alone", "audit-workers"):
        with hired(4 if name == "audit-workers" else None, threads=1, device="cpu", progress=Said()) as pool, using(
                workers=pool):
            audited = workflow.audit_model(governed, here.policy, registry=here.folder / name,
                                           reports=here.folder / f"{name}.reports", **asked)
        made[name] = here.signed(name, audited)
    folders = [here.folder / f"shard-{n}" for n in range(1, 9)]
    for n, folder in enumerate(folders, 1):
        workflow.draw_shard(governed, here.policy, folder, f"{n}/8", registry=here.folder / "merged", **asked)
    merged = workflow.merge_shards(folders, registry=here.folder / "merged", reports=here.folder / "merged.reports",
                                   run=replace(here.seams, device="cpu"))
    made["merged"] = here.signed("merged", merged)
    assert made["audit-alone"] == made["audit-workers"] == made["merged"]


def test_one_and_four_workers_search_and_derive_as_one_process_does(here: Here) -> None:
    governed = str(build_tiny_model(here.folder / "attacked", seed=1))
    (here.folder / "attacks").mkdir()
    policy = policy_file(here.folder / "attacks", rules=RULES[:2], detectors=("always-present",))  # what is seen can be
    tiers = frozenset({"transferred", "adaptive", "embeddings", "weights", "text-free", "deep"})
    run = replace(here.seams, device="cpu", inputs=Inputs(tiers=tiers, budget=1, searches=1))
    made = []
    for count in (None, 1, 4):
        registry = here.folder / f"attacks-{count}"
        with hired(count, threads=1, device="cpu", progress=Said()) as pool, using(workers=pool):
            audited = workflow.audit_model(governed, policy, base=BaseChoice(str(here.model)), run=run,
                                           registry=registry, reports=registry.with_suffix(".reports"))
        made.append(here.signed(registry.name, audited))
    assert made[0] == made[1] == made[2]
    audit = made[0]["evidence"]["audit"]
    assert {each["attack"] for each in audit["attacks"]} == {attack.name for attack in ATTACKS}
    assert {each["derivative"] for each in audit["derivatives"]} > set(PLAIN)
