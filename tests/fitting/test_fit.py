"""The verb on the tiny model: what it asks, what it moves and what it leaves alone, and that it is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.core.errors import DetectorError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.audit import DetectorCard
from mace_gov.documents.method import Method
from mace_gov.documents.terms import Kind
from mace_gov.erase.preserve import prior_captions, split
from mace_gov.fitting import drawing_workers, looks
from mace_gov.fitting import fit as module
from mace_gov.fitting.fit import fit
from mace_gov.plan.build import make_plan
from mace_gov.plan.fitting import kept_fit, names, pictures, searched, shares
from tests import factories
from tests.execute.inside import crew


class Sees:
    """A detector that finds what is banned in the pictures of its first ``count`` batches, and in none after them."""

    name, threshold = "sees", 0.5

    def __init__(self, count: int) -> None:
        self.count, self.asked = count, 0

    def looks_for(self, query) -> bool:
        return True

    def score(self, images, queries) -> list[float]:
        self.asked += 1
        return [float(self.asked <= self.count)] * len(images)

    def card(self) -> DetectorCard:
        return DetectorCard(name=self.name, version="1", threshold=self.threshold)


def asked_of(tiny_model, **method):
    """A policy for the tiny model and its plan."""
    policy = factories.policy()
    block = Method.model_validate({"refine": {"templates": ["a photo of {}", "{} here"]},
                                   "preserve": {"prior": "general"}, **method})
    policy = policy.model_copy(update={"spec": policy.spec.model_copy(update={"method": block})})
    plan = make_plan(policy, read_manifest(str(tiny_model)))
    steps = plan.generation.model_copy(update={"steps": 2})
    return policy, plan.model_copy(update={"generation": steps})


def test_the_mildest_setting_that_erases_is_in_the_plan_and_how_it_was_found(tiny_model, tmp_path):
    policy, plan = asked_of(tiny_model)
    sees = Sees(1)  # the base alone
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: sees)
    assert made.fit.by == "pictures" and made.fit.detectors == ["sees"]
    point = made.fit.line[made.fit.chosen]
    assert made.preserve.scale == point.weight and made.refine.relative_ridge == point.relative_ridge
    assert all(trial.drawn == 0 for trial in made.fit.trials) and made.fit.base_drawn == made.fit.base_asked > 0
    assert made.fit.loras == [] and {target.lora.steps for target in made.targets} == {0}
    assert sees.asked == 1 + len(made.fit.trials)
    assert made.content_digest() != plan.content_digest()


@pytest.mark.parametrize(("names", "asked"), [("all", {"direct", "synonym"}), ("target", {"direct"})])
def test_synonyms_are_asked_where_the_erasure_is_given_them(tiny_model, names, asked):
    policy, plan = asked_of(tiny_model, refine={"names": names, "templates": ["a photo of {}"]})
    asked_for = module._asked(policy, plan, None)
    probes = asked_for.probes
    assert asked_for.why is None and {probe.suite for probe in probes} == asked
    listed = {word for _, concept in policy.concepts() for word in (concept.target, *concept.synonyms)}
    words = {concept.target for _, concept in policy.concepts()} if names == "target" else listed
    # each name stands in the first round of prompts already
    assert {w for w in listed if any(w in probe.prompt for probe in probes[:len(listed)])} == words
    audit = {probe.prompt for probe in build_probes(Asking(policy, lexicon_for(plan.base), plan.templates))}
    assert not audit & {probe.prompt for probe in probes}


def test_concepts_that_the_closed_form_does_not_erase_keep_their_loras(tiny_model, tmp_path):
    policy, plan = asked_of(tiny_model)
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: Sees(99))
    assert made.fit.loras is None and all(target.lora.steps for target in made.targets)
    assert all(trial.drawn for trial in made.fit.trials)


def test_a_second_run_draws_nothing_and_gives_the_same(tiny_model, tmp_path, monkeypatch):
    policy, plan = asked_of(tiny_model)
    first = fit(policy, plan, cache=tmp_path, detector=lambda _spec: Sees(1))
    monkeypatch.setattr(module, "load_pipeline", lambda *_args, **_kwargs: pytest.fail("it was known"))
    assert fit(policy, plan, cache=tmp_path, detector=lambda _spec: Sees(99)) == first
    assert kept_fit(plan, tmp_path) == first.fit
    other = plan.model_copy(update={"seed": plan.seed + 1})
    assert kept_fit(other, tmp_path) is None


def test_workers_draw_what_this_process_would(tiny_model, tmp_path, monkeypatch):
    policy, plan = asked_of(tiny_model, fit={"pictures": 20})
    seen: list[bytes] = []

    class Keeps(Sees):
        def score(self, images, queries) -> list[float]:
            seen.extend(image.tobytes() for image in images)
            return super().score(images, queries)

    here = fit(policy, plan, cache=tmp_path / "here", detector=lambda _spec: Keeps(1))
    alone = seen.copy()
    seen.clear()
    with crew() as pool:
        there = fit(policy, plan, cache=tmp_path / "there", detector=lambda _spec: Keeps(1))
    assert there == here and seen == alone and len(set(seen)) == len(seen) > 2
    assert pool._slots[0].done >= 3  # the base, a trial, what stays


def test_numbers_that_the_policy_gives_are_not_moved(tiny_model, tmp_path):
    policy, plan = asked_of(tiny_model, preserve={"prior": "general", "weight": 0.25}, lora={"steps": 3})
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: Sees(1))
    assert {point.weight for point in made.fit.line} == {0.25} and made.preserve.scale == 0.25
    assert {target.lora.steps for target in made.targets} == {3}
    policy, plan = asked_of(tiny_model, refine={"relativeRidge": 0.02, "templates": ["a photo of {}"]})
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: Sees(1))
    assert made.refine.relative_ridge == 0.02 and {point.relative_ridge for point in made.fit.line} == {None}


@pytest.mark.parametrize("method", [
    {"preset": "paper"}, {"name": "uce"}, {"name": "esd"}, {"preserve": {"scale": 0.1}},
    {"preserve": {"prior": "none"}}, {"preserve": {"weight": 1}, "refine": {"ridge": 1}},
])
def test_where_nothing_is_left_open_nothing_is_searched(tiny_model, tmp_path, method):
    policy, plan = asked_of(tiny_model, **method)
    assert searched(policy, plan) == []
    assert fit(policy, plan, cache=tmp_path, detector=lambda _spec: pytest.fail("asked")) == plan


def test_without_anybody_who_can_look_the_closed_form_decides_and_says_why(tiny_model, tmp_path):
    policy, plan = asked_of(tiny_model)

    def broken(_spec):
        raise DetectorError("no weights here")

    made = fit(policy, plan, cache=tmp_path / "a", detector=broken)
    assert made.fit.by == "closed form" and "no weights here" in made.fit.why and made.fit.loras is None
    blind = fit(policy, plan, cache=tmp_path / "b", detector=lambda _spec: Sees(0))
    assert blind.fit.by == "closed form" and "base's pictures" in blind.fit.why
    none, plan = asked_of(tiny_model, fit={"pictures": 0})
    assert fit(none, plan, cache=tmp_path / "c", progress=Silent()).fit.why == "method.fit.pictures is 0"
    both, plan = asked_of(tiny_model)
    style = both.spec.categories[0].model_copy(update={"id": "styles", "kind": Kind.STYLE})
    both = both.model_copy(update={"spec": both.spec.model_copy(update={
        "categories": [*both.spec.categories, style]})})
    assert "other kinds are not" in fit(both, plan, cache=tmp_path / "d", progress=Silent()).fit.why


def test_the_budget_bounds_what_is_drawn(tiny_model, tmp_path, monkeypatch):
    policy, plan = asked_of(tiny_model, fit={"pictures": 20})
    assert pictures(policy, plan) == 20 and shares(policy, plan) == (2, 2)
    drawn: list[str] = []
    real = drawing_workers.draw
    monkeypatch.setattr(
        drawing_workers, "draw", lambda pipe, prompts, *a: drawn.extend(prompts) or real(pipe, prompts, *a))
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: Sees(1))
    assert made.fit.base_asked == 2 and all(trial.asked == 2 for trial in made.fit.trials)
    assert made.fit.shifts and all(shift.asked == 2 for shift in made.fit.shifts)
    assert len(drawn) == 2 * (2 + len(made.fit.trials) + len(made.fit.shifts)) <= 20


class SeesOne(Sees):
    """Finds all in the base's pictures, nothing in its trials, and one concept in the first ``rounds`` after them."""

    def __init__(self, concept: str, trials: int, rounds: int) -> None:
        super().__init__(1)
        self.concept, self.begins, self.ends = concept, 1 + trials, 1 + trials + rounds

    def score(self, images, queries) -> list[float]:
        self.asked += 1
        stubborn = self.begins < self.asked <= self.ends
        return [float(self.asked == 1 or (stubborn and query.phrases[0] == self.concept)) for query in queries]


