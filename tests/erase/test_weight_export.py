"""A version for other tools: the same weights in every form, and no LoRA that would be another model."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from mace_gov.core.digest import folder_files
from mace_gov.core.errors import ModelError, UsageError
from mace_gov.diffusion.layout import places
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.projections import projections
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.engine import erase
from mace_gov.erase.weight_export import export_weights
from tests.conftest import WIDTHS, build_tiny_model

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def version(plan_for, tmp_path_factory):
    out = tmp_path_factory.mktemp("version")
    plan = plan_for()
    return plan, erase(plan, out, device="cpu"), out


def delta_of(version):
    return version[2] / "delta" / "erasure.safetensors"


def test_the_folder_is_the_governed_model_to_the_byte(version, tmp_path):
    plan, record, _ = version
    written = export_weights(delta_of(version), plan.base, "diffusers", tmp_path / "out")
    assert folder_files(written.path) == record.governed_files


def test_the_single_file_holds_the_governed_weights(version, tmp_path):
    plan, _, out = version
    written = export_weights(delta_of(version), plan.base, "single-file", tmp_path / "model.safetensors")
    found, expected = load_file(written.path), load_file(out / "model" / UNET)
    config = dict(load_pipeline(out / "model", device="cpu").unet.config)
    for name, place in places("sd1", "unet", list(expected), config).items():
        assert torch.equal(found[place.name], expected[name]), name


def test_a_lora_of_full_rank_draws_as_the_governed_model_does(version, tmp_path):
    plan, _, out = version
    written = export_weights(delta_of(version), plan.base, "lora", tmp_path / "lora", rank=32)
    assert written.rank == 32 and written.error < 1e-6
    base, governed = load_pipeline(plan.base.path, device="cpu"), load_pipeline(out / "model", device="cpu")
    base.load_lora_weights(str(tmp_path / "lora"))
    x, states = torch.ones(1, 4, 8, 8), torch.randn(1, 77, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = (pipe.unet(x, 10, encoder_hidden_states=states).sample for pipe in (base, governed))
    assert torch.allclose(one, other, atol=1e-5)


def test_the_pooled_text_of_sdxl_goes_along_in_every_form(plan_for, tmp_path):
    folder = build_tiny_model(tmp_path / "sdxl", family="sdxl", widths=WIDTHS["sdxl"])
    plan = plan_for(method="uce", base=read_manifest(str(folder)), templates=["a photo of {}"])
    record = erase(plan, tmp_path / "out", device="cpu")
    name, delta = "add_embedding.linear_1.weight", tmp_path / "out" / "delta" / "erasure.safetensors"
    expected, before = (load_file(place / UNET)[name] for place in (tmp_path / "out" / "model", folder))
    assert not torch.allclose(expected, before, atol=1e-3)
    assert folder_files(export_weights(delta, plan.base, "diffusers", tmp_path / "again").path) == record.governed_files
    single = load_file(export_weights(delta, plan.base, "single-file", tmp_path / "one.safetensors").path)
    assert torch.equal(single["model.diffusion_model.label_emb.0.0.weight"], expected)
    lora = load_file(export_weights(delta, plan.base, "lora", tmp_path / "lora", rank=288).path)
    stem = "unet.add_embedding.linear_1"
    change = lora[f"{stem}.lora_B.weight"] @ lora[f"{stem}.lora_A.weight"]
    assert torch.allclose(before + change, expected, atol=1e-5)


def test_a_lora_that_misses_too_much_is_refused_with_its_error(version, tmp_path):
    plan, _, _ = version
    with pytest.raises(ModelError, match=r"a LoRA of rank 1 misses \d+\.\d% of the change, expected at most 5%"):
        export_weights(delta_of(version), plan.base, "lora", tmp_path / "lora", rank=1)
    assert not (tmp_path / "lora").exists()


def test_the_error_is_the_share_of_the_change_that_is_left_out(plan_for, base_pipe, tmp_path):
    """Rank-one changes of length 1, and 0.03 across it: a LoRA of rank 1 misses the 0.03."""
    base = plan_for().base
    left, right = {}, {}
    for name, layer in projections(base_pipe.unet).items():
        out, width = layer.weight.shape
        left[name], right[name] = torch.zeros(out, 2), torch.zeros(2, width)
        left[name][0, 0], left[name][1, 1], right[name][0, 0], right[name][1, 1] = 1, 0.03, 1, 1
    about = {"baseDigest": base.digest}
    ErasureDelta(torch.eye(width).double(), left, right, about).write(tmp_path / "delta")
    written = export_weights(tmp_path / "delta", base, "lora", tmp_path / "lora", rank=1)
    assert written.error == pytest.approx(0.03, rel=0.01)


def test_another_base_and_a_taken_place_are_refused(version, tmp_path):
    plan, _, _ = version
    with pytest.raises(ModelError, match="was made for the base model"):
        other = plan.base.model_copy(update={"digest": "1" * 64})
        export_weights(delta_of(version), other, "diffusers", tmp_path / "out")
    (tmp_path / "taken").write_text("here")
    with pytest.raises(UsageError, match="exists already"):
        export_weights(delta_of(version), plan.base, "single-file", tmp_path / "taken")
