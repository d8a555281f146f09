"""Which model is meant, where it lies and what is in it, by content. Reads JSON and digests: no torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mace_gov.core.atomic import new_folder
from mace_gov.core.digest import folder_digest, folder_files, sha256_file
from mace_gov.core.errors import ModelError
from mace_gov.core.files import read_json
from mace_gov.core.lazy import require
from mace_gov.diffusion.families import PIPELINES, Anatomy, anatomy, denoiser_folder, text_encoders
from mace_gov.documents.plan import ModelManifest, portable_ref

PICKLES = (".ckpt", ".bin", ".pt", ".pth", ".pkl")
"""Formats that may run code when they are read; no file of these is ever opened."""

HUB_FILES = ["*.json", "*.txt", "*/*.safetensors"]
HUB_IGNORED = ["*.fp16.safetensors", "*.non_ema.safetensors", "*.bin", "*.ckpt", "*.pt", "*.pth", "*.pkl", "*.msgpack"]
"""What is fetched from a hub: text and component weights, never a pickle."""

CONFIG_FILES = ["*.json", "*.txt"]
CONFIGS = {
    "sd1": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd2": "stabilityai/stable-diffusion-2-1",
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
}
"""Where a single file's configuration and tokenizers come from: it holds weights alone."""

_VERSION = re.compile(r"^(?:registry:)?([a-z0-9][a-z0-9._-]{0,63})/v?([1-9][0-9]{0,8})$")
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


def read_manifest(
    ref: str, *, revision: str | None = None, registry: Path | None = None, unmeasured: bool = False
) -> ModelManifest:
    """Find the model that ``ref`` names and account for every file of it.

    ``ref`` is ``embedded``, a diffusers folder, a single safetensors file (unpacked into the registry's cache), a
    governed version as ``registry:NAME/N`` (or ``NAME/N`` where the registry has it), or a hub id, for which
    ``revision`` should pin a commit. unmeasured: take a model of a kind on which no erasure has been measured.

    Raises ModelError when there is no such model, or it is of a kind or in a format that is not accepted.
    """
    folder = locate(ref, revision=revision, registry=registry)
    pipeline = _check_folder(ref, folder)
    part = denoiser_folder(pipeline)
    unet, vae = (_config(ref, folder, name) for name in (part, "vae"))
    body = _anatomy(ref, pipeline, unet, [_config(ref, folder, name) for name in text_encoders(pipeline)])
    if body.unmeasured and not unmeasured:
        raise ModelError(f"model '{ref}': {'; '.join(body.unmeasured)}. No erasure has been measured on such a model",
                         hint="Give --allow-unmeasured to go on all the same, and look at the pictures yourself.")
    levels = vae.get("block_out_channels")
    if not isinstance(levels, list) or not levels:
        raise ModelError(f"model '{ref}': vae/config.json has block_out_channels = {levels!r}, expected a list")
    files = folder_files(folder)
    return ModelManifest(
        ref=portable_ref(ref),
        path=str(folder.resolve()),
        revision=revision,
        digest=folder_digest(files),
        files=files,
        pipeline=pipeline,
        family=body.family,
        text_width=body.text_width,
        image_size=_number(ref, {"sample_size": 128, **unet}, part, "sample_size") * 2 ** (len(levels) - 1),
        embedded=_is_embedded(folder, files),
    )


def locate(ref: str, *, revision: str | None = None, registry: Path | None = None) -> Path:
    """The folder that ``ref`` names, fetched from the hub if it must be. See ``read_manifest``."""
    if ref == "embedded":
        from mace_gov.embedded import MODEL_DIR

        return Path(MODEL_DIR)
    version = _VERSION.match(ref)
    if version and registry is not None:
        model = registry / "versions" / version[1] / version[2] / "model"
        if model.is_dir():
            return model
    if ref.startswith("registry:"):
        where = f"in {registry}" if registry is not None else "because no registry was given"
        raise ModelError(f"no governed version '{ref}' {where}; expected registry:NAME/N",
                         hint="See `mace-gov registry list`.")
    path = Path(ref).expanduser()
    if path.is_dir():
        return path
    if path.suffix in PICKLES:
        raise ModelError(f"model '{ref}' is a pickle, which may run code when read; expected safetensors",
                         hint="Get the model as safetensors, or convert it on a machine that you can lose.")
    if path.is_file() and path.suffix == ".safetensors":
        return _unpacked(ref, path, registry)
    if path.exists():
        raise ModelError(f"model '{ref}' is a file, expected a diffusers folder with model_index.json or a "
                         ".safetensors file")
    if not _HUB_ID.match(ref):
        raise ModelError(f"model '{ref}' does not exist: expected `embedded`, an existing folder, "
                         "registry:NAME/N or a hub id OWNER/NAME")
    return _fetch(ref, revision)


