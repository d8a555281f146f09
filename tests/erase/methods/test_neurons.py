"""Neurons in the text encoder: what they answer, what they leave alone, and how they are kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from mace_gov.core.errors import ModelError, NumericalError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.neurons import Neurons
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.erase.delta import ErasureDelta, read_delta
from mace_gov.erase.engine import erase
from mace_gov.erase.methods import neurons as module
from mace_gov.erase.methods.neuron_pairs import MACHINES, Group, States, pairs
from mace_gov.erase.methods.neurons import neurons
from mace_gov.erase.preserve import prior_captions
from mace_gov.erase.weight_export import export_weights
from tests.conftest import WIDTHS, build_tiny_model

WIDTH = 16
CROWD = 48


def states_at(centre, count: int, seed: int, noise: float = 0.05) -> States:
    """Around a centre at the name's last token, and around its half, turned by one, after the text."""
    chance = torch.Generator().manual_seed(seed)
    own, after = (at + noise * torch.randn(count, CROWD, generator=chance).double()
                  for at in (centre, centre.roll(1) / 2))
    return States((own, after), (own, after))


def answers(parts, h: torch.Tensor) -> torch.Tensor:
    """What neurons write for states [n, d] read, as relus."""
    read, bias, write = parts
    return torch.relu(h @ read.T + bias) @ write.T


@pytest.fixture(scope="module")
def crowd():
    """Forty names that are sums of ten first and ten last ones; twenty are erased, twenty must stay."""
    chance = torch.Generator().manual_seed(0)
    firsts, lasts = torch.randn(2, 10, CROWD, generator=chance).double()
    people = [(i, (i + shift) % 10) for i in range(10) for shift in range(4)]
    made = [states_at(firsts[i] + lasts[j], 12, n) for n, (i, j) in enumerate(people)]
    anchor = states_at(torch.zeros(CROWD).double(), 12, 99)
    general = states_at(torch.zeros(CROWD).double(), 400, 100, noise=1.0)
    return [Group((own,), anchor) for own in made[::2]], made[1::2], general, anchor


def test_names_that_share_their_words_with_others_go_and_the_others_stay_to_the_last_digit(crowd):
    gone, kept, general, anchor = crowd
    parts, apart = pairs(0, gone, kept, general)
    assert all(apart)
    for own in (group.names[0] for group in gone):
        moved = own.given[0] + answers(parts, own.read[0])
        before = (own.given[0] - anchor.given[0].mean(0)).norm(dim=1)
        after = (moved - anchor.given[0].mean(0)).norm(dim=1)
        assert (after < 0.2 * before).float().mean() > 0.95
    for still in (*kept, general):
        assert answers(parts, still.read[0]).abs().max() == 0


def test_a_name_that_is_read_as_what_must_stay_answers_nothing_that_must_stay(crowd):
    gone, kept, general, _ = crowd
    told: list[int] = []
    parts, apart = pairs(0, gone, [*kept, gone[3].names[0]], general, told.append)
    assert sum(told) == MACHINES * len(gone) and told.count(1) >= MACHINES - 1  # the bar moves with every machine
    assert not apart[3] and sum(apart) == len(gone) - 1
    assert answers(parts, gone[3].names[0].read[0]).abs().max() == 0


def test_synonyms_share_a_pair_where_they_are_read_alike_and_get_their_own_where_not(crowd):
    gone, kept, general, anchor = crowd
    [one], [other] = gone[0].names, gone[1].names
    alike = states_at(one.read[0].mean(0), 12, 7)
    for names, count in (((one, alike), 1), ((one, other), 2)):
        # between two names of nobody's lies somebody who must stay
        halfway = [states_at((one.read[0].mean(0) + other.read[0].mean(0)) / 2, 12, 8)] if count == 2 else []
        parts, apart = pairs(0, [Group(names, anchor), *gone[2:]], [*kept, *halfway], general)
        assert len(parts[0]) == 2 * (count + len(gone) - 2) and all(apart)
        for name in names:
            moved = (name.given[0] + answers(parts, name.read[0])).norm(dim=1)
            assert (moved < 0.3 * name.given[0].norm(dim=1)).float().mean() > 0.9


