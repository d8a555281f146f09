"""A CLIP model as the audit uses it: pictures and words as unit vectors, by any model that transformers loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from mace_gov.core.digest import folder_digest, folder_files, sha256_bytes
from mace_gov.core.errors import DetectorError
from mace_gov.diffusion.batching import BatchSize

if TYPE_CHECKING:
    from transformers import CLIPModel, PreTrainedTokenizerBase

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures; a model's own preprocessor_config.json goes before."""
BATCH = 32
"""Pictures or phrases in a forward pass."""


class Clip:
    """A loaded CLIP model. Vectors are remembered, so that a picture or phrase is encoded once."""

    def __init__(
        self, model: CLIPModel, tokenizer: PreTrainedTokenizerBase, *, mean: Sequence[float] = MEAN,
        deviation: Sequence[float] = DEVIATION, name: str = "clip", digest: str | None = None,
    ) -> None:
        self.model, self.tokenizer, self.name, self.digest = model.eval().requires_grad_(False), tokenizer, name, digest
        self._fit = BatchSize(self.model.device, BATCH)
        side = model.vision_model.config.image_size
        if not isinstance(side, int):
            raise DetectorError(f"clip: the model reads pictures of {side} pixels, expected one number for both sides")
        self.side = side
        self.scale = float(model.logit_scale.exp())
        self._mean, self._deviation = np.asarray(mean), np.asarray(deviation)
        self._known: dict[str, np.ndarray] = {}

    @classmethod
    def load(cls, ref: str, *, revision: str | None = None) -> Clip:
        """The model that ``ref`` names, from safetensors alone. Raises DetectorError when it does not load."""
        from transformers import AutoTokenizer, CLIPModel

        folder = Path(ref).expanduser()
        where = {"revision": revision} if not folder.is_dir() else {"local_files_only": True}
        name = folder.name if folder.is_dir() else ref
        try:
            model = CLIPModel.from_pretrained(str(ref), use_safetensors=True, **where)
            tokenizer = AutoTokenizer.from_pretrained(str(ref), **where)
        except Exception as error:  # loaders and the hub's transports share no base; none may cross the border
            raise DetectorError(
                f"clip: the model '{ref}' does not load: {type(error).__name__}: {str(error).splitlines()[0]}",
                hint="Give a folder with a CLIPModel in safetensors, its tokenizer and config, or a hub id.",
            ) from error
        config = folder / "preprocessor_config.json"
        given = json.loads(config.read_text("utf-8")) if config.is_file() else {}
        digest = folder_digest(folder_files(folder)) if folder.is_dir() else None
        return cls(model, tokenizer, mean=given.get("image_mean", MEAN), deviation=given.get("image_std", DEVIATION),
                   name=f"{name}@{revision}" if revision else name, digest=digest)

    def pictures(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors [n, d] of pictures."""
        keys = [_key(image) for image in images]
        missing = [(k, image) for k, image in dict(zip(keys, images, strict=True)).items() if k not in self._known]

        def see(part: slice) -> torch.Tensor:
            pixels = torch.from_numpy(np.stack([self._pixels(image) for _, image in missing[part]]))
            with torch.no_grad():
                pooled = self.model.vision_model(pixel_values=pixels).pooler_output
                vectors: torch.Tensor = self.model.visual_projection(pooled)
            return vectors

        for part, seen in self._fit.each(len(missing), see):
            self._keep([key for key, _ in missing[part]], seen)
        return np.stack([self._known[key] for key in keys])

    def phrases(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors [n, d] of words; what is longer than the encoder reads is cut."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._known))
        for start in range(0, len(missing), BATCH):
            part = missing[start:start + BATCH]
            longest = int(self.model.config.text_config.max_position_embeddings)
            given = self.tokenizer(part, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            with torch.no_grad():
                read = self.model.text_model(input_ids=given.input_ids, attention_mask=given.attention_mask)
                self._keep(part, self.model.text_projection(read.pooler_output))
        return np.stack([self._known[text] for text in texts])

    def _keep(self, keys: Sequence[str], vectors: torch.Tensor) -> None:
        if not torch.isfinite(vectors).all():
            raise DetectorError("clip: the model gives vectors that are not finite, expected finite numbers")
        units = torch.nn.functional.normalize(vectors.float(), dim=-1).numpy()
        self._known.update(zip(keys, units, strict=True))

    def _pixels(self, image: Image.Image) -> np.ndarray:
        """The middle square, resized, normalised: float32 [3, side, side]."""
        scale = self.side / min(image.size)
        size = (max(self.side, round(image.width * scale)), max(self.side, round(image.height * scale)))
        resized = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        left, top = (size[0] - self.side) // 2, (size[1] - self.side) // 2
        levels = np.asarray(resized.crop((left, top, left + self.side, top + self.side)), dtype=np.float64) / 255
        normal: np.ndarray = ((levels - self._mean) / self._deviation).transpose(2, 0, 1).astype(np.float32)
        return normal


def _key(image: Image.Image) -> str:
    """Key of a picture by its content, in a form that no phrase has."""
    return f"\0{image.size} {sha256_bytes(image.convert('RGB').tobytes())}"
