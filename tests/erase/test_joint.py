"""Stable Diffusion 3 and FLUX, experimental: what the first joint attention reads of the target is the anchor's."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.digest import folder_files
from mace_gov.core.errors import ModelError, UsageError
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.joint import JointReader
from mace_gov.diffusion.load import load_pipeline, load_text
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.plan import ClosedForm, GenerationSettings, PreserveSettings
from mace_gov.erase.engine import erase
from mace_gov.erase.methods.context import context_pairs
from mace_gov.erase.weight_export import export_weights
from tests.erase.joint_models import WIDTH, build_joint_model

TEMPLATE = "a photo of {}"


@pytest.fixture(scope="module", params=["sd3", "flux"])
def erased(request, plan_for, tmp_path_factory):
    """Family, plan, record, base and governed pipeline: "ship" mapped to "sky"."""
    root = tmp_path_factory.mktemp(request.param)
    folder = build_joint_model(root / "base", request.param)
    kept = PreserveSettings(prior="general", scale=1.0, concepts=["dog"], concept_scale=1.0)
    plan = plan_for(method="uce", base=read_manifest(str(folder), unmeasured=True), concepts=("ship",),
                    templates=[TEMPLATE], refine=ClosedForm(relative_ridge=1e-6), preserve=kept)
    record = erase(plan, root / "out", device="cpu")
    return plan, record, load_pipeline(folder, device="cpu"), load_pipeline(root / "out" / "model", device="cpu"), root


def test_it_is_refused_with_the_reason_unless_the_flag_says_so(erased):
    plan, *_ = erased
    with pytest.raises(ModelError, match=f"support of {plan.base.family} is experimental") as refused:
        read_manifest(plan.base.path)
    assert "--allow-unmeasured" in refused.value.hint
    assert (plan.base.family, plan.base.text_width) == (read_manifest(plan.base.path, unmeasured=True).family, WIDTH)


def context_of(pipe, word: str) -> dict[str, torch.Tensor]:
    """What the first block's context projections put out for a prompt with the word, [L, inner] each."""
    found: dict[str, torch.Tensor] = {}
    attention = pipe.transformer.transformer_blocks[0].attn

    def keep(name: str):
        return lambda _module, _inputs, out: found.update({name: out[0].detach()})  # None: the output stays

    hooks = [getattr(attention, name).register_forward_hook(keep(name)) for name in ("add_k_proj", "add_v_proj")]
    next(draw(pipe, [TEMPLATE.replace("{}", word)], [3], GenerationSettings(steps=1, guidance=1.0, size=16, batch=1)))
    for hook in hooks:
        hook.remove()
    return found


def test_the_targets_context_projections_become_the_anchors_and_others_stay(erased):
    _, _, base, governed, _ = erased
    rows, columns = map(list, zip(*context_pairs(JointReader(base), TEMPLATE, "ship", "sky"), strict=True))
    before, wanted, after = context_of(base, "ship"), context_of(base, "sky"), context_of(governed, "ship")
    dog, still = context_of(base, "dog"), context_of(governed, "dog")
    for name in ("add_k_proj", "add_v_proj"):
        apart = (before[name][rows] - wanted[name][columns]).norm()
        assert apart > 1e-2 * wanted[name].norm(), name
        assert (after[name][rows] - wanted[name][columns]).norm() < 0.1 * apart, name
        assert (still[name] - dog[name]).norm() < 0.1 * apart, name


def test_the_record_says_that_it_is_experimental(erased):
    plan, record, *_ = erased
    assert f"{plan.base.family}: experimental" in record.warnings[0]
    assert [system.stage for system in record.systems] == ["refine", "pooled"]


def test_other_methods_forms_and_choices_are_refused(erased, tmp_path):
    plan, record, _, _, root = erased
    with pytest.raises(UsageError, match="found method mace, expected uce"):
        erase(plan.model_copy(update={"method": "mace"}), tmp_path / "mace", device="cpu")
    delta = root / "out" / "delta" / "erasure.safetensors"
    assert folder_files(export_weights(delta, plan.base, "diffusers", tmp_path / "again").path) == record.governed_files
    for form in ("lora", "single-file"):
        with pytest.raises(ModelError, match="layout is known"):
            export_weights(delta, plan.base, form, tmp_path / form)
    with pytest.raises(ModelError, match="no anchor can be chosen"):
        load_text(plan.base.path)
