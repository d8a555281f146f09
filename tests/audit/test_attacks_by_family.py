"""Two encoders and a pooled text: attacks and derivatives reach all of it. Joint attention: refused before the work."""

from __future__ import annotations

import json

import pytest
import torch

from mace_gov.audit import derivatives
from mace_gov.audit.attacks import latent as latent_module
from mace_gov.audit.attacks import prefix as prefix_module
from mace_gov.audit.attacks import run as run_module
from mace_gov.audit.attacks.attack_protocol import drawn
from mace_gov.audit.attacks.inversion import Wanted, _distance, _wanted
from mace_gov.audit.attacks.latent import LatentInversion
from mace_gov.audit.attacks.prefix import AdversarialPrefix
from mace_gov.audit.attacks.textual import TextualInversion
from mace_gov.audit.engine import audit
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.cli.audit import Tier
from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.diffusion import learnt_words as learnt_module
from mace_gov.diffusion.denoising import denoising_loss, encode_pictures
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.text import TextReader
from mace_gov.diffusion.variants import trained_on
from mace_gov.documents.attack import NEEDS
from mace_gov.documents.family_info import TIERS
from mace_gov.workflow.planning import BaseChoice, plan_policy
from tests.audit import planted
from tests.audit.test_attacks import REFERENCES, SETTINGS, TARGET, limits
from tests.cli.conftest import run
from tests.conftest import WIDTHS, build_tiny_model
from tests.erase.joint_models import build_joint_model
from tests.preflight.test_checks import written

__all__ = ["run"]
ONE, TWO = WIDTHS["sdxl"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("models") / "xl", family="sdxl", widths=WIDTHS["sdxl"])


@pytest.fixture(scope="module")
def xl(folder):
    return load_pipeline(folder, device="cpu")


@pytest.fixture(scope="module")
def words(xl):
    return WordVectors(xl)


def test_token_ids_are_read_as_the_pipeline_reads_the_prompt(xl, words):
    ids = words.ids("a photo of ship")[None]
    found, expected = words.conditions(ids), TextReader.of(xl).conditions(["a photo of ship"])
    theirs, _, pooled, _ = xl.encode_prompt("a photo of ship", do_classifier_free_guidance=False)
    for states, vector in ((expected.states, expected.pooled), (theirs, pooled)):
        assert torch.allclose(found.states, states, atol=1e-5) and torch.allclose(found.pooled, vector, atol=1e-5)


def test_a_vector_stands_in_both_encoders_each_with_its_own_part(words):
    ids = words.ids("a ship")[None]
    assert words.table.shape[1] == ONE + TWO == len(words.spread)
    vector = words.table[ids[0, 2]][None]
    plain = words.conditions(ids)
    same = words.conditions(ids, vector, at=2)
    assert torch.allclose(same.states, plain.states, atol=1e-6) and torch.allclose(same.pooled, plain.pooled, atol=1e-6)
    first, second = vector.clone(), vector.clone()
    first[:, :ONE] += 1
    second[:, ONE:] += 1
    for changed, there, pooled in ((first, slice(0, ONE), False), (second, slice(ONE, None), True)):
        found = words.conditions(ids, changed, at=2)
        moved = (found.states - plain.states).abs().amax((0, 1))
        assert moved[there].min() > 0 and moved.sum() == moved[there].sum()
        assert bool((found.pooled - plain.pooled).abs().max() > 0) is pooled


def test_gradients_reach_the_vectors_of_both_encoders_and_the_pooled_text_counts(xl, words):
    latents = encode_pictures(xl, REFERENCES, 16)
    vector = words.table[words.ids("ship")[1]][None].clone().requires_grad_(True)
    text = words.conditions(words.ids("a ship")[None], vector, at=2).repeated(3)
    steps, noise = torch.tensor([50, 300, 600]), torch.randn(latents.shape)
    loss = denoising_loss(xl, latents, text, steps, noise)
    loss.backward()
    assert vector.grad[:, :ONE].norm() > 0 and vector.grad[:, ONE:].norm() > 0
    other = type(text)(text.states.detach(), torch.zeros_like(text.pooled))
    with torch.no_grad():
        assert float(denoising_loss(xl, latents, other, steps, noise)) != pytest.approx(float(loss), rel=1e-6)


