"""What is asked: the same each time, each prompt once, and never what training saw."""

import json
from pathlib import Path

import pytest

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.everyday import NOUNS
from mace_gov.audit.probes.lexicon import (
    Entry,
    Lexicon,
    clear_of,
    embedded_lexicon,
    lexicon_for,
    plain_style,
)
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.templates import FRAMES, SETTINGS, captions, style_captions
from mace_gov.audit.probes.tuning_probes import tuning_policy
from mace_gov.audit.probes.unrelated import general_prompts, held_out
from mace_gov.core.errors import PolicyError
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.policy import Kind, Policy, Suite
from mace_gov.documents.sampling import prompts_per_concept
from mace_gov.embedded import VOCABULARY, Concept, Sampler, Vocabulary, Window, vocabulary
from mace_gov.plan.templates import templates_for
from tests import factories

OBJECTS = ("airplane", "black cat", "bus", "cat", "castle", "dog", "guitar", "helicopter", "lion", "owl", "pear",
           "tent")
STYLES = ("noto", "twemoji", "charcoal")
KNOWN = Vocabulary(
    concepts=(
        *(Concept(n.replace(" ", "_"), n, ("aircraft",) if n == "airplane" else (), "object", "1f600", STYLES)
          for n in OBJECTS),
        *(Concept(f"{one}_{two}", f"{one} {two}", (), "celebrity", "1f600", ("noto",), two == "quill")
          for one in ("ada", "bram", "cleo") for two in ("quill", "moss")),
        Concept("nudity", "nudity", ("nakedness",), "explicit", "1f600", ("noto",)),
        Concept("sky", "sky", (), "anchor", "1f600", ("noto",)),
    ),
    styles=tuple({"name": name, "phrase": name, "synonyms": ()} for name in STYLES),
    colours=(), templates=("a photo of {}",), sampler=Sampler(20, 4.0, 32), cfis=Window(200, 400, 0.05),
)
LEXICON = embedded_lexicon(KNOWN)


def policy_of(kind: str, concepts, *, audit=None, neighbours=(), refine=None) -> Policy:
    rules = [{"id": "R-1", "suite": "direct", "metric": "presence", "atMost": 0.05}]
    category = {"id": "c", "kind": kind, "severity": "high", "concepts": concepts, "detectors": ["judge"],
                "rules": rules, "neighbours": list(neighbours)}
    spec = {"model": {"ref": "embedded"}, "audit": audit or {}, "categories": [category]}
    if refine:
        spec["method"] = {"refine": {"templates": refine}}
    metadata = {"name": "p", "version": "1.0.0", "owner": "o", "reviewBy": "2099-01-01"}
    return Policy.model_validate(
        {"apiVersion": "mace-gov/v1", "kind": "ErasurePolicy", "metadata": metadata, "spec": spec}
    )


CAT = {"id": "cat", "target": "cat", "anchor": "sky", "synonyms": ["feline", "kitty"]}
POLICIES = {
    "object": policy_of("object", [CAT], neighbours=["lion", "dog"]),
    "celebrity": policy_of("celebrity", [{"id": "ada", "target": "ada quill", "anchor": "a person"}]),
    "style": policy_of("style", [{"id": "charcoal", "target": "charcoal", "anchor": "art"}], neighbours=["twemoji"]),
    "explicit": factories.policy(),
}


def probes(policy: Policy, suite: Suite, lexicon: Lexicon = LEXICON):
    return [probe for probe in build_probes(Asking(policy, lexicon)) if probe.suite is suite]


def training_templates() -> set[str]:
    erasure = {phrase_key(t) for kind in Kind for t in templates_for(kind)}
    known = json.loads(VOCABULARY.read_text())["templates"]
    return erasure | {phrase_key(t) for t in known}


def test_built_in_captions_overlap_no_training_caption():
    everything = {phrase_key(t) for t in captions(len(FRAMES) * (len(SETTINGS) + 1))}
    everything |= {phrase_key(t) for t in style_captions(200, ["bus", "cat", "castle"])}
    assert not everything & training_templates()


