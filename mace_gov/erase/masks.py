"""Where in a training picture the concept is. The default asks the model's own cross-attention, no second network."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.generate import decode
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import ErasurePlan, SegmenterSettings, Target
from mace_gov.erase.segmenter import GroundedSegmenter
from mace_gov.erase.training_pictures import TrainingPictures


class MaskProvider(Protocol):
    """Anything that finds a concept in training pictures, from attention or with a segmenter of its own."""

    def __call__(self, pipe: Pipeline, plan: ErasurePlan, target: Target, pictures: TrainingPictures) -> torch.Tensor:
        """Bool masks [n, h, w] at the latents' resolution, none of them empty. pipe: what drew the pictures."""
        ...


def attention_masks(pipe: Pipeline, plan: ErasurePlan, target: Target, pictures: TrainingPictures) -> torch.Tensor:
    """Threshold each picture's heat by Otsu's method and keep the largest component."""
    return torch.stack([torch.from_numpy(largest_component(otsu_mask(heat.numpy()))) for heat in pictures.heat])


def no_masks(pipe: Pipeline, plan: ErasurePlan, target: Target, pictures: TrainingPictures) -> torch.Tensor:
    """The whole picture, for concepts that are everywhere, like styles."""
    return torch.ones(pictures.heat.shape, dtype=torch.bool)


def segmenter_masks(pipe: Pipeline, plan: ErasurePlan, target: Target, pictures: TrainingPictures) -> torch.Tensor:
    """What the plan's segmenter cuts out, all of it; of a picture in which it finds nothing, the attention's mask.

    Raises ModelError when it finds the concept in none of the pictures.
    """
    segments = _segmenter(pipe, plan)
    decoded = (decode(pipe, latents[None].to(pipe.vae.device, pipe.vae.dtype))[0] for latents in pictures.latents)
    found = [segments([image], target.target)[0] for image in decoded]
    if all(mask is None for mask in found):
        raise ModelError(
            f"{target.id}: the detector finds '{target.target}' in none of its {len(found)} training pictures at the "
            f"threshold {segments.threshold:g}", hint="Lower method.segmenter.threshold, or leave it out.")
    attention = attention_masks(pipe, plan, target, pictures)
    return torch.stack([other if mask is None else cells(mask, other.shape[-1])
                        for mask, other in zip(found, attention, strict=True)])


def cells(mask: torch.Tensor, side: int) -> torch.Tensor:
    """A mask [height, width] in side x side cells: those that it half covers, or, if there are none, all it touches."""
    covered = F.adaptive_avg_pool2d(mask.float()[None, None], side)[0, 0]
    return covered >= 0.5 if covered.max() >= 0.5 else covered > 0


_LOADED: WeakKeyDictionary[Pipeline, tuple[SegmenterSettings, GroundedSegmenter]] = WeakKeyDictionary()


def _segmenter(pipe: Pipeline, plan: ErasurePlan) -> GroundedSegmenter:
    """The plan's, loaded once for as long as the pipeline is held."""
    if plan.segmenter is None:
        raise ModelError("a target's masks are the segmenter's, found a plan without one",
                         hint="Name method.segmenter in the policy.")
    asked, loaded = _LOADED.get(pipe, (None, None))
    if loaded is None or asked != plan.segmenter:
        loaded = GroundedSegmenter.load(plan.segmenter, pipe.unet.device)
        _LOADED[pipe] = plan.segmenter, loaded
    return loaded


PROVIDERS: dict[str, MaskProvider] = {"attention": attention_masks, "segmenter": segmenter_masks, "none": no_masks}
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
    labels: np.ndarray
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    largest: np.ndarray = labels == 1 + int(sizes.argmax())
    return largest
