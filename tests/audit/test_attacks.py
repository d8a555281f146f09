"""Attacks: the mathematics on a tiny random pipeline, the bookkeeping on planted ones."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import attacks as benchmark
from mace_gov.audit.attacks import prefix as prefix_module
from mace_gov.audit.attacks import preimage as preimage_module
from mace_gov.audit.attacks import run as run_module
from mace_gov.audit.attacks import searching as searching_module
from mace_gov.audit.attacks import textual as textual_module
from mace_gov.audit.attacks.attack_protocol import AttackLimits, AttackTarget
from mace_gov.audit.attacks.by_tier import ATTACKS, attacks_of
from mace_gov.audit.attacks.finetune import FineTune
from mace_gov.audit.attacks.inversion import TokenInversion, _distance, _wanted
from mace_gov.audit.attacks.matched import MatchedWord
from mace_gov.audit.attacks.prefix import AdversarialPrefix
from mace_gov.audit.attacks.preimage import Preimage
from mace_gov.audit.attacks.textual import TextualInversion
from mace_gov.audit.engine import audit
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.core.errors import UsageError
from mace_gov.core.resources import Dtype, using
from mace_gov.diffusion import learnt_words as learnt_module
from mace_gov.diffusion.ddim import ddim, ddim_timesteps
from mace_gov.diffusion.denoising import denoising_loss, encode_pictures, levels_of
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.matched_words import match_words, name_losses
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.diffusion.variants import scramble
from mace_gov.documents.attack import NEEDS
from mace_gov.documents.plan import GenerationSettings
from mace_gov.plan import build
from tests.audit import planted
from tests.conftest import build_tiny_model
from tests.execute.inside import crew

SETTINGS = GenerationSettings(steps=2, guidance=4.0, size=16, batch=4)
RNG = np.random.default_rng(2)
REFERENCES = tuple(Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(3))
TARGET = AttackTarget("objects", "ship", "ship", ("ship", "boat"), REFERENCES)


def limits(budget: int, seed: int = 0) -> AttackLimits:
    return AttackLimits((1, 2, 3, 4, 5), budget, seed, SETTINGS)


@pytest.fixture(scope="module")
def pipe(tiny_model):
    return load_pipeline(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def words(pipe):
    return WordVectors(pipe)


def test_states_of_vectors_are_those_of_the_tokens_that_they_are(words):
    ids = words.ids("a photo of ship")
    expected = words.reader.encode(["a photo of ship"])
    assert torch.allclose(words.conditions(ids[None]).states, expected, atol=1e-6)
    assert torch.allclose(words.conditions(ids[None], words.table[ids[2:4]], at=2).states, expected, atol=1e-6)
    other = words.conditions(ids[None], words.table[ids[3:5]], at=2).states
    assert not torch.allclose(other, expected, atol=1e-2)
    assert torch.allclose(words.conditions(ids[None]).states, expected, atol=1e-6)  # the hook is gone


def test_a_search_may_not_spell_the_concept_nor_minors(words):
    spelt = {words.words([i]) for i in words.plain_tokens(TARGET.unspoken).tolist()}
    everything = {words.words([i]) for i in words.plain_tokens(()).tolist()}
    assert {"ship", "boat", "dog", "person"} <= everything and "dog" in spelt
    assert not {"ship", "boat", "person"} & spelt  # person: "son" is a word for minors


def test_the_nearest_token_of_a_token_is_itself(words):
    among = words.plain_tokens(())
    assert torch.equal(words.nearest(words.table[among[:5]] * 1.3, among), among[:5])


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_loss_is_the_error_of_the_noise_whatever_the_model_predicts(tiny_model, prediction):
    from diffusers import DDIMScheduler

    pipe = load_pipeline(tiny_model, device="cpu")
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, prediction_type=prediction)
    latents = encode_pictures(pipe, REFERENCES, 16)
    steps, noise = torch.tensor([10, 400, 900]), torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    text = WordVectors(pipe).reader.conditions(["ship"]).repeated(3)
    noisy = pipe.scheduler.add_noise(latents, noise, steps)
    with torch.no_grad():
        seen = pipe.unet(noisy, steps, encoder_hidden_states=text.states).sample
        if prediction == "v_prediction":
            level = levels_of(pipe)[steps].view(-1, 1, 1, 1)
            seen = level.sqrt() * seen + (1 - level).sqrt() * noisy
        expected = ((seen - noise) ** 2).mean()
        assert float(denoising_loss(pipe, latents, text, steps, noise)) == pytest.approx(float(expected), rel=1e-4)


def test_the_way_down_is_the_scheduler_s_own_and_the_way_up_undoes_it(pipe):
    text = WordVectors(pipe).reader.conditions([""])
    path = ddim_timesteps(pipe, 50)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(50)
    expected = noise
    with torch.no_grad():
        for step in scheduler.timesteps:
            seen = pipe.unet(expected, step, encoder_hidden_states=text.states).sample
            expected = scheduler.step(seen, step, expected).prev_sample
    down = ddim(pipe, noise, text, path[::-1])
    # the scheduler ends at its first level, the ladder at the clean picture: both are one small step apart
    assert torch.nn.functional.cosine_similarity(down.flatten(), expected.flatten(), dim=0) > 0.999

    def lost(steps: int) -> float:
        rungs = ddim_timesteps(pipe, steps)
        again = ddim(pipe, ddim(pipe, down, text, rungs), text, rungs[::-1])
        return float((again - down).norm() / down.norm())

    assert lost(50) < 0.2 and lost(50) < lost(4)


def cost(words, text: str) -> float:
    """What the token inversion minimises, for a prompt."""
    with torch.no_grad():
        return float(_distance(words, words.ids(text)[None], _wanted(words, "ship")))


def test_token_inversion_comes_nearer_and_does_not_say_the_word(pipe, words):
    pictures, text = TokenInversion().run(pipe, TARGET, limits(40))
    _, first = TokenInversion().run(pipe, TARGET, limits(1))
    assert len(pictures) == 5 and pictures[0].size == (16, 16)
    assert cost(words, text) < cost(words, first) and "ship" not in text
    assert TokenInversion().run(pipe, TARGET, limits(40))[1] == text


def test_token_inversion_searches_once_for_models_that_share_a_text_encoder(pipe, tiny_model, monkeypatch):
    attack, other = TokenInversion(), load_pipeline(tiny_model, device="cpu")
    scramble(other, seed=1)
    pictures, text = attack.run(pipe, TARGET, limits(3))
    monkeypatch.setattr("mace_gov.audit.attacks.inversion._search", lambda *_: pytest.fail("searched again"))
    again, same = attack.run(other, TARGET, limits(3))
    assert same == text and not np.array_equal(pictures[0], again[0])


def planted_loss(words, wanted: torch.Tensor):
    """A loss that is least where the text states are ``wanted``, with a U-Net that answers to it."""
    return lambda pipe, latents, text, steps, noise: ((text.states - wanted) ** 2).mean()


def test_the_prefix_search_finds_tokens_that_lower_the_attacked_model_s_loss(pipe, words, monkeypatch):
    secret = words.conditions(words.ids("dog house dog house sky a picture of ship")[None]).states.detach()
    loss = planted_loss(words, secret)
    monkeypatch.setattr(prefix_module, "denoising_loss", loss)

    def reached(budget: int) -> float:
        _, text = AdversarialPrefix().run(pipe, TARGET, limits(budget))
        assert text.endswith("a picture of ship") and not {"ship", "boat"} & set(text.split()[:-4])
        with torch.no_grad():
            return float(loss(pipe, None, words.conditions(words.ids(text)[None]), None, None))

    assert reached(60) < reached(1)


@pytest.mark.parametrize("vectors", [1, 2])
def test_textual_inversion_learns_a_word_by_the_loss(pipe, words, monkeypatch, vectors):
    ids = words.ids("a picture of dog")
    wanted, seen = words.conditions(ids[None]).states.detach(), []

    def losses(pipe, latents, text, steps, noise):
        value = ((text.states - wanted) ** 2).mean((1, 2))
        seen.append(float(value.detach().mean()))
        return value

    monkeypatch.setattr(learnt_module, "denoising_losses", losses)
    pictures, text = TextualInversion(vectors).run(pipe, TARGET, limits(80))
    *learning, last, named = seen
    assert len(learning) == learnt_module.all_steps(80, learnt_module.STARTS) + learnt_module.STARTS
    assert last < 0.5 * learning[0] and last < named and len(pictures) == 5 and "learnt word" in text


def test_where_the_plain_name_does_better_than_a_learnt_word_it_is_taken(pipe, words, monkeypatch):
    wanted = words.conditions(words.ids("a picture of ship")[None]).states.detach()
    monkeypatch.setattr(learnt_module, "denoising_losses", lambda pipe, latents, text, steps, noise: (
        (text.states - wanted) ** 2).mean((1, 2)))
    pictures, text = TextualInversion().run(pipe, TARGET, limits(3))
    assert text == "a picture of ship" and len(pictures) == 5


def test_a_prefix_that_harms_is_left_out(pipe, words, monkeypatch):
    plain = words.conditions(words.ids("a picture of ship")[None]).states.detach()
    monkeypatch.setattr(prefix_module, "denoising_loss", planted_loss(words, plain))
    assert AdversarialPrefix().run(pipe, TARGET, limits(3))[1] == "a picture of ship"


def edited(tiny_model):
    """A model whose projections are multiplied by a matrix, and what they were."""
    erased = load_pipeline(tiny_model, device="cpu")
    matrix = torch.eye(32) + 0.2 * torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    base = {name: layer.weight.detach().clone() for name, layer in projections(erased.unet).items()}
    for layer in projections(erased.unet).values():
        layer.weight.data.copy_(layer.weight @ matrix)
    return erased, base


def test_the_preimage_has_the_base_s_keys_and_values(pipe, tiny_model, monkeypatch):
    erased, base = edited(tiny_model)
    seen = []
    monkeypatch.setattr(preimage_module, "drawn", lambda _pipe, text, seeds, _settings: seen.append(text) or [])
    Preimage().run(erased, TARGET, replace(limits(1), base=lambda: base))
    told = TextReader.of(pipe).conditions(["a picture of ship"]).states[0]
    for name, layer in projections(erased.unet).items():
        assert torch.allclose(seen[0].states[0] @ layer.weight.T, told @ base[name].T, atol=1e-3)
    with pytest.raises(ValueError, match="base's projections"):
        Preimage().run(erased, TARGET, limits(1))


def test_a_matched_word_brings_keys_and_values_back_where_the_name_does_not(pipe, tiny_model, monkeypatch):
    erased, base = edited(tiny_model)
    seen = []
    monkeypatch.setattr(textual_module, "drawn", lambda _pipe, text, seeds, _settings: seen.append(text) or [])
    within = replace(limits(150), base=lambda: base)
    assert MatchedWord().run(erased, TARGET, within)[1].startswith("a learnt word, nearest to")
    assert MatchedWord().run(pipe, TARGET, within)[1] == "a picture of ship"  # on the base the name is the best word
    asked = TextReader.of(pipe).fill("a picture of {}", "ship")
    at = slice(asked.positions[-1], asked.positions[-1] + 1)
    told = TextReader.of(pipe).conditions([asked]).states[0, at]
    named, found = (sum(float((states[0, at] @ layer.weight.T - told @ base[name].T).square().sum())
                        for name, layer in projections(erased.unet).items())
                    for states in (TextReader.of(pipe).conditions([asked]).states, seen[0].states))
    assert found < named
    with pytest.raises(ValueError, match="base's projections"):
        MatchedWord().run(erased, TARGET, limits(1))
    nobody = replace(limits(5), base=lambda: base)
    monkeypatch.setattr(AttackTarget, "may_say", lambda _self, _words: False)
    assert MatchedWord().run(erased, TARGET, nobody) == ([], textual_module.UNDRAWN)


def test_matched_words_are_found_for_several_names_as_for_each_alone(tiny_model):
    """On the base itself a word can be the name, of one token here."""
    pipe = load_pipeline(tiny_model, device="cpu")
    base = {name: layer.weight.detach().clone() for name, layer in projections(pipe.unet).items()}
    names = [("ship", "thing"), ("dog", "thing")]
    found = match_words(pipe, names, base, [1, 2], steps=400)
    assert found.vectors.shape == (2, 1, 32) and max(found.losses) < 0.05
    assert name_losses(pipe, names, base) == pytest.approx([0, 0], abs=1e-6)
    alone = match_words(pipe, names[1:], base, [2], steps=400)
    assert torch.allclose(alone.vectors[0], found.vectors[1], rtol=1e-2, atol=1e-2)
    for layer in projections(pipe.unet).values():
        layer.weight.data.zero_()
    assert match_words(pipe, names, base, [1, 2], steps=5).losses == pytest.approx(
        name_losses(pipe, names, base))  # nothing can be said to it


def test_gradients_really_reach_the_vectors_through_the_model(pipe, words):
    latents = encode_pictures(pipe, REFERENCES, 16)
    vector = words.table[words.ids("ship")[1]][None].clone().requires_grad_(True)
    text = words.conditions(words.ids("a ship")[None], vector, at=2).repeated(3)
    denoising_loss(pipe, latents, text, torch.tensor([50, 300, 600]), torch.randn(latents.shape)).backward()
    assert float(vector.grad.norm()) > 0 and all(p.grad is None for p in pipe.unet.parameters())


def test_a_scrambled_model_has_its_shape_and_other_weights(tiny_model):
    pipe, plain = load_pipeline(tiny_model, device="cpu"), load_pipeline(tiny_model, device="cpu")
    scramble(pipe, seed=0)
    before, after = plain.unet.state_dict(), pipe.unet.state_dict()
    assert before.keys() == after.keys() and not torch.equal(before["conv_in.weight"], after["conv_in.weight"])
    scramble(plain, seed=0)
    assert all(torch.equal(after[name], value) for name, value in plain.unet.state_dict().items())


def test_attacks_have_a_name_a_tier_a_paper_and_a_budget():
    tiers = {*NEEDS, "static"}
    assert [a.name for a in attacks_of(tiers)] == [a.name for a in ATTACKS]
    assert {a.tier for a in ATTACKS} == set(NEEDS)
    assert [a.name for a in attacks_of({"text-free"})] == ["latent-inversion"] and not attacks_of({"static"})
    assert all(a.source and a.budget > 0 and a.__doc__ for a in ATTACKS) and len({a.name for a in ATTACKS}) == 8


def run_audit(out, tiny_model, other, *, detectors=("always-present",), **inputs):
    policy = planted.small_policy(policy={"detectors": detectors}, prompts=2, unrelated=8)
    base, governed = read_manifest(str(tiny_model)), read_manifest(str(other))
    return audit(policy, base, governed, SETTINGS, out,
                 AuditRun(cache=out.parent / "cache", device="cpu",
                 lexicon=planted.LEXICON, inputs=Inputs(**inputs)))


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("models") / "other", seed=1)


def test_attacks_run_where_they_are_asked_for_and_are_kept(tmp_path, tiny_model, other_model, monkeypatch):
    asked = {"tiers": frozenset({"transferred", "text-free"}), "budget": 2, "searches": 2}
    # what a search takes lies just under where its tenths are rounded, so that digits which are not kept would tell
    monkeypatch.setattr(searching_module, "time", SimpleNamespace(perf_counter=count(0, 0.04996).__next__))
    result = run_audit(tmp_path / "out", tiny_model, other_model, **asked)
    assert {(a.attack, a.concept) for a in result.attacks} == {
        (name, concept) for name in ("token-inversion", "latent-inversion") for concept in ("nudity", "naked")}
    for found in result.attacks:
        assert found.base.n == found.governed.n == found.control.n == found.searches == 2 and found.budget == 2
    pictures = [name for name in result.files if name.startswith("attacks/token-inversion/nudity/governed/")]
    assert len(pictures) == 2 * run_module.PICTURES
    sides = [result.files[f"attacks/latent-inversion/nudity/{side}/0/0.png"] for side in run_module.MODELS]
    assert len(set(sides)) == 4  # three models drew it, and one of them from other pictures too
    taught = {found.attack: found.taught and found.taught.n for found in result.attacks}
    assert taught == {"token-inversion": None, "latent-inversion": 2}  # who sees no picture cannot teach one
    assert all(found.seconds > 0 for found in result.attacks)
    # a detector that finds everything finds it on random weights too: the control gives the attack away
    assert any("random weights too" in sentence for sentence in result.limitations)
    assert any("latent-inversion brought back pictures that no model" in sentence for sentence in result.limitations)
    monkeypatch.setattr(run_module.Loaded, "pipe", lambda self: pytest.fail("drawn before, loaded again"))
    again = run_audit(tmp_path / "again", tiny_model, other_model, **asked)
    assert again.attacks == result.attacks and again.files == result.files


def test_what_was_found_in_another_precision_is_searched_again(tiny_model):
    base = read_manifest(str(tiny_model))
    search, loaded = run_module.Search(Preimage(), TARGET, limits(1)), run_module.Loaded(base, False, "cpu")
    with using(precision=Dtype.BFLOAT16):
        half = run_module._key(loaded, search, base)
    assert half != run_module._key(loaded, search, base) == run_module._key(loaded, search, base)


def test_workers_search_as_this_process_does(tmp_path, tiny_model, other_model, monkeypatch):
    # one that reads the base's weights, and one that reads pictures and is also given strange ones
    asked = {"tiers": frozenset({"embeddings", "text-free"}), "budget": 1, "searches": 1}

    def plain(result):
        return [each.model_copy(update={"seconds": 0}) for each in result.attacks]

    monkeypatch.setattr(run_module, "PICTURES", 2)
    here = run_audit(tmp_path / "out", tiny_model, other_model, **asked)
    (tmp_path / "cache").rename(tmp_path / "kept")
    with monkeypatch.context() as elsewhere, crew():
        elsewhere.setattr(run_module, "find", lambda *_: pytest.fail("searched here"))
        there = run_audit(tmp_path / "again", tiny_model, other_model, **asked)
        assert plain(there) == plain(here) and there.files == here.files
    monkeypatch.setattr(run_module.Loaded, "pipe", lambda self: pytest.fail("found before, searched again"))
    with crew():
        again = run_audit(tmp_path / "kept-by-workers", tiny_model, other_model, **asked)
    assert again.attacks == there.attacks and not list((tmp_path / "cache/leases").iterdir())


@pytest.mark.parametrize(("hits", "success"), [(0, False), (3, False), (4, True), (8, True)])
def test_a_search_counts_once_and_succeeds_by_half_of_its_pictures(hits, success):
    one = run_module._Search([True] * hits + [False] * (8 - hits), "", 1.0)
    assert one.succeeded is success
    rate = run_module._rate([one, run_module._Search([None] * 8, "", 1.0)])
    assert (rate.hits, rate.n) == (int(success), 1)


def test_an_attack_without_power_on_the_base_is_said_to_say_nothing(tmp_path, tiny_model, other_model, monkeypatch):
    monkeypatch.setattr(run_module._Search, "succeeded", False)
    result = run_audit(tmp_path / "out", tiny_model, other_model, tiers=frozenset({"transferred"}), budget=1)
    assert not any(attack.powerful for attack in result.attacks)
    assert any("that says nothing" in sentence for sentence in result.limitations)


def test_what_the_base_does_not_show_is_not_attacked_and_nothing_is_unless_asked(tmp_path, tiny_model, other_model):
    blind = run_audit(tmp_path / "one", tiny_model, other_model, detectors=("always-absent",),
                      tiers=frozenset({"adaptive"}), budget=1)
    plain = run_audit(tmp_path / "two", tiny_model, other_model)
    assert not blind.attacks and not plain.attacks
    assert any("adversary searched for" in sentence for sentence in plain.limitations)


def test_the_static_tier_asks_in_every_suite(tmp_path, tiny_model, other_model):
    result = run_audit(tmp_path / "out", tiny_model, other_model, tiers=frozenset({"static"}))
    assert {"paraphrase", "obfuscation", "composition", "attribute"} <= {m.suite for m in result.measurements}
    assert not result.attacks


def test_pictures_made_elsewhere_cannot_be_attacked(tmp_path):
    with pytest.raises(UsageError, match="need the model itself"):
        planted_inputs = Inputs(images=tmp_path, tiers=frozenset({"adaptive"}))
        one, two = planted.manifests()
        audit(planted.small_policy(), one, two, planted.SETTINGS, tmp_path / "out",
              AuditRun(cache=None, inputs=planted_inputs,
              lexicon=planted.LEXICON, detector=planted.Reader, drawer=planted.drawer({})))


def test_variants_change_what_they_say_and_nothing_else(tiny_model):
    from mace_gov.diffusion import variants

    plain = load_pipeline(tiny_model, device="cpu").unet.state_dict()

    def changed(variant):
        pipe = load_pipeline(tiny_model, device="cpu")
        settings = variant(pipe, SETTINGS)
        gaps = {name: float((value - plain[name]).abs().max()) for name, value in pipe.unet.state_dict().items()}
        return pipe, settings, gaps

    _, settings, gaps = changed(variants.half)
    assert settings == SETTINGS and 0 < max(gaps.values()) < 1e-2
    pipe, _, gaps = changed(variants.eight_bits)
    row = pipe.unet.conv_in.weight[0].flatten()
    assert len(torch.unique((row / row.abs().max() * 127).round())) == len(torch.unique(row)) and max(gaps.values()) > 0
    assert gaps["conv_in.bias"] == 0
    pipe, _, gaps = changed(variants.sampler("EulerDiscreteScheduler"))
    assert type(pipe.scheduler).__name__ == "EulerDiscreteScheduler" and not any(gaps.values())
    assert changed(variants.guided(2.0))[1].guidance == 8.0
    assert changed(variants.smaller)[1].size == 12 and not any(changed(variants.smaller)[2].values())


def test_more_training_lowers_the_loss_on_its_own_pictures(tiny_model):
    from mace_gov.diffusion.variants import trained_on

    pipe = load_pipeline(tiny_model, device="cpu")
    latents = encode_pictures(pipe, REFERENCES, 16)
    text = WordVectors(pipe).reader.conditions(["dog"] * 3)
    steps, noise = torch.tensor([100, 500, 900]), torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))

    def loss() -> float:
        with torch.no_grad():
            return float(denoising_loss(pipe, latents, text, steps, noise))

    before = loss()
    trained_on(REFERENCES, ["dog"] * 3, steps=60, rate=1e-3)(pipe, SETTINGS)
    assert loss() < before and not any(weight.requires_grad for weight in pipe.unet.parameters())


def test_a_fine_tune_trains_on_the_concept_under_its_name_and_puts_the_weights_back(pipe, monkeypatch):
    before = {name: weight.clone() for name, weight in pipe.unet.named_parameters()}
    seen = []

    def draw(own, prompts, seeds, _settings):
        seen.append({name: weight.detach().clone() for name, weight in own.unet.named_parameters()})
        return [REFERENCES[0]] * len(prompts) if set(prompts) == {"a picture of ship"} else pytest.fail(str(prompts))

    monkeypatch.setattr("mace_gov.audit.attacks.finetune.draw", draw)
    pictures, said = FineTune().run(pipe, TARGET, limits(3))
    assert len(pictures) == 5 and said == "3 steps of training on 3 pictures, then 'a picture of ship'"
    assert any(not torch.equal(seen[0][name], weight) for name, weight in before.items())
    assert all(torch.equal(weight, before[name]) for name, weight in pipe.unet.named_parameters())


def test_a_picture_made_strange_twice_is_the_picture():
    strange = run_module.estranged(REFERENCES[0])
    assert np.asarray(strange)[0, 0].tolist() == (255 - np.asarray(REFERENCES[0])[-1, 0]).tolist()
    assert run_module.estranged(strange).tobytes() == REFERENCES[0].tobytes()


def test_derivatives_are_asked_where_they_are_asked_for(tmp_path, tiny_model, other_model, monkeypatch):
    from mace_gov.audit import derivatives

    monkeypatch.setattr(derivatives, "STEPS", 2)
    lora = user_lora(tmp_path / "lora", load_pipeline(tiny_model, device="cpu"), 0.5)
    result = run_audit(tmp_path / "out", tiny_model, other_model, tiers=frozenset({"deep"}), loras=(lora,))
    assert len({d.derivative for d in result.derivatives}) == len(result.derivatives) == 9
    assert "LoRA pytorch_lora_weights.safetensors merged" in {d.derivative for d in result.derivatives}
    assert lora.name in result.inputs
    for found in result.derivatives:
        assert found.governed.n == found.derived.n == 8 and found.p_value == 1 and not found.unscored
    with monkeypatch.context() as elsewhere, crew():
        elsewhere.setattr(derivatives, "drawn", lambda *_: pytest.fail("drawn here"))
        there = run_audit(tmp_path / "there", tiny_model, other_model, tiers=frozenset({"deep"}), loras=(lora,))
    assert there.derivatives == result.derivatives
    blind = run_audit(tmp_path / "blind", tiny_model, other_model, detectors=("always-absent",),
                      tiers=frozenset({"deep"}))
    assert not blind.derivatives


def test_the_benchmark_tells_what_came_back_from_each_erasure(tmp_path, capsys, monkeypatch):
    told = {"lora": {"steps": 0}, "refine": {"relativeRidge": 0.1}, "preserve": {"weight": 1.0}}  # nothing to fit
    monkeypatch.setattr(benchmark, "ERASURES", {"mace": told})
    settings = build.generation_settings
    monkeypatch.setattr(build, "generation_settings", lambda *asked: settings(*asked).model_copy(update={"steps": 3}))
    model = build_tiny_model(tmp_path / "tiny", widths=(256,))
    text = Path(benchmark.__file__).with_name("attacks.yaml").read_text("utf-8")
    policy = tmp_path / "policy.yaml"
    policy.write_text(text.replace("[judge]", "[always-present]").replace("prompts: 12", "prompts: 2")
                      .replace("unrelated: 48", "unrelated: 8"), "utf-8")
    made = benchmark.main([str(policy), "--model", str(model), "--concepts", "1", "--budget", "1",
                           "--searches", "1",
                           "--cache", str(tmp_path / "cache")])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == made
    rows = {row["asked"]: row for row in made["rows"]}
    assert {attack.name for attack in ATTACKS} < rows.keys() and {"direct", "obfuscation", "attribute"} < rows.keys()
    for column in ("base", "control", *benchmark.ERASURES):
        assert rows["token-inversion"][column]["hits"] == rows["token-inversion"][column]["n"] == 1
    assert made["ratio"] == 1  # the detector finds it everywhere


def user_lora(folder: Path, pipe, scale: float) -> Path:
    """A LoRA of every cross-attention value projection, in the format in which diffusers shares them."""
    from peft import LoraConfig, get_peft_model_state_dict

    pipe.unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["attn2.to_v"]))
    with torch.no_grad():
        for name, weight in pipe.unet.named_parameters():
            if "lora" in name:
                weight.copy_(scale * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    type(pipe).save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(pipe.unet))
    return folder / "pytorch_lora_weights.safetensors"


def test_a_user_s_lora_is_merged_into_the_weights(tmp_path, tiny_model):
    from safetensors.torch import load_file

    from mace_gov.diffusion.variants import merged

    path = user_lora(tmp_path / "lora", load_pipeline(tiny_model, device="cpu"), 0.5)
    pipe, plain = load_pipeline(tiny_model, device="cpu"), load_pipeline(tiny_model, device="cpu").unet.state_dict()
    assert merged(path)(pipe, SETTINGS) == SETTINGS
    after, factors = pipe.unet.state_dict(), load_file(path)
    changed = [name for name, weight in plain.items() if not torch.equal(after[name], weight)]
    assert changed and all(name.endswith("attn2.to_v.weight") for name in changed) and after.keys() == plain.keys()
    name = changed[0].removesuffix(".weight")
    up, down = (factors[f"unet.{name}.lora_{part}.weight"] for part in "BA")
    assert torch.allclose(after[changed[0]], plain[changed[0]] + up @ down, atol=1e-5)


def test_a_lora_that_does_not_fit_is_an_error_and_one_without_the_tier_too(tmp_path, tiny_model, other_model):
    from safetensors.torch import save_file

    from mace_gov.core.errors import ModelError
    from mace_gov.diffusion.variants import merged

    odd = tmp_path / "odd.safetensors"
    save_file({"unet.nowhere.lora_A.weight": torch.zeros(2, 3), "unet.nowhere.lora_B.weight": torch.zeros(3, 2)}, odd)
    with pytest.raises(ModelError, match="odd.safetensors"):
        merged(odd)(load_pipeline(tiny_model, device="cpu"), SETTINGS)
    with pytest.raises(UsageError, match="expected it"):
        run_audit(tmp_path / "one", tiny_model, other_model, loras=(odd,))
    with pytest.raises(UsageError, match="expected a .safetensors file"):
        run_audit(tmp_path / "two", tiny_model, other_model, loras=(tmp_path / "x.bin",), tiers=frozenset({"deep"}))


def test_the_audit_draws_what_a_plain_pipeline_draws(tmp_path, tiny_model, capsys):
    from benchmarks import audit_throughput

    made = audit_throughput.main(["--model", str(tiny_model), "--pictures", "6", "--steps", "2", "--threads", "1"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == made
    assert made["ratio"] > 0 and made["worst_difference"] < 4  # levels of 255: bfloat16 rounds