def _unpacked(ref: str, file: Path, registry: Path | None) -> Path:
    """A single-file model as a folder in the registry's cache, by the file's content."""
    if registry is None:
        raise ModelError(f"model '{ref}' is a single file, and there is no registry to unpack it into")
    require("torch", "models")
    from mace_gov.diffusion.single_file import recognise_file, unpack

    folder = registry / "cache" / "models" / sha256_file(file)
    if not folder.is_dir():
        family = recognise_file(file)
        configs = _fetch(CONFIGS[family], None, CONFIG_FILES)
        with new_folder(folder) as scratch:
            unpack(file, configs, family, scratch)
    return folder


def _anatomy(ref: str, pipeline: str, unet: dict[str, Any], texts: list[dict[str, Any]]) -> Anatomy:
    try:
        return anatomy(pipeline, unet, texts)
    except ModelError as error:
        raise ModelError(f"model '{ref}': {error.message}") from error


def _fetch(ref: str, revision: str | None, files: list[str] | None = None) -> Path:
    hub = require("huggingface_hub", "models")
    try:
        folder = hub.snapshot_download(
            ref, revision=revision, allow_patterns=files or HUB_FILES, ignore_patterns=HUB_IGNORED
        )
        return Path(folder)
    except (OSError, ValueError, hub.errors.HfHubHTTPError, hub.errors.LocalEntryNotFoundError) as error:
        at = f" at revision {revision}" if revision else ""
        raise ModelError(
            f"model '{ref}'{at} is no folder here and cannot be fetched from the model hub: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}",
            hint="Check the name and the network, or give a folder that holds the model.",
        ) from error
    except Exception as error:  # the hub client's transports raise their own families: none may cross the border
        raise ModelError(f"model '{ref}' cannot be fetched from the model hub: {type(error).__name__}",
                         hint="Check the network, or give a folder that holds the model.") from error


def _check_folder(ref: str, folder: Path) -> str:
    """The pipeline's class name; raises ModelError for anything that would not load safely."""
    if not folder.is_dir():
        raise ModelError(f"model '{ref}': folder {folder} does not exist")
    if not (folder / "model_index.json").is_file():
        raise ModelError(f"model '{ref}': {folder} has no model_index.json, expected a diffusers folder")
    pipeline = _read(ref, folder / "model_index.json").get("_class_name")
    if pipeline not in PIPELINES:
        expected = " or ".join(PIPELINES)
        raise ModelError(f"model '{ref}': pipeline class {pipeline!r} is not supported, expected {expected}")
    for name in (denoiser_folder(pipeline), *text_encoders(pipeline), "vae"):
        weights = weight_files(folder / name)
        if not weights:
            pickles = sorted(p.name for p in (folder / name).glob("*") if p.suffix in PICKLES)
            found = f"only {', '.join(pickles)}, which may run code when read" if pickles else "no weights"
            raise ModelError(f"model '{ref}': {name}/ has {found}; expected safetensors weights, no variant suffix",
                             hint="Convert the model with save_pretrained(..., safe_serialization=True).")
    return pipeline


def weight_files(component: Path) -> list[Path]:
    """The safetensors files that diffusers or transformers load from a component's folder: one, or shards by index."""
    for stem in ("diffusion_pytorch_model", "model"):
        single, index = component / f"{stem}.safetensors", component / f"{stem}.safetensors.index.json"
        if single.is_file():
            return [single]
        if index.is_file():
            try:
                names = sorted(set(read_json(index)["weight_map"].values()))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                return []
            shards = [component / name for name in names if Path(name).name == name]
            if len(shards) == len(names) and all(shard.is_file() for shard in shards):
                return shards
    return []


def _read(ref: str, path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"model '{ref}': {path.name} in {path.parent} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"model '{ref}': {path} holds {type(value).__name__}, expected an object")
    return value


def _config(ref: str, folder: Path, component: str) -> dict[str, Any]:
    return _read(ref, folder / component / "config.json")


def _number(ref: str, config: dict[str, Any], component: str, key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int):
        raise ModelError(f"model '{ref}': {component}/config.json has {key} = {value!r}, expected a whole number")
    return value


def _is_embedded(folder: Path, files: dict[str, str]) -> bool:
    """Whether this is the shipped model or a copy of it: the same U-Net weights, byte for byte."""
    from mace_gov.embedded import MODEL_DIR

    shipped = Path(MODEL_DIR)
    if not shipped.is_dir():
        return False
    if folder.resolve() == shipped.resolve():
        return True
    ours = weight_files(shipped / "unet")
    theirs = weight_files(folder / "unet")
    if len(ours) != len(theirs) or [p.stat().st_size for p in ours] != [p.stat().st_size for p in theirs]:
        return False
    return all(files[p.relative_to(folder).as_posix()] == sha256_file(o) for p, o in zip(theirs, ours, strict=True))


def check_unchanged(manifest: ModelManifest) -> None:
    """Raise ModelError when the folder no longer holds what the manifest says (read before weights are used)."""
    found = folder_files(Path(manifest.path))
    names = manifest.files.keys() | found.keys()
    changed = sorted(name for name in names if manifest.files.get(name) != found.get(name))
    if changed:
        raise ModelError(f"base model {manifest.path} changed since it was planned: {', '.join(changed[:5])}",
                         hint="Plan again from the model as it is now, or restore its files.")
