"""Load a pipeline from a folder, safely and silently."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from mace_gov.core.errors import ModelError, UsageError
from mace_gov.diffusion.added_conditions import complete
from mace_gov.diffusion.contents import INDEX_NAME, read_json, weight_files
from mace_gov.diffusion.families import JOINT, denoiser_folder, text_encoders
from mace_gov.diffusion.manifest import check_folder
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.precision import multiplies_in
from mace_gov.diffusion.projections import denoiser
from mace_gov.diffusion.text import TextReader

if TYPE_CHECKING:
    from transformers import PreTrainedModel

UNUSED: dict[str, dict[str, Any]] = {
    "StableDiffusionPipeline": {"safety_checker": None, "feature_extractor": None, "image_encoder": None,
                                "requires_safety_checker": False},
    "StableDiffusionXLPipeline": {"feature_extractor": None, "image_encoder": None, "add_watermarker": False},
    "StableDiffusion3Pipeline": {"feature_extractor": None, "image_encoder": None},
    "FluxPipeline": {"feature_extractor": None, "image_encoder": None},
}
"""By pipeline class: the parts that are left out. A safety checker would black out the very pictures that an audit must
look at, and a watermark would change them."""


def pick_device(device: str | None = None) -> torch.device:
    """The device asked for, else CUDA, else Apple's, else the CPU. Raises UsageError for one that is not here."""
    if device is not None:
        try:
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise UsageError(f"--device {device}: found none here, expected a device that torch can use: "
                             f"{str(error).splitlines()[0]}", hint="`mace-gov doctor` names those that are here."
                             ) from error
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """What to call a device: a card by its name, the CPU by how many threads it may use."""
    if device.type == "cuda":
        return f"{device.type} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)


def load_pipeline(
    path: Path | str, *, device: str | None = None, dtype: torch.dtype | None = None, draws: bool = False
) -> Pipeline:
    """A pipeline of its folder's own class in evaluation mode, frozen, from safetensors in ``path`` alone.

    dtype: float32 unless given; half-precision weights are widened, so that training and fusion do not round.
    draws: it draws and does nothing else: where float32 leaves no room, the denoiser's weights are those halves that
    it multiplies in.
    Raises ModelError when the folder does not load.
    """
    folder = Path(path)
    name = check_folder(folder)
    precision, place = dtype or torch.float32, pick_device(device)
    part = denoiser_folder(name)
    tight = draws and dtype is None and name not in JOINT and not _fits(folder, place)
    half = multiplies_in(place) if tight else precision
    with quiet(), errors_as(f"model folder {path}"):
        import diffusers

        parts = {each: _text_encoder(folder, each, precision) for each in text_encoders(name)}
        pipe = getattr(diffusers, name).from_pretrained(
            str(path), torch_dtype={part: half, "default": precision}, use_safetensors=True, local_files_only=True,
            **parts, **UNUSED[name],
        )
    pipe.set_progress_bar_config(disable=True)
    for module in (denoiser(pipe), pipe.vae, *(getattr(pipe, encoder) for encoder in text_encoders(name))):
        module.requires_grad_(False).eval()
    if name not in JOINT:
        complete(pipe)
    with errors_as(f"model folder {path}"):  # a weight that its file lacks shows here
        ready: Pipeline = pipe.to(place)
    return ready


def _fits(folder: Path, device: torch.device) -> bool:
    """Whether a model's weights, widened, leave a third of a card's free memory."""
    if device.type != "cuda":
        return True
    files = [path for part in folder.iterdir() if part.is_dir() for path in weight_files(part)]
    numbers = 0
    for path in files:
        with safe_open(path, framework="pt") as file:
            numbers += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return 4 * numbers < 2 / 3 * torch.cuda.mem_get_info(device)[0]


def load_text(path: Path | str) -> TextReader:
    """Tokenizers and text encoders of a folder alone, float32 on the CPU. Raises ModelError when they do not load."""
    folder = Path(path)
    name = check_folder(folder)
    if name in JOINT:
        raise ModelError(f"no anchor can be chosen in the text encoders of {name}",
                         hint="Name an anchor for every concept.")
    with quiet(), errors_as(f"text encoder in {folder}"):
        import transformers

        parts = [
            (transformers.CLIPTokenizer.from_pretrained(folder / place.replace("text_encoder", "tokenizer")),
             _text_encoder(folder, place, torch.float32).requires_grad_(False).eval())
            for place in text_encoders(name)
        ]
    return TextReader(*parts[0], second=parts[1] if len(parts) > 1 else None)


def _text_encoder(folder: Path, place: str, dtype: torch.dtype) -> PreTrainedModel:
    """A text encoder of the class that model_index.json names.

    Raises ModelError when its file lacks a weight: transformers makes one up at random, with a warning at most.
    """
    import transformers

    kind = getattr(transformers, read_json(folder / INDEX_NAME)[place][1])
    encoder, found = kind.from_pretrained(folder / place, dtype=dtype, use_safetensors=True, local_files_only=True,
                                          output_loading_info=True)
    if lacking := sorted({str(key) for key in [*found["missing_keys"], *found["mismatched_keys"]]}):
        raise ModelError(f"{folder / place} has no weights for {len(lacking)} of the encoder's tensors, such as "
                         f"{lacking[0]}, with transformers {transformers.__version__}",
                         hint="Save the model anew with save_pretrained, or use another version of transformers.")
    loaded: PreTrainedModel = encoder
    return loaded


@contextmanager
def errors_as(what: str) -> Iterator[None]:
    """What a loader of another library raises becomes a ModelError that names ``what`` does not load."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{what} does not load: {type(error).__name__}: {error}") from error


@contextmanager
def quiet() -> Iterator[None]:
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
