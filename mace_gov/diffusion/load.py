"""Load a pipeline from a folder, safely and silently."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mace_gov.core.errors import ModelError

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline


def pick_device(device: str | None = None) -> torch.device:
    """The device asked for, else CUDA, else Apple's, else the CPU."""
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def load_pipeline(
    path: Path | str, *, device: str | None = None, dtype: torch.dtype | None = None
) -> StableDiffusionPipeline:
    """A ``StableDiffusionPipeline`` in evaluation mode, frozen, from safetensors in ``path`` alone.

    dtype: float32 unless given; half-precision weights are widened, so that training and fusion do not round.
    The safety checker is left out: it would black out the very pictures that an audit must look at.
    Raises ModelError when the folder does not load.
    """
    with _quiet():
        from diffusers import StableDiffusionPipeline

        try:
            pipe = StableDiffusionPipeline.from_pretrained(
                str(path), torch_dtype=dtype or torch.float32, use_safetensors=True, local_files_only=True,
                safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False,
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"model folder {path} does not load: {type(error).__name__}: {error}") from error
    pipe.set_progress_bar_config(disable=True)
    for module in (pipe.unet, pipe.vae, pipe.text_encoder):
        module.requires_grad_(False).eval()
    return pipe.to(pick_device(device))


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
