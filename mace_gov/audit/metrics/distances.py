"""Distances between the two models' pictures on the same prompts and seeds, in named features, and CLIP scores.

CLIP scores are 100 times the cosine between a picture and its prompt, negatives cut at 0 (Hessel et al. 2021):

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



KERNEL_DEGREE = 3
"""Of KID's polynomial kernel (x.y / d + 1)^3."""


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """FID of features [n, d] and [m, d] (Heusel et al. 2017). Biased upwards where n is not large against d."""
    difference = one.mean(0) - other.mean(0)
    first, second = np.atleast_2d(np.cov(one, rowvar=False)), np.atleast_2d(np.cov(other, rowvar=False))
    # tr sqrt(S1 S2) = sum of the square roots of the eigenvalues of sqrt(S1) S2 sqrt(S1), which is symmetric
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ second @ root), 0, None)).sum()
    return float(max(0.0, difference @ difference + np.trace(first) + np.trace(second) - 2 * shared))


def kernel(one: np.ndarray, other: np.ndarray) -> float:
    """KID of features [n, d] and [m, d]: unbiased squared MMD (Binkowski et al. 2018); may be negative near 0."""
    n, m, d = len(one), len(other), one.shape[1]
    within = [(a @ a.T / d + 1) ** KERNEL_DEGREE for a in (one, other)]
    across = (one @ other.T / d + 1) ** KERNEL_DEGREE
    sums = [(k.sum() - np.trace(k)) / (size * (size - 1)) for k, size in zip(within, (n, m), strict=True)]
    return float(sums[0] + sums[1] - 2 * across.mean())


def drift(one: np.ndarray, other: np.ndarray) -> float:
    """Mean cosine distance between paired features [n, d]: 0 = every picture as it was."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    products = (one * other).sum(1)
    return float(1 - np.divide(products, norms, out=np.zeros_like(products), where=norms > 0).mean())


def distances(base: np.ndarray, governed: np.ndarray, extractor: str) -> dict[str, float]:
    """FID, KID and drift of paired pictures under names that say whose features they are; none from fewer than two."""
    if len(base) < 2:
        return {}
    one, other = base.astype(np.float64), governed.astype(np.float64)
    return {
        f"FID_{extractor}": frechet(one, other), f"KID_{extractor}": kernel(one, other),
        f"drift_{extractor}": drift(one, other),
    }


def clip_scores(clip: Clip, images: Sequence[Image], prompts: Sequence[str]) -> np.ndarray:
    """Score [n] of each picture with its prompt, 0..100."""
    scores: np.ndarray = 100 * np.clip((clip.pictures(images) * clip.phrases(prompts)).sum(1), 0, None)
    return scores
