"""How far an edit moves pictures of what it was not given, without a detector: against the base's of the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def shift(before: Sequence[Image.Image], after: Sequence[Image.Image]) -> float:
    """Mean distance of each picture from itself before the edit, as a share of its mean distance from the others then.

    0 as before; 1 as far as another prompt's picture is. Pictures of one size, all of one seed: what they share by it
    counts in neither distance.
    """
    one, other = (np.stack([np.asarray(picture, dtype=np.float64).ravel() for picture in each])
                  for each in (before, after))
    own = np.linalg.norm(other - one, axis=1)
    apart = np.stack([np.linalg.norm(one - each, axis=1).sum() for each in one]) / max(1, len(one) - 1)
    return float(np.mean(np.divide(own, apart, out=np.where(own > 0, 1.0, 0.0), where=apart > 0)))
