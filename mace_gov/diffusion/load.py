"""Load a pipeline from a folder, safely and silently."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.added_conditions import complete
from mace_gov.diffusion.families import JOINT, text_encoders
from mace_gov.diffusion.projections import denoiser
from mace_gov.diffusion.text import TextReader

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

UNUSED = {
    "StableDiffusionPipeline": {"safety_checker": None, "feature_extractor": None, "image_encoder": None,
                                "requires_safety_checker": False},
    "StableDiffusionXLPipeline": {"feature_extractor": None, "image_encoder": None, "add_watermarker": False},
    "StableDiffusion3Pipeline": {"feature_extractor": None, "image_encoder": None},
    "FluxPipeline": {"feature_extractor": None, "image_encoder": None},
}
"""By pipeline class: the parts that are left out. A safety checker would black out the very pictures that an audit must
look at, and a watermark would change them."""


def pick_device(device: str | None = None) -> torch.device:
    """The device asked for, else CUDA, else Apple's, else the CPU."""
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def load_pipeline(
    path: Path | str, *, device: str | None = None, dtype: torch.dtype | None = None
) -> DiffusionPipeline:
    """A pipeline of its folder's own class in evaluation mode, frozen, from safetensors in ``path`` alone.

    dtype: float32 unless given; half-precision weights are widened, so that training and fusion do not round.
    Raises ModelError when the folder does not load.
    """
    with _quiet():
        import diffusers

        try:
            name = json.loads((Path(path) / "model_index.json").read_text("utf-8"))["_class_name"]
            pipe = getattr(diffusers, name).from_pretrained(
                str(path), torch_dtype=dtype or torch.float32, use_safetensors=True, local_files_only=True,
                **UNUSED[name],
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"model folder {path} does not load: {type(error).__name__}: {error}") from error
    pipe.set_progress_bar_config(disable=True)
    for module in (denoiser(pipe), pipe.vae, *(getattr(pipe, encoder) for encoder in text_encoders(name))):
        module.requires_grad_(False).eval()
    if name not in JOINT:
        complete(pipe)
    return pipe.to(pick_device(device))


def load_text(path: Path | str) -> TextReader:
    """Tokenizers and text encoders of a folder alone, float32 on the CPU. Raises ModelError when they do not load."""
    folder = Path(path)
    with _quiet():
        import transformers

        try:
            name = json.loads((folder / "model_index.json").read_text("utf-8"))["_class_name"]
            if name in JOINT:
                raise ModelError(f"no anchor can be chosen in the text encoders of {name}",
                                 hint="Name an anchor for every concept.")
            classes = (transformers.CLIPTextModel, transformers.CLIPTextModelWithProjection)
            parts = [
                (transformers.CLIPTokenizer.from_pretrained(folder / place.replace("text_encoder", "tokenizer")),
                 kind.from_pretrained(folder / place, dtype=torch.float32, use_safetensors=True,
                                      local_files_only=True).requires_grad_(False).eval())
                for place, kind in zip(text_encoders(name), classes, strict=False)
            ]
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"text encoder in {folder} does not load: {type(error).__name__}: {error}") from error
    return TextReader(*parts[0], second=parts[1] if len(parts) > 1 else None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' own progress bars and remarks off the terminal.

    They say that the safety checker is off, which is on purpose, that a keyword has a newer name, which older
    versions do not know, and that optional image processors are missing, which nothing here uses.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    levels = [(log, log.get_verbosity()) for log in (diffusers_logging, transformers_logging)]
    for log, _ in levels:
        log.disable_progress_bar()
        log.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for log, level in levels:
            log.set_verbosity(level)