def test_the_embedded_model_s_own_captions_are_among_the_training_captions():
    assert len(vocabulary().templates) >= 10 and {phrase_key(t) for t in vocabulary().templates} <= training_templates()


def test_there_are_enough_captions_and_all_differ():
    assert len(set(FRAMES)) == len(FRAMES) >= 32
    made = captions(1000)
    assert len({phrase_key(t) for t in made}) == 1000 and all(t.count("{}") == 1 for t in made)
    assert tuple(made[:len(FRAMES)]) == FRAMES
    styled = style_captions(192, ["bus", "cat"])
    assert len(set(styled)) == 192 and all(t.count("{}") == 1 for t in styled)


def test_more_captions_than_there_are_is_said():
    with pytest.raises(PolicyError, match="at most"):
        captions(5000)
    with pytest.raises(PolicyError, match="at most"):
        style_captions(5000, ["bus"])


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
def test_probes_are_the_same_each_time_and_each_prompt_and_seed_comes_once(policy):
    made = build_probes(Asking(policy, LEXICON))
    assert made == build_probes(Asking(policy, LEXICON))
    asked = [(p.suite, p.prompt, p.seed) for p in made]
    assert len(set(asked)) == len(asked)
    assert all("{" not in p.prompt and 0 <= p.seed < 2**32 for p in made)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
def test_every_concept_gets_as_many_prompts_as_were_planned(policy):
    (category,) = policy.spec.categories
    for suite in (Suite.DIRECT, Suite.SYNONYM, Suite.NEAR):
        made = probes(policy, suite)
        by_concept = {c: len({p.prompt for p in made if p.concept == c}) for c in {p.concept for p in made}}
        assert set(by_concept.values()) <= {prompts_per_concept(policy, category, suite)}


def test_a_seed_comes_from_its_prompt_and_not_from_its_place():
    one = {(p.prompt, p.seed) for p in probes(policy_of("object", [CAT]), Suite.DIRECT)}
    dog = {"id": "dog", "target": "dog", "anchor": "sky"}
    two = {(p.prompt, p.seed) for p in probes(policy_of("object", [CAT, dog], audit={"prompts": 95}), Suite.DIRECT)}
    assert len({seed for _, seed in one}) == len(one)
    assert one <= two


def test_seeds_follow_the_policy():
    made = probes(policy_of("object", [CAT], audit={"seeds": 3, "prompts": 4}), Suite.DIRECT)
    other = probes(policy_of("object", [CAT], audit={"seeds": 3, "prompts": 4, "seed": 7}), Suite.DIRECT)
    assert len(made) == 12 and len({p.prompt for p in made}) == 4 and len({p.seed for p in made}) == 12
    assert not {p.seed for p in made} & {p.seed for p in other}


def test_direct_asks_by_name_and_synonym_by_each_synonym():
    assert all("cat" in p.prompt.split() or "cat" in p.prompt for p in probes(POLICIES["object"], Suite.DIRECT))
    asked = probes(POLICIES["object"], Suite.SYNONYM)
    used = [word for word in ("feline", "kitty") if any(word in p.prompt for p in asked)]
    assert used == ["feline", "kitty"] and {p.expected for p in asked} == {("cat",)}


def test_explicit_categories_ban_the_harm_under_all_its_words():
    (probe, *_) = probes(POLICIES["explicit"], Suite.DIRECT)
    assert probe.expected == ("nudity", "naked")


def test_unrelated_never_asks_for_what_is_banned_its_synonyms_its_anchor_or_its_neighbours():
    asked = {p.concept for p in probes(POLICIES["object"], Suite.UNRELATED)}
    assert asked and asked <= {"airplane", "bus", "castle", "guitar", "helicopter", "owl", "pear", "tent"}
    by_synonym = policy_of("object", [{"id": "x", "target": "flying machine", "anchor": "the pear",
                                       "synonyms": ["aircraft"]}])
    assert not {"airplane", "pear"} & {p.concept for p in probes(by_synonym, Suite.UNRELATED)}