def test_a_concept_that_is_still_drawn_comes_to_count_more_than_the_others(tiny_model, tmp_path, monkeypatch):
    policy, plan = asked_of(tiny_model)
    alone = fit(policy, plan, cache=tmp_path / "alone", detector=lambda _spec: Sees(1))
    assert alone.fit.weighing is None and {target.weight for target in alone.targets} == {None}
    monkeypatch.setattr(module, "FREE_HARM", -1.0)  # nothing harms the tiny model
    monkeypatch.setattr(looks, "RESERVES", (1.0,))  # the tiny model has no room for any
    seen = SeesOne("naked", len(alone.fit.trials), 2)
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: seen)
    weighing = made.fit.weighing
    assert [each.concepts for each in weighing.rounds] == [["naked"], ["naked"], [], []]
    assert weighing.weights == {"nudity": 1.0, "naked": 4.0} and made.fit.chosen == alone.fit.chosen
    assert weighing.rounds[2].left < weighing.rounds[0].left  # what it asks for is in the edit that draws
    assert weighing.taken and {target.id: target.weight for target in made.targets} == weighing.weights
    assert made.preserve.scale == made.fit.line[weighing.point].weight and made.fit.loras == []
    assert kept_fit(plan, tmp_path) == made.fit


def test_a_round_asks_by_each_name_and_as_often_as_the_base_shows_something(tiny_model, tmp_path, monkeypatch):
    class SeesHalf(SeesOne):
        def score(self, images, queries) -> list[float]:
            found = super().score(images, queries)
            return [score * (n % 2) for n, score in enumerate(found)] if self.asked == 1 else found

    monkeypatch.setattr(module, "FREE_HARM", -1.0)
    policy, plan = asked_of(tiny_model)
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: SeesHalf("naked", 4, 1)).fit
    assert made.base_drawn == made.base_asked // 2
    assert {each.asked for each in made.weighing.rounds} == {max(made.base_drawn, names(plan))}