def test_token_inversion_compares_each_encoder_and_the_pooled_text_alike(words):
    ids, wanted = words.ids("a picture of dog")[None], _wanted(words, "ship")
    assert [len(each.point) for each in wanted] == [24 * ONE, 24 * TWO, 40]
    shares = [float(_distance(words, ids, wanted))]
    for n, each in enumerate(wanted):  # without one of them, and with it in a hundred times as large a measure
        rest = [*wanted[:n], Wanted(each.point, torch.tensor(torch.inf)), *wanted[n + 1:]]
        shares.append(float(_distance(words, ids, rest)))
    assert all(share < 0.99 * shares[0] for share in shares[1:])


def aimed_at(part: str, words, prompt: str, monkeypatch, module, name: str = "denoising_loss") -> list[float]:
    """Plant a loss that is least where one part of what is read is as for the prompt; the losses in order."""
    seen: list[float] = []

    def read(text):
        return {"first": text.states[..., :ONE], "second": text.states[..., ONE:], "pooled": text.pooled}[part]

    wanted = read(words.conditions(words.ids(prompt)[None])).detach()

    def loss(pipe, latents, text, steps, noise):
        value = ((read(text) - wanted) ** 2).flatten(1).mean(1)
        seen.append(float(value.detach().mean()))
        return value if name == "denoising_losses" else value.mean()

    monkeypatch.setattr(module, name, loss)
    return seen


@pytest.mark.parametrize("part", ["first", "second", "pooled"])
def test_a_learnt_word_is_learnt_for_each_part_of_the_text(part, xl, words, monkeypatch):
    seen = aimed_at(part, words, "a picture of dog", monkeypatch, learnt_module, "denoising_losses")
    pictures, text = TextualInversion().run(xl, TARGET, limits(60))
    *_, learnt, named = seen
    assert learnt < 0.5 * seen[0] and learnt < named and len(pictures) == 5 and "learnt word" in text


@pytest.mark.parametrize("part", ["first", "second", "pooled"])
def test_a_prefix_is_searched_for_each_part_of_the_text(part, xl, words, monkeypatch):
    seen = aimed_at(part, words, "dog house dog house sky a picture of ship", monkeypatch, prefix_module)
    monkeypatch.setattr(prefix_module, "RATE", 1.0)  # so few words lie far apart
    AdversarialPrefix().run(xl, TARGET, limits(30))
    assert min(seen) < 0.9 * seen[0]


def test_what_an_attack_found_is_drawn_as_its_words_are(xl, words):
    (ours, _) = drawn(xl, words.conditions(words.ids("a ship")[None]), (7, 8), SETTINGS)
    theirs = next(draw(xl, ["a ship"], [7], SETTINGS))
    assert max(abs(a - b) for a, b in zip(ours.tobytes(), theirs.tobytes(), strict=True)) <= 2


def test_latent_inversion_reads_the_empty_prompt_as_the_pipeline_has_it(xl, monkeypatch):
    read = []
    real = latent_module.ddim
    monkeypatch.setattr(latent_module, "ddim", lambda pipe, part, text, path: read.append(text) or
                        real(pipe, part, text, path))
    LatentInversion().run(xl, TARGET, limits(2))
    assert len(read) == 4 and not any(text.states.any() or text.pooled.any() for text in read)  # SDXL's are zeros


def test_more_training_reads_both_encoders_and_the_pooled_text(folder):
    pipe, read = load_pipeline(folder, device="cpu"), []
    expected = TextReader.of(pipe).conditions(["dog"])
    hook = pipe.unet.register_forward_pre_hook(lambda _unet, _given, named: read.append(named), with_kwargs=True)
    trained_on(REFERENCES[:1], ["dog"], steps=1, rate=1e-5)(pipe, SETTINGS)
    hook.remove()
    assert torch.equal(read[0]["encoder_hidden_states"], expected.states)
    assert torch.equal(read[0]["added_cond_kwargs"]["text_embeds"], expected.pooled)