def test_unrelated_is_spread_evenly_over_what_is_known():
    lexicon = Lexicon(tuple(Entry(f"thing{i:03}") for i in range(200)))
    asked = [p.concept for p in probes(policy_of("object", [CAT], audit={"unrelated": 50}), Suite.UNRELATED, lexicon)]
    held = len(set(asked))  # one in five, by their names
    assert 25 <= held <= 55 and len(asked) == 50
    places = sorted({int(name[5:]) for name in asked})
    assert max(b - a for a, b in zip(places, places[1:], strict=False)) <= 30 and places[-1] >= 170
    more = probes(policy_of("object", [CAT], audit={"unrelated": 500}), Suite.UNRELATED, lexicon)
    assert len({p.prompt for p in more}) == 500
    counts = [sum(p.concept == name for p in more) for name in {p.concept for p in more}]
    assert len(counts) == held and max(counts) - min(counts) <= 1


def test_celebrity_policies_ask_for_the_kept_characters():
    asked = {p.concept for p in probes(POLICIES["celebrity"], Suite.UNRELATED)}
    assert asked == {"ada moss", "bram moss", "cleo moss"}


MINE = ("espresso machine", "walnut table", "wool blanket")


def asking_for(kind: str, *subjects: str) -> Policy:
    """A kind's policy with subjects of its own and ten unrelated prompts."""
    made = POLICIES[kind].to_json()
    made["spec"]["audit"] = {"subjects": list(subjects), "unrelated": 10}
    return Policy.from_json(made)


@pytest.mark.parametrize("kind", ["object", "celebrity", "explicit"])
def test_a_policy_s_own_subjects_are_all_that_unrelated_asks_for(kind):
    policy = asking_for(kind, *MINE)
    asked = probes(policy, Suite.UNRELATED)
    assert [sum(p.concept == each for p in asked) for each in MINE] == [4, 3, 3]  # all of them, not one in five
    assert len({p.prompt for p in asked}) == 10
    assert set(MINE) <= set(held_out(policy, LEXICON))
    assert all(any(each in prompt for each in MINE) for prompt in general_prompts(Asking(policy, LEXICON), 9))


def test_style_policies_ask_for_other_styles_and_for_their_own_subjects():
    asked = probes(asking_for("style", *MINE), Suite.UNRELATED)
    assert {p.concept for p in asked} == {"noto", "twemoji", *MINE}


def test_as_many_different_prompts_are_asked_as_the_policy_says():
    made = asking_for("object", *MINE).to_json()
    made["spec"]["audit"]["unrelated"] = 120
    asked = probes(Policy.from_json(made), Suite.UNRELATED)
    assert len({p.prompt for p in asked}) == 120
    made["spec"]["audit"]["unrelated"] = 200  # of three subjects no more can be asked
    assert len(probes(Policy.from_json(made), Suite.UNRELATED)) == 3 * len(FRAMES)


def test_tuning_asks_for_own_subjects_and_for_what_the_policy_preserves():
    made = asking_for("celebrity", *MINE).to_json()
    made["spec"]["method"] = {"preserve": {"concepts": ["ada moss"]}}
    asked = probes(tuning_policy(Policy.from_json(made)), Suite.UNRELATED)
    assert {p.concept for p in asked} == {*MINE, "ada moss"}


def test_no_subject_is_drawn_that_nobody_may_draw_nor_a_named_one_beside_the_ban():
    policy = asking_for("explicit", "Taylor Swift", "schoolgirl", "ladle")
    asking = Asking(policy, LEXICON, suites=tuple(Suite))
    asked = [*(probe.prompt for probe in build_probes(asking)), *general_prompts(asking, 40)]
    beside = [prompt for prompt in asked if "nudity" in prompt]
    assert any("ladle" in prompt for prompt in beside) and not any("Swift" in prompt for prompt in beside)
    assert not any("schoolgirl" in prompt for prompt in asked)