def test_a_group_that_is_led_past_its_anchor_goes_as_much_further_and_nothing_else_does(crowd):
    gone, kept, general, anchor = crowd
    far = [replace(gone[0], reach=1.5), *gone[1:]]
    (plain, _), (farther, _) = pairs(0, gone, kept, general), pairs(0, far, kept, general)
    own, others = gone[0].names[0], [group.names[0].read[0] for group in gone[1:]]
    torch.testing.assert_close(answers(farther, own.read[0]), 1.5 * answers(plain, own.read[0]))
    assert answers(plain, own.read[0]).abs().max() > 0.1
    assert all(torch.equal(answers(farther, each), answers(plain, each)) for each in others)


def test_what_is_written_in_a_place_already_is_taken_off_once_however_far_a_group_is_led(crowd):
    gone, kept, general, anchor = crowd
    far = [replace(group, reach=1.5) for group in gone]
    own = gone[0].names[0].read[0]
    # what answers the same place already: half of the way to the anchor
    read, bias, write = pairs(0, gone, kept, general)[0]
    before = (read, bias, write / 2)
    after = pairs(0, far, kept, general, before=before)[0]
    way = answers((read, bias, write), own).mean(0)
    torch.testing.assert_close((answers(before, own) + answers(after, own)).mean(0), 1.5 * way, rtol=1e-3, atol=1e-6)


def encoder(**changes) -> CLIPTextModel:
    torch.manual_seed(0)
    return CLIPTextModel(CLIPTextConfig(vocab_size=60, hidden_size=WIDTH, intermediate_size=20, num_hidden_layers=3,
                                        num_attention_heads=2, max_position_embeddings=8, **changes)).eval()


def some_neurons(layer: int, bias: float) -> Neurons:
    chance = torch.Generator().manual_seed(1)
    return Neurons(layer, torch.randn(5, WIDTH, generator=chance), torch.full((5,), bias),
                   torch.randn(WIDTH, 5, generator=chance))


@pytest.mark.parametrize("layer", [0, 2])
def test_a_wider_encoder_says_the_same_where_no_neuron_answers_and_the_layers_before_always_do(layer):
    plain, ids = encoder(), torch.randint(0, 60, (2, 8), generator=torch.Generator().manual_seed(2))
    before = plain(ids, output_hidden_states=True).hidden_states
    for bias, same in ((-500.0, 4), (500.0, layer + 1)):
        added = some_neurons(layer, bias)
        wide = CLIPTextModel(CLIPTextConfig(**{**plain.config.to_dict(), "intermediate_size": 25})).eval()
        wide.load_state_dict({name: added.widened(name, weight) for name, weight in plain.state_dict().items()})
        after = wide(ids, output_hidden_states=True).hidden_states
        equal = [torch.allclose(one, other, atol=1e-5) for one, other in zip(before, after, strict=True)]
        assert equal == [True] * same + [False] * (4 - same)


def test_neurons_of_another_width_or_beyond_half_precision_are_refused():
    name, weight = "text_model.encoder.layers.0.mlp.fc1.weight", torch.zeros(20, WIDTH + 1)
    with pytest.raises(ModelError, match="width 17, the neurons are for 16"):
        some_neurons(0, 0.0).widened(name, weight)
    huge = Neurons(0, torch.full((1, WIDTH), 1e6), torch.zeros(1), torch.zeros(WIDTH, 1))
    with pytest.raises(ModelError, match="not finite"):
        huge.widened(name, torch.zeros(20, WIDTH).half())


def test_a_delta_with_neurons_is_of_a_schema_of_its_own(tmp_path):
    added = {"text_encoder": some_neurons(1, -1.0)}
    ErasureDelta(torch.eye(4).double(), about={"method": "neurons"}, neurons=added).write(tmp_path / "d.safetensors")
    read = read_delta(tmp_path / "d.safetensors")
    one = read.neurons["text_encoder"]
    assert one.layer == 1 and all(torch.equal(getattr(one, part), getattr(added["text_encoder"], part))
                                  for part in ("read", "bias", "write"))
    assert b"mace-gov/delta/v3" in (tmp_path / "d.safetensors").read_bytes()
    ErasureDelta(torch.eye(4).double()).write(tmp_path / "p.safetensors")
    assert b"mace-gov/delta/v2" in (tmp_path / "p.safetensors").read_bytes() and not read_delta(
        tmp_path / "p.safetensors").neurons
    broken = Neurons(0, torch.full((1, 4), torch.nan), torch.zeros(1), torch.zeros(4, 1))
    with pytest.raises(NumericalError, match="neurons are not finite"):
        ErasureDelta(torch.eye(4).double(), neurons={"text_encoder": broken}).write(tmp_path / "n.safetensors")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model whose text has room for hundreds of captions' words."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "base", widths=WIDTHS["sd1"])


