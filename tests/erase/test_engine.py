"""The verb: pristine base, all or nothing, the same twice, and reuse that changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mace_gov.core.digest import folder_files, sha256_file
from mace_gov.core.errors import ModelError, NumericalError, UsageError
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ClosedForm, PreserveSettings
from mace_gov.erase import engine
from mace_gov.erase.delta import read_delta
from mace_gov.erase.engine import compute, erase
from mace_gov.erase.methods import mace

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def erased(plan_for, tmp_path_factory):
    """A plan, its record, the version folder and the cache, run once."""
    folder = tmp_path_factory.mktemp("erased")
    plan = plan_for()
    return plan, erase(plan, folder / "out", cache=folder / "cache", device="cpu"), folder / "out", folder / "cache"


def test_base_is_only_read_and_all_but_the_unet_is_copied(erased, tiny_model):
    plan, record, out, _ = erased
    assert folder_files(tiny_model) == plan.base.files
    files = folder_files(out / "model")
    assert record.governed_files == files
    assert {name for name in files if files[name] != plan.base.files.get(name)} == {UNET}
    assert files.keys() == plan.base.files.keys()


def test_only_the_cross_attention_projections_changed(erased, tiny_model):
    _, _, out, _ = erased
    base, governed = load_file(tiny_model / UNET), load_file(out / "model" / UNET)
    changed = {name for name in base if not torch.equal(base[name], governed[name])}
    assert changed == {name for name in base if name.endswith((".attn2.to_k.weight", ".attn2.to_v.weight"))}


def test_delta_applied_to_the_base_is_the_governed_model(erased, base_pipe):
    plan, record, out, _ = erased
    delta = read_delta(out / "delta" / "erasure.safetensors")
    assert delta.about["baseDigest"] == plan.base.digest
    assert delta.about["concepts"] == ["ship", "mira", "dog"]
    assert record.delta_digest == sha256_file(out / "delta" / "erasure.safetensors")
    governed = load_file(out / "model" / UNET)
    weights = delta.apply({name: layer.weight for name, layer in projections(base_pipe.unet).items()})
    for name, weight in weights.items():
        assert torch.equal(weight.float(), governed[f"{name}.weight"])


def test_same_plan_gives_the_same_digests_with_and_without_the_cache(erased, tmp_path, monkeypatch):
    plan, record, _, cache = erased
    anew = erase(plan, tmp_path / "anew", device="cpu")
    assert (anew.governed_digest, anew.delta_digest) == (record.governed_digest, record.delta_digest)
    assert [lora.digest for lora in anew.loras] == [lora.digest for lora in record.loras]
    monkeypatch.setattr(mace, "train", lambda *_: pytest.fail("trained although the cache has it"))
    again = erase(plan, tmp_path / "again", cache=cache, device="cpu")
    assert all(lora.reused for lora in again.loras) and not any(lora.reused for lora in record.loras)
    assert (again.governed_digest, again.delta_digest) == (record.governed_digest, record.delta_digest)


def test_a_changed_setting_or_a_spoilt_cache_trains_anew(erased, plan_for, tmp_path):
    plan, record, _, cache = erased
    other = erase(plan_for(lora={"steps": 3}), tmp_path / "other", cache=cache, device="cpu")
    assert not any(lora.reused for lora in other.loras)
    first = record.loras[0]
    spoilt = cache / "loras" / first.key / first.refinement / "pytorch_lora_weights.safetensors"
    good = spoilt.read_bytes()
    spoilt.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    again = erase(plan, tmp_path / "again", cache=cache, device="cpu")
    spoilt.write_bytes(good)
    assert [lora.reused for lora in again.loras] == [False, True, True]
    assert again.governed_digest == record.governed_digest


def test_another_concept_costs_one_lora_and_an_exact_plan_all(plan_for, tmp_path, monkeypatch):
    cache, trained = tmp_path / "cache", []
    train = mace.train

    def watched(pipe, plan, targets, *others):
        trained.extend(target.id for target in targets)
        return train(pipe, plan, targets, *others)

    monkeypatch.setattr(mace, "train", watched)
    before = erase(plan_for(concepts=("ship", "dog")), tmp_path / "before", cache=cache, device="cpu")
    assert trained == ["ship", "dog"]
    added = erase(plan_for(), tmp_path / "added", cache=cache, device="cpu")
    assert trained == ["ship", "dog", "mira"]
    assert [lora.reused for lora in added.loras] == [True, False, True]
    assert {lora.refinement for lora in before.loras} == {added.loras[0].refinement} != {added.loras[1].refinement}
    assert any("trained on the refinement of other targets and kept: ship, dog" in word for word in added.warnings)
    exact = erase(plan_for(exact=True), tmp_path / "exact", cache=cache, device="cpu")
    assert trained[3:] == ["ship", "mira", "dog"]  # mira, trained on this very refinement, runs along and stays
    assert [lora.reused for lora in exact.loras] == [False, True, False]
    fresh = erase(plan_for(exact=True), tmp_path / "fresh", device="cpu")
    weights = {r.governed_digest: load_file(tmp_path / name / "model" / UNET)
               for name, r in (("exact", exact), ("fresh", fresh), ("added", added))}
    one, other, kept = (weights[r.governed_digest] for r in (exact, fresh, added))
    name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight"
    rounding = (one[name] - other[name]).norm()  # of what shares a forward pass
    assert rounding < 0.01 * (one[name] - kept[name]).norm()
    back = erase(plan_for(concepts=("ship", "dog")), tmp_path / "back", cache=cache, device="cpu")
    assert back.governed_digest == before.governed_digest  # its own LoRAs before any later ones


def test_adapters_lie_where_the_record_says(erased):
    _, record, out, _ = erased
    assert [lora.concept for lora in record.loras] == ["ship", "mira", "dog"]
    for lora in record.loras:
        assert sha256_file(out / lora.file) == lora.digest
    assert [system.stage for system in record.systems] == ["refine", "fuse"]
    assert set(record.seconds) == {"load", "preserve", "refine", "pictures", "lora", "fuse", "save"}


def test_governed_model_loads_and_fusion_took_part(erased, base_pipe):
    plan, _, out, cache = erased
    governed = load_pipeline(out / "model", device="cpu")
    assert torch.isfinite(governed.unet(torch.ones(1, 4, 8, 8), 10, torch.ones(1, 77, 32)).sample).all()
    alone = compute(plan, base_pipe, cache=cache, fusion="none")
    summed = compute(plan, base_pipe, cache=cache, fusion="sum")
    base = {name: layer.weight for name, layer in projections(base_pipe.unet).items()}
    fused = {name: layer.weight for name, layer in projections(governed.unet).items()}
    for other in (alone, summed):
        weights = other.delta.apply(base)
        assert any((weight.float() - fused[name]).abs().max() > 1e-5 for name, weight in weights.items())
    assert not alone.loras and not alone.delta.left


def test_zero_steps_is_refinement_alone(plan_for, tmp_path):
    record = erase(plan_for(lora={"steps": 0}), tmp_path / "out", device="cpu")
    assert record.loras == []
    assert [system.stage for system in record.systems] == ["refine"]
    assert not read_delta(tmp_path / "out" / "delta" / "erasure.safetensors").left
    assert (tmp_path / "out" / "loras").is_dir()


def test_failure_while_writing_leaves_nothing_behind(erased, tmp_path, monkeypatch):
    plan, _, _, cache = erased

    def disk_full(_base: Path, out: Path, *_what: object) -> None:
        (out / "half").write_text("written")
        raise OSError("no space left on device")

    monkeypatch.setattr(engine, "save_governed", disk_full)
    with pytest.raises(OSError, match="no space"):
        erase(plan, tmp_path / "out", cache=cache, device="cpu")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_hopeless_system_is_refused_before_anything_is_written(plan_for, tmp_path):
    hopeless = plan_for(refine=ClosedForm(ridge=0.0),
                        preserve=PreserveSettings(prior="none", scale=0.0, concepts=[], concept_scale=0.0),
                        templates=["a photo of {}"], concepts=("ship",))
    with pytest.raises(NumericalError, match="refine: condition number"):
        erase(hopeless, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_taken_is_refused(plan_for, tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        erase(plan_for(), tmp_path, device="cpu")


def test_a_base_that_changed_since_it_was_planned_is_refused(plan_for, manifest, tmp_path):
    files = {**manifest.files, "unet/config.json": "0" * 64}
    with pytest.raises(ModelError, match=r"changed since it was planned: unet/config\.json"):
        erase(plan_for(base=manifest.model_copy(update={"files": files})), Path(tmp_path / "out"), device="cpu")


def test_weights_are_the_bases_again_after_compute(plan_for, base_pipe):
    before = {name: layer.weight.clone() for name, layer in projections(base_pipe.unet).items()}
    compute(plan_for(), base_pipe)
    assert all(torch.equal(before[name], layer.weight) for name, layer in projections(base_pipe.unet).items())


def test_what_may_never_be_drawn_is_refined_without_a_picture(plan_for, tmp_path, monkeypatch):
    plan = plan_for(concepts=("ship", "dog"))
    banned = plan.targets[0].model_copy(update={"target": "a naked teenager"})
    drawn = []
    draw = mace.training_pictures
    monkeypatch.setattr(mace, "training_pictures", lambda *a: drawn.extend(t.id for t in a[2]) or draw(*a))
    record = erase(plan.model_copy(update={"targets": [banned, plan.targets[1]]}), tmp_path / "out", device="cpu")
    assert drawn == ["dog"]
    assert [lora.concept for lora in record.loras] == ["dog"]
    assert any("no picture of it may ever be made: ship" in warning for warning in record.warnings)
