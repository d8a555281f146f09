"""A quick measurement of what one unit of each kind of work takes on this device, kept by model and device."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import mace_gov
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_file
from mace_gov.core.environment import version_of
from mace_gov.core.memory import peak_memory
from mace_gov.core.progress import Progress, Silent, working
from mace_gov.core.resources import asked
from mace_gov.core.store import Store
from mace_gov.documents.costs import Timing
from mace_gov.documents.method_info import method_info
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.documents.registry import Layout
from mace_gov.documents.reuse import drawable

LARGE = 10**9
"""Bytes of weights from which on the CPU is not asked unless the user says so: one step takes it many seconds."""
PATIENCE = 5.0
"""Seconds for the first one, above which as many as go together are not tried as well: the first is cold."""


def timing_of(
    plan: ErasurePlan, registry: Path, *, device: str | None, wanted: bool | None, progress: Progress | None = None
) -> Timing | None:
    """The units' times for a plan's model, from the registry's cache or measured now.

    wanted: whether to measure; None: where it takes a few seconds. None is returned where nothing is measured: because
    of that, for models with joint attention, or because the packages that run models are not installed.
    """
    if wanted is False or plan.base.family in ("sd3", "flux"):
        return None
    try:
        from mace_gov.diffusion.contents import weight_files
        from mace_gov.diffusion.load import device_name, pick_device
    except ImportError:  # the plain install runs no model
        return None
    here = pick_device(device)
    weights = [path for folder in Path(plan.base.path).iterdir() for path in weight_files(folder)]
    if wanted is None and here.type == "cpu" and sum(path.stat().st_size for path in weights) > LARGE:
        return None
    target = next((each for each in plan.targets if each.lora.steps and drawable(plan, each)), None)
    store, name = Store(Layout(registry).cache), "timings/" + digest_of({
        "base": plan.base.digest, "device": device_name(here), "generation": plan.generation.to_json(),
        "templates": len(plan.templates), "lora": target.lora.to_json() if target else None,
        "asked": [asked().batch, asked().precision], "code": [mace_gov.__version__, version_of("torch")],
    }) + ".json"
    if (known := store.get(name)) is not None:
        return Timing.model_validate(json.loads(known))
    with working(progress or Silent(), "timing one step of each kind"):
        timing = measure(plan, target if method_info(plan.method).trains == "loras" else None, device, max(
            weights, key=lambda path: path.stat().st_size))
    with suppress(OSError):  # a registry that may only be read
        store.put(name, timing.canonical())
    return timing


def measure(plan: ErasurePlan, target: Target | None, device: str | None, file: Path) -> Timing:
    """Time each unit on ``device``: on one, and, where that is quick, on as many as go together.

    target: whose LoRA to train a step of. file: to be hashed.
    """
    import diffusers
    import torch

    from mace_gov.diffusion.batching import batch_size_of
    from mace_gov.diffusion.generate import decode, sample
    from mace_gov.diffusion.load import device_name, load_pipeline
    from mace_gov.diffusion.text import TextReader
    from mace_gov.erase.lora import training_batch_size, trial
    from mace_gov.erase.second_moments import target_moments

    pipe: Any = None
    getattr(diffusers, plan.base.pipeline)  # imported now: that is no part of loading a model

    def took(work: Callable[[], object]) -> float:
        begun = time.monotonic()
        work()
        if pipe.device.type == "cuda":
            torch.cuda.synchronize()
        return time.monotonic() - begun

    begun = time.monotonic()
    with peak_memory() as resident:
        pipe = load_pipeline(plan.base.path, device=device)
        load = time.monotonic() - begun
        reader, one_step = TextReader.of(pipe), plan.generation.model_copy(update={"steps": 1})
        text, empty = reader.conditions(["a picture"]), reader.conditions([""])
        prompt = took(lambda: target_moments(reader, plan, plan.targets[0])) / (2 * len(plan.templates))
        fit = batch_size_of(pipe, f"draw {plan.generation.size}", plan.generation.batch)
        drawn: list[torch.Tensor] = []

        def draw(count: int) -> None:
            drawn[:] = [sample(pipe, text.repeated(count), empty, range(count), one_step)]

        step, pictures = took(lambda: list(fit.each(1, lambda _: draw(1)))), 1
        if step < PATIENCE:
            pictures = fit.size
            step = min(took(lambda: draw(pictures)) for _ in range(2)) / pictures
        decoding = min(took(lambda: decode(pipe, drawn[0])) for _ in range(2)) / pictures
        train, loras = None, None
        if target is not None:
            train, loras = took(lambda: trial(pipe, plan, target, 1, 1)), 1
            if train < PATIENCE:
                loras = training_batch_size(pipe, plan, [target]).size
                first = took(lambda: trial(pipe, plan, target, loras, 1))
                more = took(lambda: trial(pipe, plan, target, loras, 4))
                train = max(more - first, 0.1 * more) / 3 / loras
        name = device_name(pipe.device)
        on_card = torch.cuda.max_memory_allocated(pipe.device) if pipe.device.type == "cuda" else 0
        pipe = None
        gc.collect()
    begun = time.monotonic()
    sha256_file(file)
    read = (time.monotonic() - begun) / file.stat().st_size
    return Timing(device=name, load=load, prompt=prompt, step=step, decode=decoding, train=train, read=read,
                  memory_bytes=on_card or resident.bytes, pictures=pictures, loras=loras)
