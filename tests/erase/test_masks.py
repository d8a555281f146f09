"""Masks: Otsu's cut, the largest component, and their size in each layer."""

from __future__ import annotations

import numpy as np
import torch

from mace_gov.erase.lora_objective import attention_loss, masks_for
from mace_gov.erase.masks import attention_masks, largest_component, no_masks, otsu_mask, otsu_threshold
from mace_gov.erase.training_pictures import TrainingPictures


def planted(noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """A bright 5 x 6 blob and a bright speck on a dim noisy ground, [16, 16]; and the blob alone."""
    heat = np.random.default_rng(0).normal(0.2, noise, (16, 16))
    blob = np.zeros((16, 16), dtype=bool)
    blob[3:8, 4:10] = True
    heat[blob] += 0.6
    heat[14, 14] = 0.9
    return heat, blob


def test_otsu_finds_a_planted_blob_and_the_speck_falls_away():
    heat, blob = planted()
    assert otsu_mask(heat)[14, 14]
    assert np.array_equal(largest_component(otsu_mask(heat)), blob)


def test_otsu_cut_maximises_variance_between_the_classes():
    values = np.array([1.0, 1.1, 0.9, 5.0, 5.2, 4.9, 1.05])

    def between(cut: float) -> float:
        low, high = values[values <= cut], values[values > cut]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0.0

    assert between(otsu_threshold(values)) == max(between(cut) for cut in values)


def test_constant_heat_makes_the_whole_picture_the_mask():
    pictures = TrainingPictures(torch.zeros(2, 4, 8, 8), torch.full((2, 8, 8), 0.3))
    assert attention_masks(None, None, None, pictures).all()
    assert no_masks(None, None, None, pictures).all()


def test_components_touch_at_corners():
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[3, 3] = True
    assert largest_component(mask).sum() == 2


def test_a_layer_sees_cells_that_are_half_covered_or_any_if_none_is():
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2, :3] = True
    masks[1, 3, 3] = True
    assert masks_for(masks, 4).tolist() == [[True, True, False, False], [False, False, False, True]]
    assert torch.equal(masks_for(masks, 16), masks.flatten(1))


def test_loss_is_the_frobenius_norm_inside_the_mask_summed_over_layers():
    masks = torch.zeros(2, 2, 2, dtype=torch.bool)
    masks[0, 0, 1] = masks[1] = True
    tokens = torch.tensor([[True, False, True], [False, True, False]])
    one, other = torch.rand(2, 3, 4, 3), torch.rand(2, 1, 4, 3)
    expected = [one[0, :, 1][:, [0, 2]].norm() + other[0, :, 1][:, [0, 2]].norm(),
                one[1, ..., 1].norm() + other[1, ..., 1].norm()]
    assert torch.allclose(attention_loss([one, other], masks, tokens), torch.stack(expected))
    nothing = torch.zeros(2, 1, 4, 3, requires_grad=True)
    attention_loss([nothing], masks, tokens).sum().backward()
    assert torch.isfinite(nothing.grad).all()
