"""CLIP scores: 100 times the cosine between a picture and its prompt, negatives cut at 0 (Hessel et al. 2021).

    CLIP_e   on prompts for an erased style     CLIP_s   on the unrelated prompts of style categories
    H_a = CLIP_s - CLIP_e
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from mace_gov.audit.clip import Clip


def clip_scores(clip: Clip, images: Sequence[Image], prompts: Sequence[str]) -> np.ndarray:
    """Score [n] of each picture with its prompt, 0..100."""
    scores: np.ndarray = 100 * np.clip((clip.pictures(images) * clip.phrases(prompts)).sum(1), 0, None)
    return scores
