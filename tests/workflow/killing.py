"""Kills apply at chosen moments: a driver that imports everything once and forks, for a process takes long to start.

    python -m tests.workflow.killing FOLDER MODEL SEED COUNT [--timed] [--row N]

The moments are those at which Python touches the disk (``sys.addaudithook``): whatever the speed of the machine, a kill
falls between two writes. With --timed they fall at any time. On a fresh registry one run, or up to N with --row N, are
killed, and the next may end; what came of it is printed as one line of JSON, the undisturbed run first.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mace_gov import workflow
from mace_gov.audit.detectors.by_name import DETECTORS
from mace_gov.audit.inputs import AuditRun
from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.record.store import open_store
from mace_gov.record.versions import find
from mace_gov.workflow.planning import BaseChoice
from tests.audit import planted
from tests.workflow.planting import METHOD, RULES, policy_file

TOUCHES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree", "sqlite3.connect")
"""Audit events that change the disk; opening a file for writing is added."""
KILLED = -signal.SIGKILL


def touches(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an audit event is one at which the disk changes."""
    if event == "open":
        flags = arguments[2] if len(arguments) > 2 else 0
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in TOUCHES


class Counter:
    """An audit hook: counts moments, and kills the process at one of them."""

    def __init__(self) -> None:
        self.on, self.count, self.at = False, 0, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and touches(event, arguments):
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


class Driver:
    """Governs the tiny model, in children."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model, self.counter = folder, model, Counter()
        self.policy = policy_file(folder, concepts=1, rules=RULES[:2],
                                  method={**METHOD, "lora": {**METHOD["lora"], "steps": 1, "images": 1}})
        made = json.loads(self.policy.read_text())
        made["spec"]["model"]["sampler"] = {"steps": 2}
        self.policy.write_text(json.dumps(made))
        self.base = read_manifest(str(model)).digest
        self.empty = folder / "empty"
        with open_store(self.empty):
            pass
        sys.addaudithook(self.counter)

    def apply(self, registry: Path) -> None:
        """One apply, in this process."""

        def drawer(model, prompts, seeds, settings):
            draws = planted.faithful if model.digest == self.base else planted.erased
            return (draws(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True))

        workflow.apply(self.policy, base=BaseChoice(str(self.model)), registry=registry,
                       reports=registry.with_suffix(".reports"),
                       run=AuditRun(device="cpu", drawer=drawer, lexicon=planted.LEXICON))

    def forked(self, work: Callable[[], object], *, at: int = 0, after: float | None = None) -> int:
        """Do work in a child, killed at moment ``at`` or ``after`` seconds. Returns its exit status."""
        if (child := os.fork()) == 0:
            code = 70
            try:
                self.counter.on, self.counter.count, self.counter.at = True, 0, at
                work()
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        timer = threading.Timer(after, os.kill, (child, signal.SIGKILL)) if after is not None else None
        if timer:
            timer.start()
        _, status = os.waitpid(child, 0)
        if timer:
            timer.cancel()
            timer.join()
        return os.waitstatus_to_exitcode(status)

    def fresh(self, name: str) -> Path:
        """A registry in which nothing was done but MLflow's database."""
        return Path(shutil.copytree(self.empty, self.folder / name))


def content(registry: Path) -> dict[str, Any]:
    """What the newest version says, but for times, its number and whether it was made anew; and what a check finds."""
    from mace_gov.record.versions import list_versions

    newest = list_versions(registry, name="nsfw")[-1]
    evidence = find(registry, newest.reference).evidence().to_json()
    for name in ("created", "lineage"):
        evidence.pop(name)
    evidence["audit"].pop("seconds")
    evidence["erasure"].pop("seconds")
    for lora in evidence["erasure"]["loras"]:
        lora.pop("reused", None)
    # beside the evidence: documents with times and the version's number in them
    evidence["files"] = {name: digest for name, digest in evidence["files"].items() if not name.endswith(".json")
                         and name != "model.sig"}
    check = workflow.check_registry(registry)
    with open_store(registry) as client:
        place = client.get_experiment_by_name("nsfw").experiment_id
        states = sorted({run.info.status for run in client.search_runs([place])})
        candidate = client.get_model_version_by_alias("nsfw", "candidate").tags["mace_gov.version"]
    return {
        "model": folder_digest(folder_files(newest.folder / "model")), "verdict": newest.outcome, "evidence": evidence,
        "findings": [f"{f.level}: {f.where}: {f.problem}" for f in check.findings if f.level != "note"],
        "states": states, "candidate": candidate == newest.reference,
    }


def main(folder: str, model: str, seed: str, count: str, *flags: str) -> None:
    """See the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DETECTORS, "judge", "tests.workflow.planting:PlantedJudge")
        patch.setattr("mace_gov.audit.prepare.HARMLESS", 8)  # as in the other tests here
        driver = Driver(Path(folder), Path(model))
        undisturbed, seconds = driver.fresh("undisturbed"), 0.0
        driver.counter.on = True  # in this process: its children need not import anything again
        driver.apply(undisturbed)
        driver.counter.on, moments = False, driver.counter.count
        gc.freeze()  # so that the children's collections pass over what was imported
        print(json.dumps({"moments": moments, **content(undisturbed)}), flush=True)
        if "--timed" in flags:
            begun = time.monotonic()
            driver.forked(partial(driver.apply, driver.fresh("timed")))
            seconds = time.monotonic() - begun
        rng, left = random.Random(int(seed)), int(count)
        row = int(flags[flags.index("--row") + 1]) if "--row" in flags else 1
        while left:
            registry, killed = driver.fresh(str(left)), []
            for _ in range(min(row, left)):
                moment = rng.uniform(0, seconds) if "--timed" in flags else rng.randint(1, moments)
                when: dict[str, Any] = {"after": moment} if "--timed" in flags else {"at": moment}
                if (code := driver.forked(partial(driver.apply, registry), **when)) != KILLED:
                    assert code == 0, f"{killed}, then {when}: the run ended with {code}"
                    break  # it had less to do than the first, or was quicker
                killed.append(moment)
            again = driver.forked(partial(driver.apply, registry))
            assert again == 0, f"{killed}: the next run ended with {again}"
            print(json.dumps({"at": killed, **content(registry)}), flush=True)
            left -= len(killed)
            shutil.rmtree(registry)
            shutil.rmtree(registry.with_suffix(".reports"), ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