@pytest.mark.parametrize("gentle", [True, False])
def test_what_others_do_is_looked_at_only_where_that_can_decide(tiny_model, tmp_path, monkeypatch, gentle):
    monkeypatch.setattr(module, "FREE_HARM", -1.0)
    monkeypatch.setattr(looks, "RESERVES", (1.0,))
    monkeypatch.setattr(looks, "GENTLER", 1e9 if gentle else -1.0)
    policy, plan = asked_of(tiny_model)
    looked = []
    real = looks.Looks._away
    monkeypatch.setattr(looks.Looks, "_away", lambda self, edit: looked.append(1) or real(self, edit))
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: SeesOne("naked", 4, 1)).fit
    assert made.weighing.rounds[-1].erases and (made.weighing.moved is None) == gentle
    assert len(looked) == len(made.shifts) + (not gentle) and (made.weighing.taken or not gentle)


def test_weighing_that_is_worth_no_more_is_told_and_not_taken(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FREE_HARM", -1.0)
    policy, plan = asked_of(tiny_model)
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: SeesOne("naked", 4, 99))
    assert made.fit.weighing.rounds[-1].drawn and not made.fit.weighing.taken
    assert made.fit.weighing.moved is None  # nothing that others did could make it worth more
    assert {target.weight for target in made.targets} == {None} and made.fit.loras == []


def test_what_nobody_drew_counts_as_much_as_what_counts_most(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FREE_HARM", -1.0)
    policy, plan = asked_of(tiny_model)
    real = module._asked
    monkeypatch.setattr(module, "_asked", lambda *a: of_concept(real(*a), "naked"))
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: SeesOne("naked", 4, 2))
    weights = made.fit.weighing.weights
    assert weights["nudity"] >= weights["naked"] >= 4.0


def of_concept(asked, concept: str):
    probes, more = ([p for p in each if p.concept == concept] for each in (asked.probes, asked.more))
    return replace(asked, probes=probes, more=more)


def test_what_stays_is_asked_in_captions_that_the_search_does_not_preserve(tiny_model, tmp_path, monkeypatch):
    policy, plan = asked_of(tiny_model)
    drawn: list[str] = []
    real = drawing_workers.draw
    monkeypatch.setattr(
        drawing_workers, "draw", lambda pipe, prompts, *a: drawn.extend(prompts) or real(pipe, prompts, *a))
    made = fit(policy, plan, cache=tmp_path, detector=lambda _spec: Sees(1))
    reader = TextReader.of(load_pipeline(tiny_model))
    given = split(prior_captions(plan, reader.tokenizer))[0]
    banned = {probe.prompt for probe in module._asked(policy, plan, None).probes}
    others = set(drawn) - banned
    assert made.fit.shifts and len(others) == made.fit.shifts[0].asked and not others & set(given)
    audit = {probe.prompt for probe in build_probes(Asking(policy, lexicon_for(plan.base), plan.templates))}
    assert not others & audit
