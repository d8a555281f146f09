"""Each family end to end: what surrounds an erased concept gives its anchor's keys and values, as measured."""

from __future__ import annotations

import pytest
import torch

from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.projections import cross_attention, projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ClosedForm, PreserveSettings
from mace_gov.erase.engine import erase
from mace_gov.erase.methods.aligned import aligned_pairs
from mace_gov.erase.second_moments import coexisting_pairs

TEMPLATE = "a photo of {}"
PAIRS = {"mace": coexisting_pairs, "uce": aligned_pairs}
"""What each method promises to move, for a method whose own tokens or whose surroundings it edits."""


@pytest.fixture(scope="module", params=PAIRS)
def erased(request, family_model, plan_for, tmp_path_factory):
    """Method, base pipeline, governed pipeline: "ship" mapped to "sky", which stays as it is."""
    family, folder = family_model
    sky = PreserveSettings(prior="none", scale=0.0, concepts=["sky"], concept_scale=1.0)
    plan = plan_for(method=request.param, base=read_manifest(str(folder)), concepts=("ship",), templates=[TEMPLATE],
                    refine=ClosedForm(relative_ridge=1e-6), preserve=sky,
                    lora={"steps": 2, "images": 1, "learning_rate": 1e-4})
    out = tmp_path_factory.mktemp(f"{family}-{request.param}")
    record = erase(plan, out, device="cpu")
    assert read_manifest(str(out / "model")).family == family
    assert len(record.loras) == (1 if request.param == "mace" else 0)
    return request.param, load_pipeline(folder, device="cpu"), load_pipeline(out / "model", device="cpu")


def prompts(pipe):
    """Tokens and states [L, d] of the target's and of the anchor's prompt."""
    reader = TextReader.of(pipe)
    one, other = reader.fill(TEMPLATE, "ship"), reader.fill(TEMPLATE, "sky")
    source, anchor = reader.states([one, other])
    return one, other, source, anchor


def test_keys_and_values_of_the_edited_tokens_are_the_anchors(erased):
    method, base, governed = erased
    one, other, source, anchor = prompts(base)
    pairs = PAIRS[method](one, other)
    e_s, e_t = source[[i for i, _ in pairs]], anchor[[j for _, j in pairs]]
    layers = projections(base.unet)
    for name, layer in projections(governed.unet).items():
        before, after, wanted = layers[name](e_s), layer(e_s), layers[name](e_t)
        assert (before - wanted).norm() > 1e-2 * wanted.norm(), name  # there was something to change
        assert (after - wanted).norm() < 0.1 * (before - wanted).norm(), name


def test_cross_attention_puts_out_nearly_what_it_does_for_the_anchor(erased):
    method, base, governed = erased
    *_, source, anchor = prompts(base)
    theirs = cross_attention(governed.unet)
    near = {"mace": 0.6, "uce": 0.1}[method]  # refinement leaves the concept's own token to the LoRA
    for name, layer in cross_attention(base.unet).items():
        pixels = torch.randn(1, 16, layer.to_q.in_features, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            before, wanted = (layer(pixels, encoder_hidden_states=states[None]) for states in (source, anchor))
            after = theirs[name](pixels, encoder_hidden_states=source[None])
        assert (after - wanted).norm() < near * (before - wanted).norm(), name
