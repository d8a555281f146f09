import pytest

from mace_gov.documents.method import Method
from mace_gov.documents.method_info import method_info
from mace_gov.documents.policy import Kind, Sampler
from mace_gov.documents.terms import Severity
from mace_gov.embedded import vocabulary
from mace_gov.plan.build import MANY_PEOPLE, make_plan
from mace_gov.plan.presets import DEFAULT, ESD_EMBEDDED, ESD_PAPER, PAPER_LORAS, PAPER_RATE, domain_weight, paper
from mace_gov.plan.templates import templates_for
from tests import factories


def manifest(width: int, side: int = 512):
    return factories.plan().base.model_copy(update={"text_width": width, "image_size": side, "embedded": side == 32})


def with_block(block):
    policy = factories.policy()
    method = type(policy.spec.method).model_validate(block)
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})


def test_the_default_is_one_for_all_models_and_has_no_dimension():
    policy = factories.policy()
    kind = policy.spec.categories[0].kind
    for base in (manifest(768), manifest(320), manifest(2048), manifest(640, 32)):
        made = make_plan(policy, base)
        assert made.targets[0].lora == DEFAULT[kind].lora
        assert made.preserve.relative and made.preserve.scale == DEFAULT[kind].scale
        assert made.refine == DEFAULT[kind].refine and made.refine.ridge is None and made.refine_tokens == "all"
        assert made.targets[0].lora.learning_rate is None and made.targets[0].lora.step_size
    assert len(made.templates) == 30


def test_what_the_policy_says_wins_field_by_field():
    made = make_plan(with_block({
        "refine": {"ridge": 7, "templates": ["one {}"], "tokens": "context"}, "lora": {"steps": 3},
        "preserve": {"prior": "none", "weight": 0},
    }), manifest(768))
    kind = factories.policy().spec.categories[0].kind
    assert made.refine.ridge == 7 and made.refine.relative_ridge is None and made.refine_tokens is None
    assert made.templates == ["one {}"] and made.targets[0].lora.steps == 3
    assert made.targets[0].lora.step_size == DEFAULT[kind].lora.step_size
    assert made.preserve.prior == "none" and made.preserve.scale == 0 and made.preserve.relative
    assert made.fuse == DEFAULT[kind].fuse


def test_a_learning_rate_or_another_beginning_makes_steps_absolute():
    for lora, rate in (({"learningRate": 0.02}, 0.02), ({"init": "normal"}, PAPER_RATE)):
        made = make_plan(with_block({"lora": lora}), manifest(768)).targets[0].lora
        assert made.learning_rate == rate and made.step_size is None
    made = make_plan(with_block({"preset": "paper", "lora": {"stepSize": 0.2, "init": "focal"}}), manifest(768))
    assert made.targets[0].lora.step_size == 0.2 and made.targets[0].lora.learning_rate is None


def test_models_of_small_pictures_are_drawn_as_the_one_that_ships_unless_the_policy_says():
    policy = factories.policy()
    assert make_plan(policy, manifest(768)).generation.steps == 50
    small = make_plan(policy, manifest(1024, 32)).generation
    assert small.steps == vocabulary().sampler.steps and small.size == 32
    ref = policy.spec.model.model_copy(update={"sampler": Sampler(steps=7, guidance=2.0)})
    told = policy.model_copy(update={"spec": policy.spec.model_copy(update={"model": ref})})
    assert make_plan(told, manifest(768)).generation.model_dump() == {
        "steps": 7, "guidance": 2.0, "size": 512, "batch": 4}


def test_templates_are_thirty_and_distinct_for_every_kind():
    for kind in Kind:
        assert len(set(templates_for(kind))) == len(templates_for(kind)) == 30


def of_method(name: str, **block):
    policy = factories.policy()
    method = type(policy.spec.method).model_validate({"name": name, **block})
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})


def test_each_method_brings_its_own_settings_and_no_other_plan_changes():
    assert make_plan(of_method("esd"), manifest(768)).esd == ESD_PAPER
    asked = make_plan(of_method("esd", esd={"steps": 7}), manifest(640, 32)).esd
    assert asked.steps == 7 and asked.learning_rate == ESD_EMBEDDED.learning_rate
    null = make_plan(of_method("nullspace"), manifest(768))
    assert null.refine == method_info("nullspace").ridge and null.preserve.leak == method_info("nullspace").leak
    null = make_plan(of_method("nullspace", refine={"ridge": 2}, preserve={"leak": 0.5}), manifest(768))
    assert null.refine.ridge == 2 and null.preserve.leak == 0.5
    assert make_plan(of_method("uce"), manifest(768)).refine == make_plan(of_method("mace"), manifest(768)).refine
    assert make_plan(of_method("cure", expansion=5), manifest(768)).expansion == 5
    assert make_plan(of_method("cure"), manifest(768)).expansion == method_info("cure").expansion
    plain = make_plan(factories.policy(), manifest(768)).to_json()
    # plans signed before these existed keep their digest
    assert not {"expansion", "esd"} & plain.keys() and "leak" not in plain["preserve"]


