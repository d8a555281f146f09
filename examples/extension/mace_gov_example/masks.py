"""A mask provider: the concept is in the middle half of the picture."""

from __future__ import annotations

import torch

from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.erase.training_pictures import TrainingPictures


def middle(pipe: Pipeline, plan: ErasurePlan, target: Target, pictures: TrainingPictures) -> torch.Tensor:
    """Bool masks [n, h, w]. See ``mace_gov.erase.masks.MaskProvider``."""
    masks = torch.zeros(pictures.heat.shape, dtype=torch.bool)
    height, width = masks.shape[1:]
    masks[:, height // 4:height - height // 4, width // 4:width - width // 4] = True
    return masks
