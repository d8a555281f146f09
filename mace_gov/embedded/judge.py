"""The judge: which concept and which style a picture shows. Imports torch, so callers import this module late."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from mace_gov.embedded import JUDGE_DIR

SIZE, NOTHING = 32, "nothing"


@dataclass(frozen=True)
class Prediction:
    """Probabilities, float32: concepts [n, len(classes)] and styles [n, len(styles)]; rows sum to one."""

    concept_probs: np.ndarray
    style_probs: np.ndarray


class Net(nn.Module):
    """A small convolutional network; pictures [n, 3, 32, 32] in -1..1 to logits [n, classes], [n, styles]."""

    def __init__(self, classes: int, styles: int, widths: Sequence[int] = (40, 80, 128, 192)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((3, *widths[:-1]), widths, strict=True):
            layers += [nn.Conv2d(before, width, 3, 1 if before == 3 else 2, 1), nn.GroupNorm(8, width), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.mixed = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1] * 16, 320), nn.ReLU())
        self.concept, self.style = nn.Linear(320, classes), nn.Linear(320, styles)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        h = self.mixed(self.trunk(x))
        return self.concept(h), self.style(h)


def to_tensor(images: Sequence[Image.Image]) -> torch.Tensor:
    """Pictures of any size to float32 [n, 3, 32, 32] in -1..1."""
    small = [
        im.convert("RGB") if im.size == (SIZE, SIZE) else im.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
        for im in images
    ]
    return torch.from_numpy(np.stack([np.asarray(im) for im in small])).permute(0, 3, 1, 2).float() / 127.5 - 1


class Judge:
    """Reads pictures. `classes` are concept ids and, last, "nothing": noise, blank or garbled pictures."""

    def __init__(
        self, net: Net, classes: tuple[str, ...], styles: tuple[str, ...], facts: dict[str, Any] | None = None
    ) -> None:
        self.net, self.classes, self.styles, self.facts = net.eval(), classes, styles, facts or {}

    @classmethod
    def load(cls, path: Path | str = JUDGE_DIR) -> "Judge":
        """A judge from a folder with judge.json and judge.safetensors."""
        facts = json.loads((Path(path) / "judge.json").read_text(encoding="utf-8"))
        net = Net(len(facts["classes"]), len(facts["styles"]))
        net.load_state_dict({k: v.float() for k, v in load_file(Path(path) / "judge.safetensors").items()})
        return cls(net, tuple(facts["classes"]), tuple(facts["styles"]), facts)

    @torch.no_grad()
    def read(self, x: torch.Tensor) -> Prediction:
        """Pictures [n, 3, 32, 32] in -1..1."""
        if not len(x):
            return Prediction(np.zeros((0, len(self.classes)), np.float32), np.zeros((0, len(self.styles)), np.float32))
        parts = [self.net(chunk) for chunk in x.split(256)]
        concept, style = (torch.cat(p).softmax(-1).numpy() for p in zip(*parts, strict=True))
        return Prediction(concept, style)

    def predict(self, images: Sequence[Image.Image]) -> Prediction:
        """Probabilities for each picture."""
        return self.read(to_tensor(images)) if images else self.read(torch.zeros(0, 3, SIZE, SIZE))

    @torch.no_grad()
    def features(self, images: Sequence[Image.Image]) -> np.ndarray:
        """The last hidden layer, float32 [n, 320]."""
        parts = [self.net.mixed(self.net.trunk(chunk)) for chunk in to_tensor(images).split(256)]
        return torch.cat(parts).numpy()

    def labels(self, images: Sequence[Image.Image]) -> list[str]:
        """The likeliest class of each picture."""
        return [self.classes[i] for i in self.predict(images).concept_probs.argmax(-1)] if images else []
