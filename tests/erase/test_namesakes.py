"""Who shares names with the banned: from the ban alone, never banned, in no order."""

from __future__ import annotations

import torch

from mace_gov.documents.plan import PreserveSettings
from mace_gov.documents.policy import Kind
from mace_gov.erase import preserve as preserve_module
from mace_gov.erase.namesakes import OTHERS, namesakes
from mace_gov.erase.preserve import (
    evenly,
    harm,
    held_out_captions,
    held_out_moment,
    other_captions,
    preserve_term,
    split,
    weighted_captions,
)

PEOPLE = [f"{first} {last}" for first in ("anna", "maria", "ida") for last in ("lund", "berg", "dahl")]


def test_names_are_joined_anew_and_none_is_banned():
    found = namesakes(["anna lund", "maria berg", "Ida May Dahl"])
    assert set(found) <= {"anna berg", "anna Dahl", "maria lund", "maria Dahl", "Ida May lund", "Ida May berg"}
    assert len(found) == len(set(found)) >= 3
    assert namesakes(["anna lund", "anna berg", "maria lund", "Maria Berg"]) == []


def test_one_person_or_one_word_has_none():
    assert namesakes([]) == namesakes(["anna lund"]) == namesakes(["madonna", "prince"]) == []
    assert namesakes(["anna lund", "prince"]) == []


def test_order_does_not_matter_and_each_borrows_from_several():
    many = [f"first{n} last{n}" for n in range(40)]
    assert namesakes(many) == namesakes(many[::-1])
    assert len(namesakes(many)) == OTHERS * len(many)
    assert namesakes(PEOPLE) == []  # every combination is banned


def test_only_characters_have_namesakes_and_the_scale_multiplies_them(plan_for, reader):
    plan = plan_for(preserve=PreserveSettings(prior="none", scale=0.0, concepts=[], concept_scale=0.0))
    people = [t.model_copy(update={"kind": Kind.CELEBRITY, "target": name}) for t, name in zip(
        plan.targets, ("dog bird", "ship cat", "frog horse"), strict=False)]

    def term(targets, scale):
        kept = plan.preserve.model_copy(update={"namesake_scale": scale})
        return preserve_term(reader, plan.model_copy(update={"targets": targets, "preserve": kept}))

    once, twice = term(people, 1.0), term(people, 2.0)
    assert once.trace() > 0
    assert torch.allclose(twice, 2 * once)
    things = [t.model_copy(update={"kind": Kind.OBJECT}) for t in people]
    assert term(things, 1.0).abs().max() == term(people, 0.0).abs().max() == 0


def test_an_edit_of_people_is_looked_at_by_namesakes_that_it_does_not_preserve(plan_for, reader):
    plan = plan_for(preserve=PreserveSettings(prior="general", scale=1.0, concepts=[], concept_scale=0.0))
    many = [f"first{n} last{n}" for n in range(24)]
    people = [plan.targets[0].model_copy(update={"id": name.replace(" ", "-"), "kind": Kind.CELEBRITY, "target": name})
              for name in many]
    plan = plan.model_copy(update={"targets": people})
    general, joined = held_out_captions(plan, reader.tokenizer)
    assert joined and all(any(name in caption for name in namesakes(many)) for caption in joined)
    preserved = plan.model_copy(update={"preserve": plan.preserve.model_copy(update={"namesake_scale": 0.5})})
    given = {each for _, captions in weighted_captions(preserved, reader.tokenizer) for each in split(captions)[0]}
    assert held_out_captions(preserved, reader.tokenizer) == [general, joined] and not given & {*general, *joined}
    alone = held_out_moment(reader, plan.model_copy(update={"targets": people[:8]}))
    assert held_out_captions(plan.model_copy(update={"targets": people[:8]}), reader.tokenizer) == [general]  # too few
    assert torch.allclose(held_out_moment(reader, plan).trace(), 2 * alone.trace())  # both count alike
    looked = evenly([general, joined], 4)
    assert len(looked) == 4 and looked[0] in general and looked[-1] in joined


def test_captions_are_taken_evenly_and_what_one_part_lacks_another_gives():
    many, few = [f"many {n}" for n in range(31)], [f"few {n}" for n in range(3)]
    taken = evenly([many, few], 16)
    assert len(taken) == len(set(taken)) == 16 and taken[-3:] == few
    assert taken[0] == many[0] and int(taken[12].split()[1]) >= 20  # spread to its end
    assert evenly([many], 16) == [f"many {n * 31 // 16}" for n in range(16)]
    assert evenly([], 16) == [] and evenly([few, []], 16) == few and len(evenly([many, many], 200)) == 62


def test_a_synonym_that_is_banned_is_no_namesake(plan_for, reader):
    plan = plan_for(preserve=PreserveSettings(prior="general", scale=1.0, concepts=[], concept_scale=0.0))
    people = [plan.targets[0].model_copy(update={"id": name[:4], "kind": Kind.CELEBRITY, "target": name})
              for name in ("anna lund", "maria berg")]
    named = [people[0].model_copy(update={"other_names": ["Anna  Berg"]}), people[1]]

    def joined(targets):
        return [each for part in other_captions(plan.model_copy(update={"targets": targets}), reader.tokenizer)[1:]
                for each in part]

    assert any("anna berg" in caption for caption in joined(people))
    assert joined(named) and not any("anna berg" in caption for caption in joined(named))


def test_where_there_is_nothing_to_look_at_nothing_is_harmed(plan_for, reader, monkeypatch):
    plan = plan_for(preserve=PreserveSettings(prior="general", scale=1.0, concepts=[], concept_scale=0.0))
    monkeypatch.setattr(preserve_module, "prior_captions", lambda _plan, _tokenizer: ["a caption of one's own"])
    moment = held_out_moment(reader, plan)
    assert moment.shape == (reader.width, reader.width) and harm(moment, torch.zeros_like(moment)) == 0
    assert evenly(held_out_captions(plan, reader.tokenizer), 4) == []
