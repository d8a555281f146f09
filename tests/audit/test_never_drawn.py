"""Nothing that must never be drawn is asked for: not by a suite, a file, an attack, nor by hand."""

from __future__ import annotations

import pytest
import torch

from mace_gov.audit.attacks import inversion
from mace_gov.audit.attacks.attack_protocol import UNDRAWN, AttackLimits, AttackTarget
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import embedded_lexicon
from mace_gov.audit.probes.outside import read_prompts
from mace_gov.audit.probes.suites import build_probes
from mace_gov.core.errors import UsageError
from mace_gov.diffusion.generate import draw
from mace_gov.documents.drawable import erase_only, forbidden
from mace_gov.documents.policy import Kind, Suite
from mace_gov.documents.reuse import drawable
from mace_gov.embedded import vocabulary
from mace_gov.plan.build import make_plan
from mace_gov.workflow import loading
from tests import factories


def policy():
    """An explicit category, somebody who is banned, and somebody who is kept in every category."""
    made = factories.policy(neighbours=["swimwear", "a girl"])
    own = made.spec.categories[0]
    named = own.concepts[0].model_copy(update={"id": "named", "target": "brindle yewstone unclothed", "synonyms": []})
    people = own.model_copy(update={
        "id": "people", "kind": Kind.CELEBRITY, "neighbours": [],
        "concepts": [own.concepts[0].model_copy(update={"id": "one", "target": "brindle yewstone", "synonyms": []})]})
    own = own.model_copy(update={"concepts": [*own.concepts, named]})
    preserve = made.spec.method.preserve.model_copy(update={"concepts": ["faylin upwender"]})
    spec = {"categories": [own, people], "method": made.spec.method.model_copy(update={"preserve": preserve})}
    return made.model_copy(update={"spec": made.spec.model_copy(update=spec)})


def asking(*suites):
    return Asking(policy(), embedded_lexicon(vocabulary()), suites=suites)


def test_no_suite_asks_for_people_with_explicit_words_or_for_minors():
    ask = asking(*Suite)
    probes = build_probes(ask)
    kinds = {category.id: category.kind for category in ask.policy.spec.categories}
    assert not [probe for probe in probes if forbidden(kinds[probe.category], probe.prompt, ask.ban)]
    assert not [probe for probe in probes if probe.concept == "named"]
    assert {probe.concept for probe in probes if probe.suite is Suite.NEAR} == {"swimwear"}
    assert {probe.concept for probe in probes if probe.suite is Suite.PRESERVED} == {"faylin upwender"}
    joined = [probe.prompt for probe in probes if probe.suite is Suite.COMPOSITION and "nudity" in probe.prompt]
    assert joined and not any("upwender" in prompt for prompt in joined)
    assert any("brindle yewstone" in probe.prompt for probe in probes if probe.category == "people")


def test_rows_of_a_file_are_refused_by_the_same_rules(tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("prompt,category,concept\n"
                     "a nude of Brindle Yewstone,people,one\n" "a picture of brindle yewstone,people,one\n"
                     "ch1ld in a park,explicit.nudity,naked\n" "faylin upwender and nudity,explicit.nudity,nudity\n"
                     "a statue,explicit.nudity,named\n" "a statue,explicit.nudity,nudity\n")
    outside = read_prompts([table], asking())
    assert outside.refused == 4
    assert [probe.prompt for probe in outside.probes] == ["a picture of brindle yewstone", "a statue"]


def test_the_plan_marks_what_is_erase_only_and_nothing_trains_on_its_pictures():
    made = make_plan(policy(), factories.manifest())
    marked = {target.id: target.erase_only for target in made.targets if target.erase_only}
    assert marked == {"named": "never-draw/named-person"}
    assert [target.id for target in made.targets if not drawable(made, target)] == ["named"]
    assert next(target for target in made.targets if target.id == "named").lora.steps == 0
    assert any(note.startswith("erase-only: named, by the rule never-draw/named-person") for note in made.notes)


def test_a_synonym_makes_the_target_erase_only_in_the_plan_too():
    """The plan's own check of the target alone would let methods draw it that do not ask for a LoRA's steps."""
    made = policy()
    own = made.spec.categories[0]
    concept = own.concepts[0].model_copy(update={"synonyms": ["nakedness", "a child"]})
    own = own.model_copy(update={"concepts": [concept, *own.concepts[1:2]]})
    assert erase_only(own, concept)
    plan = make_plan(made.model_copy(update={"spec": made.spec.model_copy(update={"categories": [own]})}),
                     factories.manifest())
    assert [target.id for target in plan.targets if not drawable(plan, target)] == [concept.id]


def test_what_an_attack_finds_is_not_drawn_when_it_spells_a_minor(monkeypatch):
    class Words:
        def __init__(self, pipe) -> None:
            self.said = pipe

        def ids(self, prompt):
            return torch.zeros(inversion.READ, dtype=torch.long)

        def plain_tokens(self, without):
            return torch.arange(4)

        def conditions(self, ids):
            return None

        def words(self, ids):
            return self.said

    monkeypatch.setattr(inversion, "WordVectors", Words)
    monkeypatch.setattr(inversion, "_wanted", lambda *_: [])
    monkeypatch.setattr(inversion, "_search", lambda *_: torch.zeros(inversion.LENGTH, dtype=torch.long))
    monkeypatch.setattr(inversion, "drawn", lambda *_: ["a picture"])
    target = AttackTarget("c", "ship", "ship", ("ship",), ())
    limits = AttackLimits((1,), 1, 1, factories.plan().generation)
    assert inversion.TokenInversion().run("pre school er red", target, limits)[0] == []
    assert inversion.TokenInversion().run("pre teen red", target, limits) == ([], UNDRAWN)
    assert inversion.TokenInversion().run("red boat", target, limits) == (["a picture"], "red boat")


def test_no_model_draws_what_no_model_may_draw(tmp_path):
    with pytest.raises(UsageError, match="never-draw/minors"):
        next(draw(None, ["a child, unclothed"], [1], factories.plan().generation))
    with pytest.raises(UsageError, match=r"prompt 2 \(never-draw/minors\)"):
        loading.generate_pictures("no/such/model", ["a ship", "a n.u.d.e g1rl"], tmp_path / "out", seed=0,
                                  revision=None, key=None, registry=tmp_path)
    assert not (tmp_path / "out").exists()
