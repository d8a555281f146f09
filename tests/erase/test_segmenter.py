"""Masks by Grounding DINO and SAM: loaded safely, planned by content, everything found is kept."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mace_gov.core.errors import ModelError, PolicyError
from mace_gov.core.progress import Silent
from mace_gov.diffusion.segmenters import read_segmenter
from mace_gov.documents.method import Segmenter
from mace_gov.documents.reuse import lora_key
from mace_gov.erase import masks as module
from mace_gov.erase.masks import attention_masks, cells, segmenter_masks
from mace_gov.erase.methods.mace import mace
from mace_gov.erase.segmenter import GroundedSegmenter
from mace_gov.erase.training_pictures import TrainingPictures
from mace_gov.workflow.planning import plan_policy
from tests.cli.conftest import run
from tests.erase.tiny_segmenter import build_detector, build_segmenter
from tests.preflight.test_checks import written

__all__ = ["run"]
PICTURES = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (48, 48, 3), dtype=np.uint8)) for n in range(2)]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("networks")
    return build_detector(root / "detector"), build_segmenter(root / "segmenter")


def asked(folders, **changes) -> Segmenter:
    return Segmenter(**{"detector": str(folders[0]), "segmenter": str(folders[1]), **changes})


@pytest.fixture(scope="module")
def looking(folders):
    return GroundedSegmenter.load(read_segmenter(asked(folders, threshold=1e-6)), CPU)


def test_both_networks_run_and_every_box_above_the_threshold_counts(looking):
    found = looking.boxes(PICTURES, "a Ship.")
    assert [boxes.shape for boxes in found] == [(10, 4)] * 2  # random weights: every query, at so low a threshold
    for mask in looking(PICTURES, "ship"):
        assert mask is None or (mask.shape == (48, 48) and mask.dtype == torch.bool)
    looking.threshold = 0.999999
    try:
        assert looking(PICTURES, "ship") == [None, None]
    finally:
        looking.threshold = 1e-6


def test_the_words_reach_the_detector(looking):
    one, other = (looking.boxes(PICTURES[:1], phrase)[0] for phrase in ("ship", "dog house"))
    assert one.shape != other.shape or not torch.allclose(one, other)


class Boxes:
    """Stands for SAM: a mask is its box."""

    device = CPU

    def __call__(self, pixel_values, input_boxes, multimask_output):
        side = pixel_values.shape[-1]
        masks = torch.full((1, input_boxes.shape[1], 1, side, side), -1.0)
        for mask, (left, top, right, bottom) in zip(masks[0, :, 0], input_boxes[0].round().int().tolist(), strict=True):
            mask[top:bottom, left:right] = 1.0
        return SimpleNamespace(pred_masks=masks)


def test_all_boxes_and_all_components_are_kept(looking, monkeypatch):
    monkeypatch.setattr(looking, "segmenter", Boxes())
    wanted = torch.tensor([[3.0, 3.0, 12.0, 9.0], [30.0, 30.0, 45.0, 45.0]])
    monkeypatch.setattr(looking, "boxes", lambda images, phrase: [wanted, wanted[:0]])
    found, nothing = looking(PICTURES, "ship")
    assert nothing is None
    expected = torch.zeros(48, 48, dtype=torch.bool)
    expected[3:9, 3:12] = expected[30:45, 30:45] = True
    assert (found ^ expected).float().mean() < 0.02  # the mask is drawn at 32 pixels and scaled back to 48
    seen = cells(found, 8)
    assert seen[1, 1] and seen[6, 6] and not seen[3, 3]


def test_a_cell_counts_that_is_half_covered_or_any_where_none_is():
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:8, :3] = True
    assert cells(mask, 4)[:, 0].tolist() == [True, True, False, False] and cells(mask, 4).sum() == 2
    speck = torch.zeros(16, 16, dtype=torch.bool)
    speck[15, 15] = True
    assert cells(speck, 4)[3, 3] and cells(speck, 4).sum() == 1


def planned(plan_for, folders, **changes):
    plan = plan_for(concepts=("ship",), lora={"masks": "segmenter", "steps": 1, "images": 2})
    return plan.model_copy(update={"segmenter": read_segmenter(asked(folders, threshold=1e-6)), **changes})


def test_where_nothing_is_found_the_attention_s_mask_stands_and_nowhere_at_all_is_refused(
    plan_for, folders, base_pipe, monkeypatch
):
    plan = planned(plan_for, folders)
    generator = torch.Generator().manual_seed(0)
    pictures = TrainingPictures(torch.randn(2, 4, 8, 8, generator=generator), torch.rand(2, 8, 8, generator=generator))
    corner = torch.zeros(16, 16, dtype=torch.bool)
    corner[:4, :4] = True
    answers = iter([corner, None, None, None])

    class Answers:
        threshold = plan.segmenter.threshold

        def __call__(self, images, phrase):
            return [next(answers)]

    monkeypatch.setattr(module, "_segmenter", lambda _pipe, _plan: Answers())
    one, two = segmenter_masks(base_pipe, plan, plan.targets[0], pictures)
    assert one.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert torch.equal(two, attention_masks(None, None, None, pictures)[1])
    with pytest.raises(ModelError, match="finds 'ship' in none of its 2 training pictures at the threshold 1e-06"):
        segmenter_masks(base_pipe, plan, plan.targets[0], pictures)


def test_a_lora_is_trained_inside_the_segmenter_s_masks(plan_for, folders, base_pipe):
    made = mace(planned(plan_for, folders), base_pipe, cache=None, progress=Silent())
    assert made.loras[0].coverage is not None
    asked, loaded = module._LOADED[base_pipe]
    assert isinstance(loaded, GroundedSegmenter)
    plan = planned(plan_for, folders, segmenter=asked)
    assert module._segmenter(base_pipe, plan) is loaded
    other = plan.model_copy(update={"segmenter": asked.model_copy(update={"threshold": 0.5})})
    assert module._segmenter(base_pipe, other).threshold == 0.5


def test_a_lora_is_reused_only_where_the_same_networks_made_its_masks(plan_for, folders):
    plan = planned(plan_for, folders)
    other = plan.segmenter.model_copy(update={"segmenter_digest": "0" * 64})
    assert lora_key(plan, plan.targets[0]) != lora_key(plan.model_copy(update={"segmenter": other}), plan.targets[0])


def test_networks_that_changed_since_the_plan_are_refused(folders, tmp_path):
    copy = shutil.copytree(folders[1], tmp_path / "segmenter")
    settings = read_segmenter(asked((folders[0], copy)))
    config = json.loads((copy / "preprocessor_config.json").read_text()) if (
        copy / "preprocessor_config.json").is_file() else {}
    (copy / "preprocessor_config.json").write_text(json.dumps({**config, "do_normalize": False}))
    with pytest.raises(ModelError, match="method.segmenter.segmenter: .* has digest .*, planned was"):
        GroundedSegmenter.load(settings, CPU)


def spoilt(folders, tmp_path, change) -> str:
    copy = shutil.copytree(folders[0], tmp_path / "detector")
    change(copy)
    with pytest.raises(ModelError) as refused:
        read_segmenter(asked((copy, folders[1])))
    return refused.value.message


def configured(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return change


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(("change", "told"), [
    (pickled, "no weights as safetensors"),
    (configured(auto_map={"AutoModel": "evil.Model"}), "has auto_map, which leads a loader to other code"),
    (configured(use_timm_backbone=True), "has use_timm_backbone, which leads a loader to other code or weights"),
    (configured(use_pretrained_backbone=True), "has use_pretrained_backbone"),
    (configured(model_type="sam"), "model_type 'sam', expected 'grounding-dino'"),
    (lambda folder: (folder / "modeling.py").write_text(""), "modeling.py: is code"),
    (lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter_config.json: puts an adapter"),
    (lambda folder: (folder / "config.json").unlink(), "config.json cannot be read"),
])
def test_what_would_run_code_or_is_another_model_is_refused_before_it_is_loaded(folders, tmp_path, change, told):
    assert told in spoilt(folders, tmp_path, change)


def test_a_weight_that_the_file_lacks_is_not_made_up(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folders[0], tmp_path / "detector")
    tensors = load_file(copy / "model.safetensors")
    lacking = next(name for name in tensors if "encoder_output" in name or "enc_output" in name)
    del tensors[lacking]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has no weights for"):
        GroundedSegmenter.load(read_segmenter(asked((copy, folders[1]))), CPU)


def test_the_plan_names_the_networks_by_content_and_the_policy_s_mistakes_have_a_line(folders, tmp_path, run):
    method = {"segmenter": {"detector": str(folders[0]), "segmenter": str(folders[1])}}
    _, plan, _ = plan_policy(written(tmp_path / "p.yaml", spec={"method": method}), registry=tmp_path)
    assert plan.segmenter == read_segmenter(asked(folders)) and plan.segmenter.threshold == 0.3
    assert plan.targets[0].lora.masks == "segmenter"
    code, said, _ = run("plan", tmp_path / "p.yaml", "--registry", tmp_path, "--no-calibrate")
    assert code == 0 and f"sha256:{plan.segmenter.detector_digest}, score 0.3 or more" in said
    for wrong, told in (
        ({**method, "lora": {"masks": "attention"}}, "found method.segmenter beside masks: attention"),
        ({"lora": {"masks": "segmenter"}}, "masks: segmenter needs method.segmenter"),
    ):
        with pytest.raises(PolicyError, match=told):
            plan_policy(written(tmp_path / "wrong.yaml", spec={"method": wrong}), registry=tmp_path)
    gone = {"segmenter": {"detector": "./nowhere", "segmenter": str(folders[1])}}
    with pytest.raises(ModelError, match="method.segmenter.detector: './nowhere' is no folder"):
        plan_policy(written(tmp_path / "gone.yaml", spec={"method": gone}), registry=tmp_path)
