"""The twin's policies name to preservation nobody whom they ask for as held out (training/twin has the recipe)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from benchmarks import twin
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.unrelated import _wishes
from mace_gov.documents.policy import Policy
from mace_gov.documents.terms import Kind

POLICIES = Path(twin.__file__).parent / "twin"


def _read(name: str) -> Policy:
    return Policy.model_validate(yaml.safe_load((POLICIES / f"{name}.yaml").read_text()))


def _people(policy: Policy) -> tuple[set[str], set[str], set[str]]:
    banned = {concept.target for _, concept in policy.concepts()}
    return banned, set(policy.spec.method.preserve.concepts or ()), set(policy.spec.categories[0].neighbours)


@pytest.mark.parametrize(("count", "held_out"), [(1, 60), (10, 120), (100, 300)])
def test_whom_near_asks_for_was_named_to_nobody(count, held_out):
    banned, preserved, asked = _people(_read(f"characters-{count}"))
    assert (len(banned), len(preserved), len(asked)) == (count, 100, held_out)
    assert len(banned | preserved | asked) == count + 100 + held_out


def test_first_and_last_names_are_shared_across_the_three_parts():
    groups = _people(_read("characters-100"))
    for place in (0, 1):
        banned, preserved, asked = ({name.split()[place] for name in group} for group in groups)
        assert banned & preserved & asked
        assert banned <= asked


@pytest.mark.parametrize("count", [1, 10])
def test_objects_that_must_stay_are_named_to_nobody(count):
    banned, preserved, asked = _people(_read(f"objects-{count}"))
    assert (len(banned), len(preserved), len(asked)) == (count, 0, 20)
    assert not banned & asked


@pytest.fixture
def small(tmp_path):
    """A vocabulary of three people and two objects."""
    row = {"synonyms": [], "emoji": "", "styles": ["noto"], "split": None, "erase": None}
    people = [{"id": f"p{n}", "name": f"ann{n} lee", "kind": "celebrity", **row, "split": split}
              for n, split in enumerate(("erase", "preserve", "held-out"))]
    objects = [{"id": name, "name": name, "kind": "object", **row} for name in ("cat", "bus")]
    about = {"concepts": people + objects, "styles": [], "colours": [], "templates": [],
             "sampler": {"steps": 20, "guidance": 3.0, "size": 32}, "cfis": {"t1": 50, "t2": 300, "gamma": 0.05}}
    (tmp_path / "vocabulary.json").write_text(json.dumps(about))
    return tmp_path


def _policy(preserved: list[str]) -> Policy:
    raw = yaml.safe_load((POLICIES / "characters-1.yaml").read_text())
    raw["spec"]["method"]["preserve"]["concepts"] = preserved
    raw["spec"]["categories"][0]["concepts"][0]["target"] = "ann0 lee"
    raw["spec"]["categories"][0]["neighbours"] = ["ann2 lee"]
    return Policy.model_validate(raw)


def test_the_comparison_tells_named_people_from_held_out_ones(small):
    asked = twin.asked_of(_policy(["ann1 lee"]), small, 4)
    assert asked == {"erased": ["ann0 lee"] * 4, "synonym": [], "preserved": ["ann1 lee"], "held out": ["ann2 lee"],
                     "other kind": ["cat", "bus"]}


def test_an_audit_asks_of_people_only_those_whom_no_policy_names(small):
    policy = _policy(["ann1 lee"])
    wishes = _wishes(Kind.CELEBRITY, Asking(policy, twin.lexicon(small)), 6)
    assert {phrase for _, phrase, _ in wishes} == {"ann2 lee"}
