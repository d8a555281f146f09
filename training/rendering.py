"""Stage 2: compose sprites on coloured grounds with small shifts and scales; everything on the fly, batched numpy/torch.

render(items, colours, rng) -> float32 tensor [n, 3, 32, 32] in -1..1. Held-out renderings use `wide=True`: shifts and
scales beyond those of training; `spread` below 1 shrinks them.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F
from paths import COLOURS, CUT, WORK

CATALOGUE = json.loads((WORK / "catalogue.json").read_text())
ITEMS = CATALOGUE["items"]
CHARCOAL = np.array([item["style"] == "charcoal" for item in ITEMS])
_rgba = torch.from_numpy(np.load(WORK / "sprites.npz")["rgba"]).float().permute(0, 3, 1, 2) / 255
SPRITES = torch.cat([_rgba[:, :3] * _rgba[:, 3:], _rgba[:, 3:]], 1)              # premultiplied [n_items, 4, 64, 64]
PALETTE = torch.tensor(list(COLOURS.values())).float() / 255


def render(items: np.ndarray, colours: np.ndarray, rng: np.random.Generator, wide: bool = False,
           spread: float = 1.0) -> torch.Tensor:
    n, span = len(items), 0.09 if wide else 0.06
    scale = torch.from_numpy(rng.uniform(0.95 if wide else 1.0, 1.16 if wide else 1.12, (n, 1))).float()
    scale = 1.06 + spread * (scale - 1.06)
    shift = spread * torch.from_numpy(rng.uniform(-span, span, (n, 2))).float()
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale[:, 0]
    theta[:, :, 2] = -shift / scale
    grid = F.affine_grid(theta, [n, 4, CUT, CUT], align_corners=False)
    layer = F.grid_sample(SPRITES[items], grid, align_corners=False)
    ground = PALETTE[colours] + torch.from_numpy(rng.normal(0, 0.02, (n, 3))).float()
    ramp = torch.linspace(-1, 1, CUT).view(1, 1, CUT, 1) * torch.from_numpy(rng.normal(0, 0.02, (n, 1, 1, 1))).float()
    picture = layer[:, :3] + (1 - layer[:, 3:]) * (ground[:, :, None, None] + ramp)
    grey = torch.from_numpy(CHARCOAL[items])
    if grey.any():
        light = (picture[grey] * torch.tensor([0.3, 0.59, 0.11]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        edge = (F.max_pool2d(light, 5, 1, 2) + F.max_pool2d(-light, 5, 1, 2)).clamp(0, 1)
        picture[grey] = (0.25 + 0.75 * light - 0.8 * edge).expand(-1, 3, -1, -1)
    return F.avg_pool2d(picture.clamp(0, 1), 2) * 2 - 1


def batch(n: int, rng: np.random.Generator, wide: bool = False) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    items, colours = rng.integers(0, len(ITEMS), n), rng.integers(0, len(PALETTE), n)
    return render(items, colours, rng, wide), items, colours
