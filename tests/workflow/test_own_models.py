"""Finetunes, merges and single files of the published structures, through plan, apply, verify and load."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import mace_gov
from mace_gov import workflow
from mace_gov.core.errors import ModelError
from mace_gov.core.memory import peak_memory
from mace_gov.diffusion import published
from mace_gov.diffusion.contents import weight_files
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.single_file import pack
from mace_gov.documents.plan import GenerationSettings
from mace_gov.documents.verdict import Outcome
from mace_gov.workflow.planning import BaseChoice
from tests.erase.test_full_size import build
from tests.workflow import published_models as models
from tests.workflow.planting import METHOD, World, policy_file

QUICK = {**METHOD, "lora": {"steps": 2, "images": 1, "learningRate": 0.001}, "refine": {"relativeRidge": 0.1},
         "fuse": {"relativeRidge": 0.1}}
SETTINGS = GenerationSettings(steps=2, guidance=3.0, size=64, batch=4)


@pytest.fixture
def family(request, monkeypatch):
    models.fewer_channels(monkeypatch)
    monkeypatch.setattr("mace_gov.plan.build.generation_settings", lambda *_: SETTINGS)
    monkeypatch.setattr("mace_gov.diffusion.manifest.fetch", lambda *_: pytest.fail("asked the hub"))
    return request.param


def finetune(folder, family):
    return models.rewritten(models.write_model(folder, family), models.finetuned)


def merge(folder, family):
    """A finetune and its base, in mixed precisions."""
    one, other = models.write_model(folder, family), finetune(folder.with_name("other"), family)
    parts = models.merged(one, other)
    return models.rewritten(one, lambda part, name, _value: parts[part][name])


def single_file(folder, family):
    """A merge as one file."""
    file = folder.with_suffix(".safetensors")
    pack(merge(folder, family), family, file)
    return file


EVERY = [(family, make) for family in ("sd1", "sd2", "sdxl") for make in (finetune, merge, single_file)]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("family", "make"), [
    pytest.param(*each, id=f"{each[0]}-{each[1].__name__}") for each in EVERY
], indirect=["family"])
def test_an_own_model_is_planned_governed_verified_and_loaded(root, tmp_path, family, make, monkeypatch):
    governed(make(tmp_path / "own", family), family, root, tmp_path, monkeypatch)


def governed(model: Path, family: str, root: Path, folder: Path, monkeypatch) -> None:
    """Plan, apply, verify and load; only what reads text differs after it."""
    world = World(model, root, monkeypatch)
    if model.suffix:  # planted pictures tell the base from what is made of it by its digest
        world.model = Path(read_manifest(str(model), registry=world.registry).path)
        # and the planted judge reads pictures that are smaller than a single file's
        monkeypatch.setattr("mace_gov.workflow.planning.check_sight", lambda *_: None)
    world.plant()
    policy = policy_file(folder, method=QUICK)

    _, plan, _ = workflow.plan_policy(policy, BaseChoice(str(model)), registry=world.registry)
    assert (plan.base.family, plan.base.text_width) == (family, sum(t["hidden_size"] for t in published.TEXTS[family]))
    if model.suffix:
        scheduler = json.loads((world.model / "scheduler/scheduler_config.json").read_text())
        assert scheduler["prediction_type"] == ("v_prediction" if family == "sd2" else "epsilon")

    done = world.apply(policy, model=str(model))
    assert done.verdict.outcome is Outcome.PASS
    verified, _, _ = workflow.verify_path(done.folder, key=None, registry=world.registry)
    assert verified.evidence.plan.base.digest == plan.base.digest
    stages = [system.stage for system in verified.evidence.erasure.systems]
    assert stages == ["refine", "fuse", *(["pooled"] if family == "sdxl" else [])]

    before, after = (load_file(weight_files(place / "unet")[0]) for place in (world.model, done.folder / "model"))
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    expected = {name for name in before if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))}
    assert changed == expected | ({"add_embedding.linear_1.weight"} if family == "sdxl" else set())
    assert all(after[name].dtype == value.dtype for name, value in before.items())  # mixed ones stay mixed
    del before, after

    pipe = mace_gov.load(done.version, registry=world.registry)
    (picture,) = draw(pipe, ["a photo of a ship"], [1], SETTINGS)
    assert picture.size == (64, 64)


@pytest.mark.full_size
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_single_file_of_the_published_size_is_planned_governed_verified_and_loaded(
    root, tmp_path, family, monkeypatch
):
    monkeypatch.setattr("mace_gov.plan.build.generation_settings", lambda *_: SETTINGS)
    file, started = tmp_path / "own.safetensors", time.monotonic()
    pack(build(tmp_path / "folder", family), family, file)
    shutil.rmtree(tmp_path / "folder")
    with peak_memory() as peak:
        governed(file, family, root, tmp_path, monkeypatch)
    print(f"\n{family}: {file.stat().st_size / 2**30:.1f} GiB, {time.monotonic() - started:.0f} s, "
          f"peak {peak.bytes / 2**30:.1f} GiB")


def with_lora(pipe):
    from peft import LoraConfig

    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["attn2.to_v"], init_lora_weights=False))
    return pipe


def test_a_finetune_by_lora_is_taken_once_it_is_merged_and_refused_before(tmp_path, tiny_model):
    pipe = with_lora(load_pipeline(tiny_model, device="cpu"))
    loose = shutil.copytree(tiny_model, tmp_path / "loose")
    pipe.unet.save_pretrained(loose / "unet", safe_serialization=True)
    with pytest.raises(ModelError, match=r"unet/diffusion.*: has weights of adapters .*fuse_lora"):
        read_manifest(str(loose))
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    whole = shutil.copytree(tiny_model, tmp_path / "whole")
    pipe.unet.save_pretrained(whole / "unet", safe_serialization=True)
    assert read_manifest(str(whole)).digest != read_manifest(str(tiny_model)).digest
    load_pipeline(whole, device="cpu")