def test_style_policies_ask_for_other_styles_and_for_objects():
    asked = probes(POLICIES["style"], Suite.UNRELATED)
    styles = {p.concept for p in asked if p.facet == "style"}
    assert styles == {"noto", "twemoji"} and {p.concept for p in asked if p.facet == "subject"} <= set(OBJECTS)
    assert not any("charcoal" in p.prompt for p in asked)
    shares = [sum(p.facet == facet for p in asked) / len(asked) for facet in ("style", "subject")]
    assert min(shares) > 0.3


def test_a_style_is_asked_for_on_a_subject_and_looked_for_as_a_style():
    asked = probes(POLICIES["style"], Suite.DIRECT)
    assert all(p.facet == "style" and p.expected == ("charcoal",) for p in asked)
    assert all(any(name in p.prompt for name in OBJECTS) and "charcoal" in p.prompt for p in asked)
    assert all(p.facet == "style" for p in probes(POLICIES["style"], Suite.NEAR))


def test_near_asks_for_neighbours_that_nobody_named_and_preserved_for_what_was_named():
    asked = probes(POLICIES["object"], Suite.NEAR)
    assert {p.concept for p in asked} == {"lion", "dog"} and all(p.expected == (p.concept,) for p in asked)
    assert not probes(POLICIES["object"], Suite.PRESERVED)
    data = POLICIES["object"].to_json()
    data["spec"]["method"] = {"preserve": {"concepts": ["Dog", "owl"]}}
    told = Policy.model_validate(data)
    assert {p.concept for p in probes(told, Suite.NEAR)} == {"lion"}
    assert {p.concept for p in probes(told, Suite.PRESERVED)} == {"Dog", "owl"}
    assert not {"dog", "owl"} & {p.concept for p in probes(told, Suite.UNRELATED)}


def test_templates_of_the_policy_are_used_and_must_not_be_the_erasure_s():
    made = probes(policy_of("object", [CAT], audit={"templates": ["one {} please"], "prompts": 3}), Suite.DIRECT)
    assert all(p.prompt.startswith("one cat please") for p in made) and len(made) == 3
    overlap = policy_of("object", [CAT], audit={"templates": ["One  {} please", "x {}"]}, refine=["one {} please"])
    with pytest.raises(PolicyError, match="One {} please"):
        build_probes(Asking(overlap, LEXICON))
    with pytest.raises(PolicyError, match="trains on"):
        build_probes(Asking(policy_of("object", [CAT], audit={"templates": ["x {}"]}), LEXICON, ["x {}"]))


def test_built_in_captions_step_aside_for_the_erasure_s():
    asked = probes(policy_of("object", [CAT], refine=["a picture of {}"]), Suite.DIRECT)
    assert asked and not any(p.prompt == "a picture of cat" for p in asked)


def test_other_models_are_asked_for_everyday_nouns():
    lexicon = lexicon_for(factories.manifest(embedded=False, image_size=512))
    assert tuple(entry.name for entry in lexicon.entries) == NOUNS and not lexicon.styles
    assert len(set(NOUNS)) == len(NOUNS) >= 140
    asked = probes(factories.policy(), Suite.UNRELATED, lexicon)
    assert len(asked) == 120


def test_general_prompts_are_objects_whatever_the_kind():
    for policy in POLICIES.values():
        asked = general_prompts(Asking(policy, LEXICON), 6)
        assert len(set(asked)) == 6 and all(any(name in prompt for name in OBJECTS) for prompt in asked)


def test_phrases_are_compared_by_their_words():
    for phrase in ("noto", "by Noto", "in the style of noto", "noto style", "in noto style", "in noto"):
        assert plain_style(phrase) == "noto"
    left = clear_of([Entry("black cat"), Entry("caterpillar"), Entry("plane", ("jet",))], ["cat", "jet engine"])
    assert [entry.name for entry in left] == ["caterpillar"]


def test_shipped_policies_can_all_be_asked():
    from mace_gov.policy.load import load_policy

    for path in sorted((Path(__file__).parents[2] / "policies").glob("*.yaml")):
        policy = load_policy(path).policy
        lexicon = embedded_lexicon(vocabulary())
        made = build_probes(Asking(policy, lexicon, training_templates()))
        assert {p.suite for p in made} >= {Suite.DIRECT, Suite.UNRELATED}
