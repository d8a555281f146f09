"""The plan says what the audit will ask and cost, and says where it does not know."""

from __future__ import annotations

import base64
import json
import os

import pytest

from mace_gov.audit.pictures import picture_key
from mace_gov.preflight.checks import check_plan, model_bytes
from mace_gov.preflight.costs import audit_costs, states_bytes, told
from mace_gov.workflow.planning import plan_policy
from tests.preflight.test_checks import ROOT

NSFW = ROOT / "policies/nsfw.yaml"


@pytest.fixture
def planned(tmp_path):
    loaded, plan, _ = plan_policy(NSFW, registry=tmp_path)
    return loaded.policy, plan, check_plan(loaded, plan)


def evidence(registry, number, plan, *, seconds=50.0, **changes):
    """The account of an earlier audit, as far as it is read."""
    sampling = {"steps": float(plan.generation.steps), "size": float(plan.generation.size), "pictures": 100.0}
    audit = {"baseDigest": plan.base.digest, "seconds": {"draw": 0.8 * seconds, "detect": 0.2 * seconds},
             "sampling": sampling, **changes}
    path = registry / "versions" / "nsfw" / str(number) / "evidence.dsse.json"
    path.parent.mkdir(parents=True)
    payload = base64.b64encode(json.dumps({"predicate": {"audit": audit}}).encode()).decode()
    path.write_text(json.dumps({"payload": payload}))


def test_pictures_are_counted_as_they_will_be_drawn(planned, tmp_path):
    policy, plan, probes = planned
    costs = audit_costs(policy, plan, probes, tmp_path)
    assert costs.suites == {"direct": 96, "synonym": 64, "unrelated": 120}
    assert costs.pictures == 2 * 280 and costs.cached == 0
    assert not costs.measured_bytes and costs.picture_bytes == round(0.6 * 3 * plan.generation.size**2)
    states = states_bytes(plan, tmp_path / "cache")
    assert states > 3 * 8 * 640**2 * len(plan.targets)
    assert costs.disk_bytes == 2 * costs.pictures * costs.picture_bytes + model_bytes(plan) + states
    assert costs.seconds is None and "not known on this machine" in told(costs)[1]


def test_text_states_that_are_kept_take_no_more_room(planned, tmp_path):
    _, plan, _ = planned
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "one.safetensors").write_bytes(b"x" * 1000)
    assert states_bytes(plan, tmp_path) == states_bytes(plan, tmp_path / "none") - 1000
    (tmp_path / "states" / "two.safetensors").write_bytes(b"x" * 200_000_000)
    assert states_bytes(plan, tmp_path) == 0


def test_a_policy_without_unrelated_prompts_draws_those_of_the_broken_model_check(planned, tmp_path):
    policy, plan, probes = planned
    few = [probe for probe in probes if probe.suite != "unrelated"]
    assert audit_costs(policy, plan, few, tmp_path).pictures == 2 * (160 + 32)


def test_what_is_in_the_cache_is_counted_and_measured(planned, tmp_path):
    policy, plan, probes = planned
    store = tmp_path / "cache" / "pictures"
    store.mkdir(parents=True)
    for probe in probes[:3]:
        key = picture_key(plan.base.digest, probe.prompt, probe.seed, plan.generation)
        (store / f"{key}.png").write_bytes(b"x" * 500)
    costs = audit_costs(policy, plan, probes, tmp_path)
    assert costs.cached == 3 and costs.measured_bytes and costs.picture_bytes == 500


def test_time_is_that_of_the_slowest_of_the_last_audits_of_this_base(planned, tmp_path):
    policy, plan, probes = planned
    evidence(tmp_path, 1, plan)
    evidence(tmp_path, 2, plan, seconds=20.0)  # most of its pictures were in the cache
    evidence(tmp_path, 3, plan, seconds=5000.0, baseDigest="f" * 64)
    evidence(tmp_path, 4, plan, sampling={"pictures": 0.0})
    (tmp_path / "versions/nsfw/4/evidence.dsse.json").write_bytes(os.urandom(50))
    costs = audit_costs(policy, plan, probes, tmp_path)
    assert costs.seconds_each == 0.25 and costs.seconds == 0.25 * costs.pictures
    assert "up to 2 min at 0.25 s a picture" in told(costs)[1]


def test_plan_prints_it_and_json_has_it(run, tmp_path):
    code, out, _ = run("plan", NSFW, "--registry", tmp_path, "--no-calibrate", "--json")
    assert code == 0 and json.loads(out)["audit"]["pictures"] == 560 and json.loads(out)["warnings"] == []
    code, out, _ = run("plan", NSFW, "--registry", tmp_path, "--no-calibrate")
    assert code == 0 and "audit     560 pictures of both models, 0 of the base model's in the cache" in out
    assert not list(tmp_path.iterdir())  # it writes nothing
