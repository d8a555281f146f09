"""Where in a training picture the concept is. The default asks the model's own cross-attention, no second network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from scipy import ndimage

from mace_gov.erase.pictures import TrainingPictures


class MaskProvider(Protocol):
    """Anything that finds a concept in training pictures, from attention or with a segmenter of its own."""

    def __call__(self, pictures: TrainingPictures) -> torch.Tensor:
        """Bool masks [n, h, w] at the latents' resolution, none of them empty."""
        ...


def attention_masks(pictures: TrainingPictures) -> torch.Tensor:
    """Threshold each picture's heat by Otsu's method and keep the largest component."""
    return torch.stack([torch.from_numpy(largest_component(otsu_mask(heat.numpy()))) for heat in pictures.heat])


def no_masks(pictures: TrainingPictures) -> torch.Tensor:
    """The whole picture, for concepts that are everywhere, like styles."""
    return torch.ones(pictures.heat.shape, dtype=torch.bool)


PROVIDERS: dict[str, MaskProvider] = {"attention": attention_masks, "none": no_masks}
"""Mask providers by the policy's name."""


def otsu_threshold(values: np.ndarray) -> float:
    """The cut that parts values into two classes with the largest variance between them (Otsu 1979), exactly.

    Values at or under the cut are background. A constant input has no cut: its own value less one is returned, so that
    everything is foreground.
    """
    ordered = np.sort(values.ravel().astype(np.float64))
    if ordered[0] == ordered[-1]:
        return float(ordered[0]) - 1
    below = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)
    mean_below = sums[:-1] / below
    mean_above = (sums[-1] - sums[:-1]) / (ordered.size - below)
    between = below * (ordered.size - below) * (mean_below - mean_above) ** 2
    between[ordered[1:] == ordered[:-1]] = -1  # equal values cannot be parted
    return float(ordered[int(between.argmax())])


def otsu_mask(heat: np.ndarray) -> np.ndarray:
    """Bool [h, w], true where heat is over Otsu's threshold."""
    return heat > otsu_threshold(heat)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 8-connected component of a bool mask [h, w]; the first of equals. An empty mask stays empty."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return labels == 1 + int(sizes.argmax())
