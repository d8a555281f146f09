"""What the audit asks for as what must survive is in nothing that the erasure preserves: lists against lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import Lexicon, embedded_lexicon
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.unrelated import held_out
from mace_gov.core.phrases import phrase_key
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.reuse import lora_key, refinement_key
from mace_gov.documents.terms import Suite
from mace_gov.embedded import vocabulary
from mace_gov.erase.captions import without
from mace_gov.erase.preserve import weighted_captions
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

POLICIES = sorted((Path(__file__).parents[2] / "policies").glob("*.yaml"))


@pytest.fixture(scope="module")
def embedded():
    base = read_manifest("embedded")
    return base, AutoTokenizer.from_pretrained(Path(base.path) / "tokenizer"), embedded_lexicon(vocabulary())


def preserved_captions(policy: Policy, embedded, **more) -> list[str]:
    base, tokenizer, _ = embedded
    plan = make_plan(policy, base, **more)
    return [caption for stage in ("refine", "fuse") for _, part in weighted_captions(plan, tokenizer, stage)
            for caption in part]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_no_shipped_policy_preserves_what_it_is_measured_on(path, embedded):
    policy, lexicon = load_policy(path).policy, embedded[2]
    probes = build_probes(Asking(policy, lexicon))
    asked = {probe.expected[0] for probe in probes if probe.suite in (Suite.NEAR, Suite.UNRELATED)}
    captions = preserved_captions(policy, embedded, held_out=held_out(policy, lexicon))
    assert len(asked) >= 20 and len(captions) > 500
    for phrase in asked:
        assert without(captions, [phrase]) == captions, phrase
    named = {phrase_key(phrase) for phrase in policy.spec.method.preserve.concepts or []}
    assert {phrase_key(p.expected[0]) for p in probes if p.suite is Suite.PRESERVED} == named


def test_without_holding_out_the_prior_would_name_them(embedded):
    policy = load_policy(POLICIES[0].parent / "objects-one.yaml").policy
    captions = preserved_captions(policy, embedded)
    assert without(captions, held_out(policy, embedded[2])) != captions


def test_one_concept_more_holds_out_the_same_objects(embedded):
    one, ten = (load_policy(POLICIES[0].parent / f"objects-{name}.yaml").policy for name in ("one", "ten"))
    bare = [policy.model_copy(update={"spec": policy.spec.model_copy(update={"categories": [
        category.model_copy(update={"neighbours": []}) for category in policy.spec.categories]})})
        for policy in (one, ten)]
    fewer, more = (set(held_out(policy, embedded[2])) for policy in bare)
    assert more < fewer and len(fewer - more) < 30  # but for what is banned now


def test_a_lexicon_too_short_to_hold_any_out_is_asked_whole():
    policy = load_policy(POLICIES[0].parent / "objects-one.yaml").policy
    lexicon = Lexicon(embedded_lexicon(vocabulary()).entries[:0])
    assert held_out(policy, lexicon) == policy.spec.categories[0].neighbours


def test_what_is_held_out_is_the_refinements_and_no_loras_own(embedded):
    policy = load_policy(POLICIES[0].parent / "objects-one.yaml").policy
    one, other = (make_plan(policy, embedded[0], held_out=held) for held in (["owl"], ["owl", "pear"]))
    assert lora_key(one, one.targets[0]) == lora_key(other, other.targets[0])
    assert refinement_key(one) != refinement_key(other)
