import pytest

from mace_gov.documents.policy import Kind
from mace_gov.plan.build import make_plan
from mace_gov.plan.other_methods import ESD_EMBEDDED, ESD_PAPER, NULLSPACE_LEAK, NULLSPACE_RIDGE, UCE_EMBEDDED_RIDGE
from mace_gov.plan.presets import EMBEDDED, PAPER_LORAS, domain_weight, paper
from mace_gov.plan.templates import templates_for
from tests import factories


def manifest(width: int):
    return factories.plan().base.model_copy(update={"text_width": width, "image_size": 512 if width == 768 else 64})


def test_paper_settings_fill_what_the_policy_leaves_out():
    policy = factories.policy()
    made = make_plan(policy, manifest(768))
    kind = policy.spec.categories[0].kind
    published = paper(kind, len(policy.concepts()))
    assert made.targets[0].lora == PAPER_LORAS[kind]
    assert made.preserve.scale == published.scale and made.preserve.refine_scale == published.refine_scale
    assert made.generation.size == 512 and made.generation.steps == 50
    assert len(made.templates) == 30


def test_what_the_policy_says_wins_field_by_field():
    policy = factories.policy()
    method = type(policy.spec.method).model_validate(
        {
            "refine": {"ridge": 7, "templates": ["one {}"]},
            "lora": {"steps": 3},
            "preserve": {"prior": "none", "scale": 0},
        }
    )
    changed = policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})
    made = make_plan(changed, manifest(768))
    kind = policy.spec.categories[0].kind
    assert made.refine.ridge == 7 and made.refine.relative_ridge is None
    assert made.templates == ["one {}"] and made.targets[0].lora.steps == 3
    assert made.targets[0].lora.learning_rate == PAPER_LORAS[kind].learning_rate
    assert made.preserve.prior == "none" and made.preserve.scale == 0
    assert made.fuse == paper(kind, 1).fuse


def test_small_models_get_their_own_presets_and_the_plan_says_so():
    made = make_plan(factories.policy(), manifest(256))
    assert made.refine == EMBEDDED[made.targets[0].kind].refine
    assert any("embedded" in note for note in made.notes)


def test_templates_are_thirty_and_distinct_for_every_kind():
    for kind in Kind:
        assert len(set(templates_for(kind))) == len(templates_for(kind)) == 30


def of_method(name: str, **block):
    policy = factories.policy()
    method = type(policy.spec.method).model_validate({"name": name, **block})
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})


def test_each_method_brings_its_own_settings_and_no_other_plan_changes():
    assert make_plan(of_method("esd"), manifest(768)).esd == ESD_PAPER
    asked = make_plan(of_method("esd", esd={"steps": 7}), manifest(256)).esd
    assert asked.steps == 7 and asked.learning_rate == ESD_EMBEDDED.learning_rate
    null = make_plan(of_method("nullspace"), manifest(768))
    assert null.refine == NULLSPACE_RIDGE and null.preserve.leak == NULLSPACE_LEAK
    null = make_plan(of_method("nullspace", refine={"ridge": 2}, preserve={"leak": 0.5}), manifest(768))
    assert null.refine.ridge == 2 and null.preserve.leak == 0.5
    assert make_plan(of_method("uce"), manifest(256)).refine == UCE_EMBEDDED_RIDGE
    assert make_plan(of_method("uce"), manifest(768)).refine == make_plan(of_method("mace"), manifest(768)).refine
    plain = make_plan(factories.policy(), manifest(768)).to_json()
    assert "esd" not in plain and "leak" not in plain["preserve"]  # plans signed before these existed keep their digest


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


def with_block(block):
    policy = factories.policy()
    method = type(policy.spec.method).model_validate(block)
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": method})})


def test_the_preset_named_for_the_paper_holds_on_every_model():
    made = make_plan(with_block({"preset": "paper"}), manifest(256))
    published = make_plan(factories.policy(), manifest(768))
    assert made.refine == published.refine and made.preserve == published.preserve
    assert [target.lora for target in made.targets] == [target.lora for target in published.targets]


def test_a_scale_that_the_policy_gives_counts_in_both_stages_plainly():
    block = {"preset": "paper", "preserve": {"scale": 3, "conceptScale": 2}}
    plain = make_plan(with_block(block), manifest(768)).preserve
    assert (plain.scale, plain.refine_scale, plain.prior_size) == (3, None, None)
    assert (plain.concept_scale, plain.refine_concept_scale) == (2, None)
    block = {"preserve": {"scale": 3, "refineScale": 0.5, "priorSize": 100}}
    apart = make_plan(with_block(block), manifest(768)).preserve
    assert (apart.scale, apart.refine_scale, apart.prior_size) == (3, 0.5, 100)


def test_plans_of_the_small_preset_say_nothing_of_the_published_choices():
    lora = make_plan(factories.policy(), manifest(256)).to_json()["targets"][0]["lora"]
    assert "endOfText" not in lora and "captions" not in lora
    told = make_plan(with_block({"lora": {"endOfText": False, "captions": "picture"}}), manifest(768)).targets[0].lora
    assert told.end_of_text is None and told.captions is None