@pytest.fixture(scope="module")
def version(plan_for, base, tmp_path_factory):
    out = tmp_path_factory.mktemp("version")
    plan = plan_for(method="neurons", concepts=("ship", "mira"), base=read_manifest(str(base)))
    return plan, erase(plan, out, device="cpu"), out


def test_the_governed_folder_loads_plainly_reads_the_names_as_their_anchors_and_all_else_as_before(version, base):
    plan, _, out = version
    base_pipe, governed = load_pipeline(base, device="cpu"), load_pipeline(out / "model", device="cpu")
    own, wide = TextReader.of(base_pipe), TextReader.of(governed)
    config = json.loads((out / "model" / "text_encoder" / "config.json").read_text())
    assert config["intermediate_size"] == base_pipe.text_encoder.config.intermediate_size + 2 * 2 * 2
    for name, layer in projections(governed.unet).items():
        assert torch.equal(layer.weight, projections(base_pipe.unet)[name].weight)
    [plain], [wider] = module._encoders(own), module._encoders(wide)
    for name, anchor in (("ship", "sky"), ("mira okafor", "a person")):
        # what the layer gives at the last token, the mean over the wordings: v is the difference of the means
        before, to, after = (torch.stack([
            encoder.inside([prompt])[1][0, prompt.found[1] - 1]
            for prompt in [own.fill(template, phrase) for template in plan.templates]
        ]).mean(0) for encoder, phrase in ((plain, name), (plain, anchor), (wider, name)))
        assert (after - to).norm() < 0.01 * (before - to).norm()
    for still in prior_captions(plan, own.tokenizer)[::40]:
        prompt = own.tokens(still)
        read = [*range(prompt.used), *(min(prompt.used + step, own.length - 1) for step in module.PADDING)]
        assert torch.allclose(own.encode([still])[0, read], wide.encode([still])[0, read], atol=1e-3), still


def test_it_is_exported_as_a_folder_alone(version, tmp_path):
    plan, record, out = version
    delta = out / "delta" / "erasure.safetensors"
    written = export_weights(delta, plan.base, "diffusers", tmp_path / "folder")
    assert (written.path / "text_encoder" / "config.json").read_bytes() == (
        out / "model" / "text_encoder" / "config.json").read_bytes()
    for form in ("lora", "single-file"):
        with pytest.raises(ModelError, match="adds neurons to text_encoder"):
            export_weights(delta, plan.base, form, tmp_path / form)
    assert not record.loras and not record.systems


def test_names_that_are_not_apart_are_told_and_all_of_them_is_an_error(plan_for, base_pipe, monkeypatch):
    plan = plan_for(method="neurons", concepts=("ship", "dog"))
    real = module.pairs
    monkeypatch.setattr(module, "pairs", lambda *a: (real(*a)[0], [True, False]))
    made = neurons(plan, base_pipe, cache=None, progress=Silent())
    assert any("a name of dog is read much like" in warning for warning in made.warnings)
    monkeypatch.setattr(module, "pairs", lambda *a: (real(*a)[0], [False, False]))
    with pytest.raises(NumericalError, match="no name's text states lie apart"):
        neurons(plan, base_pipe, cache=None, progress=Silent())


def test_two_encoders_get_their_own_in_the_layers_that_the_pipeline_reads(tmp_path, plan_for):
    folder = build_tiny_model(tmp_path / "xl", family="sdxl", widths=WIDTHS["sdxl"])
    plan = plan_for(method="neurons", concepts=("ship",), base=read_manifest(str(folder)))
    erase(plan, tmp_path / "out", device="cpu")
    delta = read_delta(tmp_path / "out" / "delta" / "erasure.safetensors")
    pipe = load_pipeline(tmp_path / "out" / "model", device="cpu")
    assert {name: one.layer for name, one in delta.neurons.items()} == {
        name: getattr(pipe, name).config.num_hidden_layers - 2 for name in ("text_encoder", "text_encoder_2")}
