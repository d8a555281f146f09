from mace_gov.documents.policy import Kind
from mace_gov.plan.build import make_plan
from mace_gov.plan.other_methods import ESD_EMBEDDED, ESD_PAPER, NULLSPACE_LEAK, NULLSPACE_RIDGE, UCE_EMBEDDED_RIDGE
from mace_gov.plan.presets import EMBEDDED, PAPER
from mace_gov.plan.templates import templates_for
from tests import factories


def manifest(width: int):
    return factories.plan().base.model_copy(update={"text_width": width, "image_size": 512 if width == 768 else 64})


def test_paper_settings_fill_what_the_policy_leaves_out():
    policy = factories.policy()
    made = make_plan(policy, manifest(768))
    kind = policy.spec.categories[0].kind
    assert made.targets[0].lora == PAPER[kind].lora
    assert made.preserve.scale == PAPER[kind].scale
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
    assert made.targets[0].lora.learning_rate == PAPER[kind].lora.learning_rate
    assert made.preserve.prior == "none" and made.preserve.scale == 0
    assert made.fuse == PAPER[kind].fuse


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
