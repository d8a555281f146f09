"""Tuning: it walks the fit's line, asks nothing that the audit asks, and writes a block that gives what was tried."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from mace_gov.audit.inputs import AuditRun
from mace_gov.audit.probes import tuning_probes as module
from mace_gov.audit.probes.asking import Asking, carriers_in
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.templates import FRAMES, SETTINGS, captions
from mace_gov.audit.probes.tuning_probes import TUNING_FRAMES, tuning_lexicon, tuning_policy
from mace_gov.cli import main
from mace_gov.core.errors import UsageError
from mace_gov.core.phrases import phrase_key
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.fit import Fit, FitPoint
from mace_gov.documents.method import Method
from mace_gov.documents.policy import Kind, Policy, Suite
from mace_gov.embedded import VOCABULARY
from mace_gov.erase import engine
from mace_gov.plan.build import make_plan
from mace_gov.plan.fitting import fitted, searched
from mace_gov.plan.templates import templates_for
from mace_gov.policy.load import load_policy
from mace_gov.workflow.settings_search import outwards, tune, with_settings


def made(tiny_model, **method) -> dict:
    rules = [{"id": "THING-001", "suite": "direct", "metric": "presence", "atMost": 0.5}]
    category = {"id": "things", "kind": "object", "severity": "low", "detectors": ["always-present"], "rules": rules,
                "concepts": [{"id": "ship", "target": "ship", "anchor": "sky", "synonyms": ["boat"]}]}
    return {"apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
            "metadata": {"name": "things", "version": "1.0.0", "owner": "me", "reviewBy": "2099-01-01"},
            "spec": {"model": {"ref": str(tiny_model), "sampler": {"steps": 2}}, "categories": [category], "method": {
                "refine": {"templates": ["a photo of {}"]}, "lora": {"steps": 2, "images": 1},
                "preserve": {"prior": "general"}, **method}}}


@pytest.fixture
def policy_file(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ERASED", 12)  # of a model that draws noise, few pictures say as much as many
    monkeypatch.setattr(module, "KEPT", 8)
    (tmp_path / "things.yaml").write_text(yaml.safe_dump(made(tiny_model)))
    return tmp_path / "things.yaml"


def test_tuning_asks_nothing_that_the_audit_asks_or_that_anything_was_trained_on():
    audits = {phrase_key(t) for t in captions(len(FRAMES) * (len(SETTINGS) + 1))}
    trained = {phrase_key(t) for kind in Kind for t in templates_for(kind)}
    trained |= {phrase_key(t) for t in json.loads(VOCABULARY.read_text())["templates"]}
    own = {phrase_key(t) for t in captions(len(TUNING_FRAMES) * (len(SETTINGS) + 1), given=TUNING_FRAMES)}
    assert len(own) == len(TUNING_FRAMES) * (len(SETTINGS) + 1)
    assert not own & (audits | trained)


@pytest.mark.parametrize("name", ["characters-10", "nsfw", "objects-ten"])
def test_no_prompt_and_no_seed_is_shared_with_the_audit(name):
    policy, base = load_policy(Path(f"policies/{name}.yaml")).policy, read_manifest("embedded")
    audit = build_probes(Asking(policy, lexicon_for(base)))
    tuning = build_probes(Asking(tuning_policy(policy), tuning_lexicon(policy, lexicon_for(base))))
    assert {probe.suite for probe in tuning} == {Suite.DIRECT, Suite.UNRELATED}
    assert {probe.concept for probe in tuning if probe.suite is Suite.DIRECT} == {
        probe.concept for probe in audit if probe.suite is Suite.DIRECT}
    assert not {probe.prompt for probe in audit} & {probe.prompt for probe in tuning}
    assert not {probe.seed for probe in audit} & {probe.seed for probe in tuning}
    banned = {phrase for _, concept in policy.concepts() for phrase in concept.phrases}
    assert not banned & {probe.concept for probe in tuning if probe.suite is Suite.UNRELATED}


def test_styles_are_refused(tiny_model):
    value = made(tiny_model)
    value["spec"]["categories"][0]["kind"] = "style"
    with pytest.raises(UsageError, match=r"categories of styles \(things\)"):
        tuning_policy(Policy.model_validate(value))


def test_styles_are_asked_for_on_carriers_where_nothing_else_is_asked():
    policy, base = load_policy(Path("policies/styles.yaml")).policy, read_manifest("embedded")
    lexicon = lexicon_for(base)
    asked, carriers = build_probes(Asking(policy, lexicon)), carriers_in(lexicon)
    own = [probe for probe in build_probes(Asking(tuning_policy(policy, carriers=carriers), lexicon))
           if probe.suite is Suite.DIRECT]
    assert len({probe.prompt for probe in own}) == len(own) == module.ERASED
    assert not {probe.prompt for probe in own} & {probe.prompt for probe in asked}
    assert not {probe.seed for probe in own} & {probe.seed for probe in asked}
    assert {probe.facet for probe in own} == {"style"}
    assert all(any(carrier in probe.prompt for carrier in carriers) for probe in own)


def test_the_line_is_walked_from_the_fit_s_choice_outwards():
    assert outwards(5, 1) == [1, 2, 0, 3, 4] and outwards(3, 2) == [2, 1, 0]
    assert sorted(outwards(16, 7)) == list(range(16))


def test_settings_go_where_the_policy_has_them():
    method = Method.from_json({"refine": {"templates": ["a photo of {}"]}, "preserve": {"concepts": ["cat"]}})
    changed = with_settings(method, {"refine.relativeRidge": 0.3, "preserve.weight": 0.2, "lora.steps": 0.0})
    assert changed.to_json() == {
        **method.to_json(), "refine": {"templates": ["a photo of {}"], "relativeRidge": 0.3}, "lora": {"steps": 0},
        "preserve": {"concepts": ["cat"], "weight": 0.2}}


@pytest.fixture
def found(monkeypatch):
    """A fit that chose the second of three points, and which concepts it said need a LoRA; one can tell it."""
    line = [FitPoint(weight=weight, relative_ridge=0.1, left=left, harm=0.1)
            for weight, left in ((1.0, 0.3), (0.3, 0.1), (0.1, 0.05))]
    made = Fit(by="pictures", line=line, trials=[], chosen=1, loras=[])
    told = {"fit": made}
    monkeypatch.setattr("mace_gov.fitting.fit.fit", lambda _policy, plan, **_: fitted(plan, told["fit"]))
    return told


@pytest.fixture
def erased(monkeypatch):
    """The plans that are erased by."""
    plans, erase = [], engine.erase

    def noted(plan, *given, **named):
        plans.append(plan)
        return erase(plan, *given, **named)

    monkeypatch.setattr(engine, "erase", noted)
    return plans


def test_it_begins_with_what_apply_would_do_and_each_attempt_is_what_its_block_gives(
    policy_file, tmp_path, monkeypatch, found, erased
):
    tuning = tune(policy_file, minutes=60, registry=tmp_path / "registry", run=AuditRun(device="cpu"))
    assert [attempt.settings for attempt in tuning.attempts] == [
        {"preserve.weight": weight, "refine.relativeRidge": 0.1, "lora.steps": 0} for weight in (0.3, 0.1, 1.0)]
    assert tuning.exhausted and {attempt.trained for attempt in tuning.attempts} == {0}
    assert erased[0].fit == found["fit"] and {target.lora.steps for plan in erased for target in plan.targets} == {0}
    policy = load_policy(policy_file).policy
    assert tuning.best == 0 and tuning.method == policy.spec.method
    for attempt, plan in list(zip(tuning.attempts, erased, strict=True))[1:]:
        method = with_settings(policy.spec.method, attempt.settings)
        told = policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})
        assert make_plan(told, plan.base, held_out=plan.preserve.held_out or ()) == plan and searched(told, plan) == []


def test_where_the_fit_asks_for_loras_its_neighbours_have_those_of_all(policy_file, tmp_path, found, erased):
    found["fit"] = found["fit"].model_copy(update={"loras": ["ship"], "line": found["fit"].line[:2]})
    tuning = tune(policy_file, minutes=60, registry=tmp_path / "registry", run=AuditRun(device="cpu"))
    assert "lora.steps" not in tuning.attempts[0].settings
    assert {target.lora.steps for plan in erased for target in plan.targets} == {2}


@pytest.mark.parametrize(("method", "kind"), [
    ({"name": "uce"}, "object"), ({"preset": "paper"}, "object"), ({}, "style"),
    ({"preserve": {"weight": 1.0}, "refine": {"relativeRidge": 0.1}}, "object"),
])
def test_what_leaves_nothing_to_try_is_refused_before_the_work(
    tiny_model, policy_file, tmp_path, monkeypatch, method, kind
):
    monkeypatch.setattr("mace_gov.fitting.fit.fit", lambda *_args, **_named: pytest.fail("worked"))
    value = made(tiny_model, **method)
    value["spec"]["categories"][0]["kind"] = kind
    policy_file.write_text(yaml.safe_dump(value))
    with pytest.raises(UsageError, match="categories of styles" if kind == "style" else "leaves nothing to the model"):
        tune(policy_file, minutes=60, registry=tmp_path / "registry", run=AuditRun(device="cpu"))


def test_end_to_end_within_a_budget(policy_file, tmp_path, monkeypatch, capsys):
    out, before = tmp_path / "best.yaml", policy_file.read_bytes()
    arguments = ["tune", str(policy_file), "--budget", "0.1", "--registry", str(tmp_path / "registry"),
                 "--out", str(out), "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", ["mace-gov", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    told = capsys.readouterr()
    tuning = json.loads(told.out)["tuning"]
    assert "attempt 1: preserve.weight" in told.err and policy_file.read_bytes() == before
    first = tuning["attempts"][0]
    assert tuning["best"] == 0 and first["trained"] == 1  # always-present: nothing is ever better
    assert first["rates"]["accE"]["n"] == 12 and first["rates"]["h"]["low"] <= first["rates"]["h"]["high"]
    assert "accG" not in first["rates"]
    block = yaml.safe_load(out.read_text())
    value = yaml.safe_load(before)
    value["spec"]["method"] = block["method"]
    assert Policy.model_validate(value) == load_policy(policy_file).policy  # the fit's own choice is the best
    assert "the policy stays as it is" in out.read_text()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "exists already" in capsys.readouterr().out


def test_the_first_attempt_is_made_whatever_the_budget_and_a_second_run_trains_nothing(policy_file, tmp_path):
    one, other = (tune(policy_file, minutes=0, registry=tmp_path / "registry", run=AuditRun(device="cpu"))
                  for _ in range(2))
    assert len(one.attempts) == len(other.attempts) == 1 and not one.exhausted
    assert (one.attempts[0].trained, other.attempts[0].trained) == (1, 0)
    assert one.attempts[0].rates == other.attempts[0].rates