def test_a_plan_for_many_people_names_the_eraser_that_tells_them_from_others():
    def told(count, **method):
        policy = factories.policy()
        [category] = policy.spec.categories
        people = [category.concepts[0].model_copy(update={"id": f"c{n}", "target": f"anna number{n}"})
                  for n in range(count)]
        category = category.model_copy(update={"kind": Kind.CELEBRITY, "concepts": people})
        spec = policy.spec.model_copy(update={"categories": [category], "method": Method.from_json(method)})
        return [note for note in make_plan(policy.model_copy(update={"spec": spec}), manifest(768)).notes
                if note.startswith("people: ")]

    assert told(MANY_PEOPLE) and f"{MANY_PEOPLE} are erased" in told(MANY_PEOPLE)[0]
    assert not told(MANY_PEOPLE - 1) and not told(MANY_PEOPLE, name="neurons")


def test_a_plan_for_what_is_critical_says_where_nobody_searches_for_words():
    def told(severity, **method):
        policy = factories.policy()
        [category] = policy.spec.categories
        category = category.model_copy(update={"severity": severity})
        spec = policy.spec.model_copy(update={"categories": [category], "method": Method.from_json(method)})
        return [note for note in make_plan(policy.model_copy(update={"spec": spec}), manifest(768)).notes
                if note.startswith("critical: ")]

    assert len(told(Severity.CRITICAL)) == 1 and "harden: {}" in told(Severity.CRITICAL)[0]
    assert not told(Severity.HIGH) and not told(Severity.CRITICAL, name="uce")
    assert not told(Severity.CRITICAL, harden={}) and not told(Severity.CRITICAL, guard={})


def test_uce_as_published_edits_bare_names_by_sums_of_what_is_named():
    made = make_plan(of_method("uce", preset="paper", preserve={"concepts": ["a cat"]}), manifest(768))
    assert made.templates == ["{}"] and made.refine.ridge == 0.1 and made.refine_names is None
    kept = made.preserve
    assert (kept.prior, kept.scale, kept.concept_scale, kept.relative) == ("none", 0, 1, None)
    assert not kept.namesake_scale and kept.concepts == ["a cat"]
    assert make_plan(of_method("uce"), manifest(768)).templates != ["{}"]
    assert make_plan(of_method("mace", preset="paper"), manifest(768)).templates != ["{}"]


@pytest.mark.parametrize(("kind", "concepts", "fuse", "refine"), [
    (Kind.CELEBRITY, 1, 0.8, 8e-5), (Kind.CELEBRITY, 10, 8.0, 8e-4), (Kind.CELEBRITY, 100, 20.0, 2e-3),
    (Kind.CELEBRITY, 500, 20.0, 2e-3), (Kind.STYLE, 100, 8.0, 8e-4), (Kind.OBJECT, 1, 0.0, 0.0),
    (Kind.EXPLICIT, 4, 0.0, 0.0),
])
def test_the_published_weight_stands_inside_the_scale_and_the_refinement_squares_it(kind, concepts, fuse, refine):
    preset = paper(kind, concepts)
    assert preset.concept_scale == pytest.approx(fuse, rel=1e-12)
    assert preset.refine_concept_scale == pytest.approx(refine, rel=1e-12)
    assert preset.refine_scale == pytest.approx(preset.scale**2, rel=1e-12)
    assert (preset.prior_size == 617_000) is (preset.prior == "general")


def test_between_published_counts_the_weight_grows_steadily():
    weights = [domain_weight(Kind.CELEBRITY, n) for n in (1, 3, 10, 31, 100)]
    assert weights == sorted(weights) and 8e3 < weights[1] < 8e4 < weights[3] < 2e5


def test_the_preset_named_for_the_paper_holds_on_every_model():
    kind = factories.policy().spec.categories[0].kind
    made, other = (make_plan(with_block({"preset": "paper"}), manifest(width)) for width in (256, 768))
    assert made.refine == other.refine == paper(kind, 1).refine and made.preserve == other.preserve
    assert made.targets[0].lora == other.targets[0].lora == PAPER_LORAS[kind]
    assert made.preserve.relative is None and made.refine_tokens is None


def test_a_scale_that_the_policy_gives_counts_in_both_stages_plainly():
    block = {"preset": "paper", "preserve": {"scale": 3, "conceptScale": 2}}
    plain = make_plan(with_block(block), manifest(768)).preserve
    assert (plain.scale, plain.refine_scale, plain.prior_size) == (3, None, None)
    assert (plain.concept_scale, plain.refine_concept_scale) == (2, None)
    block = {"preserve": {"scale": 3, "refineScale": 0.5, "priorSize": 100}}
    apart = make_plan(with_block(block), manifest(768)).preserve
    assert (apart.scale, apart.refine_scale, apart.prior_size) == (3, 0.5, 100)


def test_a_scale_of_sums_without_a_preset_takes_the_rest_from_the_paper_and_says_so():
    made = make_plan(with_block({"preserve": {"scale": 0.2}}), manifest(768))
    kind = factories.policy().spec.categories[0].kind
    assert made.preserve.relative is None and made.preserve.scale == 0.2
    assert made.refine == paper(kind, 1).refine and any(note.startswith("preset: paper") for note in made.notes)


def test_plans_say_nothing_of_choices_that_are_as_before_there_was_one():
    lora = make_plan(factories.policy(), manifest(256)).to_json()["targets"][0]["lora"]
    assert "endOfText" not in lora and "captions" not in lora
    block = {"lora": {"endOfText": False, "captions": "picture", "stop": 0}}
    told = make_plan(with_block(block), manifest(768)).targets[0].lora
    assert told.end_of_text is None and told.captions is None and told.stop is None