def audited(out, base, **inputs):
    """Planted pictures answer the questions; attacks and derivatives run on the model itself."""
    policy = planted.small_policy(policy={"detectors": ("always-present",)}, prompts=1, unrelated=8)
    drawer = planted.drawer({base.digest: planted.faithful})
    return audit(policy, base, base.model_copy(update={"ref": "governed"}), SETTINGS, out,
                 AuditRun(cache=None, device="cpu",
                 lexicon=planted.LEXICON, inputs=Inputs(**inputs), drawer=drawer))


def test_every_tier_runs_on_two_encoders(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(run_module, "PICTURES", 1)
    monkeypatch.setattr(derivatives, "STEPS", 1)
    monkeypatch.setattr(derivatives, "PROMPTS", 1)
    result = audited(tmp_path / "out", read_manifest(str(folder)), tiers=frozenset(TIERS), budget=1, searches=1)
    assert {found.tier for found in result.attacks} == set(NEEDS)
    assert len(result.derivatives) == 8 and not any("can be tried on models" in each for each in result.limitations)


@pytest.fixture(scope="module", params=["sd3", "flux"])
def joint(request, tmp_path_factory):
    return build_joint_model(tmp_path_factory.mktemp(request.param) / "base", request.param)


def test_joint_attention_is_audited_by_questions_and_the_result_says_what_was_not_tried(tmp_path, joint):
    base = read_manifest(str(joint), unmeasured=True)
    result = audited(tmp_path / "out", base)
    tiers = "transferred, adaptive, embeddings, weights, text-free, deep"
    said = f"--tier {tiers}) can be tried on models of the family {base.family}"
    assert not result.attacks and any(said in each for each in result.limitations)


@pytest.mark.parametrize("tier", [tier for tier in TIERS if tier != "static"])
def test_a_tier_that_cannot_run_is_refused_before_anything_is_drawn(tmp_path, joint, tier, monkeypatch):
    monkeypatch.setattr("mace_gov.audit.engine.draw_side", lambda *_, **__: pytest.fail("drew"))
    base, other = read_manifest(str(joint), unmeasured=True), planted.manifests()[0]
    for one, two in ((base, base), (base, other), (other, base)):
        with pytest.raises(UsageError, match=rf"--tier {tier}: cannot run on '.*family {base.family}.*static alone"):
            audit(planted.small_policy(), one, two, SETTINGS, tmp_path / "out",
                  AuditRun(cache=None, lexicon=planted.LEXICON,
                  detector=planted.Reader, inputs=Inputs(tiers=frozenset({tier, "static"}))))
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_tiers_before_the_work_and_needs_leave_for_the_family(tmp_path, joint, run):
    path = written(tmp_path / "p.yaml", detectors=["always-present"])
    where = ("--registry", tmp_path / "registry", "--reports", tmp_path / "reports")
    asked = ("audit", joint, "--policy", path, "--base", joint, *where, "--tier", "deep", "--tier", "adaptive")
    code, _, said = run(*asked)
    assert code == 3 and "--allow-unmeasured" in said
    code, _, said = run(*asked, "--allow-unmeasured")
    assert code == 2 and "--tier adaptive, deep: cannot run on" in " ".join(said.split())
    assert not (tmp_path / "reports").exists()


def test_a_method_that_does_not_run_on_the_family_is_refused_by_plan_with_its_line(tmp_path, joint, run):
    path = written(tmp_path / "p.yaml", detectors=["always-present"])
    with pytest.raises(PolicyError, match=r"p.yaml:\d+:\d+.*method mace does not run on .*method: {name: uce}"):
        plan_policy(path, BaseChoice(str(joint), unmeasured=True), registry=tmp_path)
    given = written(tmp_path / "given.yaml", detectors=["always-present"], spec={"method": {"name": "esd"}})
    with pytest.raises(PolicyError, match=r"method.name.*method esd does not run on"):
        plan_policy(given, BaseChoice(str(joint), unmeasured=True), registry=tmp_path)
    good = written(tmp_path / "good.yaml", detectors=["always-present"], spec={"method": {"name": "uce"}})
    code, said, _ = run("plan", good, "--model", joint, "--allow-unmeasured", "--registry", tmp_path, "--json")
    assert code == 0 and any("Neither attacks nor derivatives" in note for note in json.loads(said)["warnings"])


def test_the_command_offers_the_tiers_that_there_are():
    assert [tier.value for tier in Tier] == list(TIERS)
