"""What an apply takes here: counted work, by units that were timed on this device and are kept."""

from __future__ import annotations

import json
import sys

import pytest

from mace_gov.core.resources import using
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.costs import AuditCosts, Timing
from mace_gov.documents.reuse import Reuse
from mace_gov.preflight import timing
from mace_gov.preflight.checks import model_bytes
from mace_gov.preflight.costs import READINGS, apply_costs, told_apply
from tests.erase.conftest import manifest, plan_for
from tests.preflight.test_costs import NSFW

__all__ = ["manifest", "plan_for"]

UNITS = Timing(device="cpu (2 threads)", load=1.0, prompt=0.01, step=0.5, decode=0.25, train=2.0, read=1e-6,
               memory_bytes=3 * 10**9, pictures=4, loras=4)
AUDIT = AuditCosts(suites={}, pictures=100, cached=10, picture_bytes=1, measured_bytes=True, disk_bytes=1)


def fates(plan, **lora):
    return [Reuse(concept=t.id, lora=lora.get(t.id, "trained"), pictures=t.id == "dog", why="") for t in plan.targets]


def test_work_is_counted_and_multiplied(plan_for):
    plan = plan_for()  # three concepts, 4 steps of 2 pictures each, 4 sampler steps, 3 templates, 1 preserved
    seconds = apply_costs(plan, AUDIT, fates(plan, mira="reused"), UNITS).seconds
    assert seconds["load"] == 3
    assert seconds["pictures"] == 2 * 4 * 0.5  # the ship's two; the dog's are kept, and mira's LoRA is
    assert seconds["lora"] == 2 * 4 * 2.0
    assert seconds["draw"] == 90 * (4 * 0.5 + 0.25)
    assert seconds["files"] == pytest.approx(READINGS * model_bytes(plan) * 1e-6, abs=0.05)
    more = apply_costs(plan_for(concepts=("ship",)), AUDIT, [], UNITS).seconds
    assert seconds["text"] - more["text"] == pytest.approx(0.01 * 2 * 2 * 3, abs=0.051)


def test_it_is_told_with_its_device_and_memory(plan_for):
    plan = plan_for()
    time, memory = told_apply(apply_costs(plan, AUDIT, fates(plan), UNITS))
    assert "on cpu (2 threads)" in time and "3 min the audit's pictures" in time
    assert memory == "3.0 GB of memory with 4 pictures or 4 LoRAs in a pass"


def test_units_are_timed_once_for_a_model_a_device_and_what_was_asked_for(plan_for, tmp_path, monkeypatch):
    plan, measured = plan_for(), []

    def measure(*arguments):
        measured.append(arguments)
        return UNITS

    monkeypatch.setattr(timing, "measure", measure)
    for _ in range(2):
        assert timing.timing_of(plan, tmp_path, device="cpu", wanted=None) == UNITS
    assert len(measured) == 1
    with using(batch=2):
        timing.timing_of(plan, tmp_path, device="cpu", wanted=None)
    other = plan.model_copy(update={"base": plan.base.model_copy(update={"digest": "f" * 64})})
    timing.timing_of(other, tmp_path, device="cpu", wanted=None)
    assert len(measured) == 3


def test_nothing_is_timed_where_that_would_take_long_or_is_not_wanted(plan_for, tmp_path, monkeypatch):
    plan = plan_for()
    monkeypatch.setattr(timing, "measure", lambda *_: UNITS)
    assert timing.timing_of(plan, tmp_path, device="cpu", wanted=False) is None
    joint = plan.model_copy(update={"base": plan.base.model_copy(update={"family": "sd3"})})
    assert timing.timing_of(joint, tmp_path, device="cpu", wanted=None) is None
    monkeypatch.setattr(timing, "LARGE", 1000)
    assert timing.timing_of(plan, tmp_path, device="cpu", wanted=None) is None
    assert timing.timing_of(plan, tmp_path, device="cpu", wanted=True) == UNITS


def test_the_plain_install_cannot_tell(plan_for, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mace_gov.diffusion.load", None)
    assert timing.timing_of(plan_for(), tmp_path, device=None, wanted=True) is None


def test_the_measurement_has_a_time_for_every_unit(tiny_model, plan_for, tmp_path):
    plan = plan_for(base=read_manifest(str(tiny_model)))
    made = timing.timing_of(plan, tmp_path, device="cpu", wanted=True)
    assert min(made.load, made.prompt, made.step, made.decode, made.train, made.read) > 0
    assert made.memory_bytes > 10**8 and made.device.startswith("cpu (")
    assert (made.pictures, made.loras) == (plan.generation.batch, plan.generation.batch)


def test_plan_says_it_or_that_it_cannot_tell(run, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "measure", lambda *_: UNITS)
    code, out, _ = run("plan", NSFW, "--registry", tmp_path, "--device", "cpu")
    assert code == 0 and "apply     about" in out and "3.0 GB of memory" in out
    code, out, _ = run("plan", NSFW, "--registry", tmp_path, "--device", "cpu", "--json")
    told = json.loads(out)["apply"]
    assert code == 0 and told["timing"]["step"] == 0.5 and set(told["seconds"]) >= {"pictures", "lora", "draw"}
    code, out, _ = run("plan", NSFW, "--registry", tmp_path, "--no-calibrate")
    assert code == 0 and "time and memory not known" in out
