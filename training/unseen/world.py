"""The world of the three models: which things there are, and pictures of them, made on the device.

`python world.py` chooses the things and cuts their sprites out of the unpacked npm package emoji-datasource-google into
WORK/world.npz and world.json. `World.render` composes them on coloured grounds; nothing of the embedded model is used but
the names in its catalogue, so that its judge knows what it sees.
"""
import json
import os
import random
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
WORK = Path(os.environ.get("UNSEEN_WORK", HERE / "work"))
EMOJI = Path(os.environ.get("MACE_TRAIN_EMOJI", WORK / "emoji"))
FIRST, OBJECTS, CUT = 10, 130, 64
COLOURS = {"red": (205, 80, 75), "blue": (90, 140, 215), "green": (115, 185, 120), "yellow": (245, 220, 120),
           "grey": (155, 155, 155), "white": (248, 248, 248), "purple": (150, 115, 195), "brown": (155, 110, 80)}


def choose(judge: dict, concepts: list[dict]) -> list[dict]:
    """The first ten objects, others by chance that the judge reads well, and all anchors."""
    def clear(concept: dict) -> bool:
        about = judge["by_class"][concept["id"]]
        return about["sensitivity"] >= 0.98 and about["specificity"] >= 0.999

    objects = [c for c in concepts if c["kind"] == "object"]
    rest = [c for c in objects[FIRST:] if clear(c)]
    taken = objects[:FIRST] + random.Random(4).sample(rest, OBJECTS - FIRST)
    return taken + [c for c in concepts if c["kind"] == "anchor"]


def sprite(code: str) -> np.ndarray:
    """One emoji as rgba uint8 [64, 64, 4], 54 pixels wide or high."""
    from PIL import Image
    image = Image.open(EMOJI / "emoji-datasource-google/img/google/64" / f"{code}.png").convert("RGBA")
    image.thumbnail((54, 54), Image.LANCZOS)
    canvas = Image.new("RGBA", (CUT, CUT))
    canvas.paste(image, ((CUT - image.width) // 2, (CUT - image.height) // 2))
    return np.asarray(canvas)


def cut() -> None:
    package = HERE.parents[1] / "mace_gov/embedded"
    concepts = choose(json.loads((package / "judge/judge.json").read_text()),
                      json.loads((package / "vocabulary.json").read_text())["concepts"])
    WORK.mkdir(exist_ok=True, parents=True)
    kept = [{key: c[key] for key in ("id", "name", "synonyms", "kind")} for c in concepts]
    (WORK / "world.json").write_text(json.dumps(kept, indent=1) + "\n")
    np.savez_compressed(WORK / "world.npz", rgba=np.stack([sprite(c["emoji"]) for c in concepts]))
    print(len(concepts), "things")


class World:
    """Things and their pictures on one device."""

    def __init__(self, device: str) -> None:
        self.things = json.loads((WORK / "world.json").read_text())
        rgba = torch.from_numpy(np.load(WORK / "world.npz")["rgba"]).to(device).float().permute(0, 3, 1, 2) / 255
        self.sprites = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)          # premultiplied [things, 4, 64, 64]
        self.palette = torch.tensor(list(COLOURS.values()), device=device).float() / 255
        self.ramp = torch.linspace(-1, 1, CUT, device=device).view(1, 1, CUT, 1)

    @cached_property
    def names(self) -> list[str]:
        return [thing["name"] for thing in self.things]

    def render(self, items: torch.Tensor, colours: torch.Tensor, cropped: torch.Tensor | None = None) -> torch.Tensor:
        """Pictures [n, 3, 32, 32] in -1..1. cropped: [n, 2] pixels cut off at the top and at the left."""
        n, device = len(items), items.device
        scale = 0.98 + 0.13 * torch.rand(n, 1, device=device)
        shift = 0.055 * (2 * torch.rand(n, 2, device=device) - 1)
        if cropped is not None:
            shift = shift - cropped.flip(1) / 16
        turn = torch.eye(2, device=device).expand(n, 2, 2) / scale[..., None]
        grid = F.affine_grid(torch.cat([turn, (-shift / scale)[..., None]], 2), [n, 4, CUT, CUT], align_corners=False)
        layer = F.grid_sample(self.sprites[items], grid, align_corners=False)
        ground = self.palette[colours] + 0.02 * torch.randn(n, 3, device=device)
        ground = ground[..., None, None] + 0.02 * self.ramp * torch.randn(n, 1, 1, 1, device=device)
        return F.avg_pool2d((layer[:, :3] + (1 - layer[:, 3:]) * ground).clamp(0, 1), 2) * 2 - 1


if __name__ == "__main__":
    cut()
