"""Which model is meant, where it lies and what is in it, by content. Reads JSON and digests: no torch."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mace_gov.core.atomic import new_folder
from mace_gov.core.digest import folder_digest, folder_files, sha256_file
from mace_gov.core.errors import ModelError, UsageError
from mace_gov.core.lazy import require
from mace_gov.diffusion.contents import INDEX_NAME, PICKLES, loaded_files, problems, read_json, weight_files
from mace_gov.diffusion.families import PIPELINES, Anatomy, anatomy, denoiser_folder, text_encoders
from mace_gov.diffusion.hub import fetch
from mace_gov.diffusion.published import write_published
from mace_gov.documents.plan import ModelManifest, portable_ref
from mace_gov.documents.registry import Layout, names_version, version_in

UNPACKED = "-3"
"""Tells folders from those that an earlier release unpacked by other rules."""

CONFIG_FILES = ["*.json", "*.txt"]
"""What a model says of itself without a weight."""

SINGLE_FILE_SIDE = 512
"""The least native side of the families that single files come in; a file does not say its own."""
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


def read_manifest(
    ref: str, *, revision: str | None = None, registry: Path | None = None, unmeasured: bool = False,
    whole: bool = False,
) -> ModelManifest:
    """Find the model that ``ref`` names and account for every file of it that is loaded.

    ``ref`` is ``embedded``, a diffusers folder, a single safetensors file (unpacked into the registry's cache), a
    governed version as ``registry:NAME/N`` (or ``NAME/N`` where the registry has it), or a hub id, for which
    ``revision`` should pin a commit. unmeasured: take a model of a kind on which no erasure has been measured.
    whole: account for every file of the folder, as evidence about it does; always so for a governed version.

    Raises ModelError when there is no such model, it is of a kind or in a format that is not accepted, or something in
    it would run code; UsageError when ``ref`` is empty or names a version that the registry does not have.
    """
    folder = _locate(ref, revision=revision, registry=registry)
    pipeline = check_folder(folder, ref)
    part = denoiser_folder(pipeline)
    unet, vae = (_config(ref, folder, name) for name in (part, "vae"))
    body = _anatomy(ref, pipeline, unet, [_config(ref, folder, name) for name in text_encoders(pipeline)])
    if body.unmeasured and not unmeasured:
        raise ModelError(f"model '{ref}': {'; '.join(body.unmeasured)}. No erasure has been measured on such a model",
                         hint="Give --allow-unmeasured to go on all the same, and look at the pictures yourself.")
    whole = whole or (version_in(ref) is not None and folder != Path(ref))
    files = _whole(ref, folder) if whole else _loaded(folder)
    return ModelManifest(
        ref=portable_ref(ref),
        path=str(folder.resolve()),
        revision=revision,
        digest=folder_digest(files),
        files=files,
        pipeline=pipeline,
        family=body.family,
        text_width=body.text_width,
        image_size=_side(ref, part, unet, vae),
        embedded=_is_embedded(folder, files),
    )


def picture_side(ref: str, *, revision: str | None = None, registry: Path | None = None) -> int:
    """Native side, in pixels, of the pictures of the model that ``ref`` names, by its configuration alone.

    No weight is read, of a hub model none is fetched, and no torch is needed. Raises as ``read_manifest`` does.
    """
    path = Path(ref).expanduser()
    if path.suffix == ".safetensors" and path.is_file():
        return SINGLE_FILE_SIDE
    folder = _locate(ref, revision=revision, registry=registry, files=CONFIG_FILES)
    part = denoiser_folder(_pipeline(ref, folder)[0])
    return _side(ref, part, *(_config(ref, folder, name) for name in (part, "vae")))


def _side(ref: str, part: str, denoiser: dict[str, Any], vae: dict[str, Any]) -> int:
    """Pixels of a picture's side: latent side times what the autoencoder's levels enlarge it by."""
    levels = vae.get("block_out_channels")
    if not isinstance(levels, list) or not levels:
        raise ModelError(f"model '{ref}': vae/config.json has block_out_channels = {levels!r}, expected a list")
    return _number(ref, {"sample_size": 128, **denoiser}, part, "sample_size") << len(levels) - 1


def _locate(
    ref: str, *, revision: str | None = None, registry: Path | None = None, files: list[str] | None = None
) -> Path:
    """The folder that ``ref`` names, fetched from the hub if it must be. See ``read_manifest``.

    files: patterns of what of a hub model is needed; everything unless given.
    """
    if not ref.strip():
        raise UsageError("the model's reference is empty",
                         hint="Give `embedded`, a folder, a hub id or registry:NAME/N.")
    if ref == "embedded":
        from mace_gov.embedded import MODEL_DIR

        return Path(MODEL_DIR)
    # a version's reference is never a hub id, whose second part may be a number too
    version = version_in(ref)
    if version and registry is not None:
        model = Layout(registry).version(*version) / "model"
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
    if names_version(ref):
        where = f"the registry {registry} has no such version" if registry is not None else "no registry was given"
        raise UsageError(f"'{ref}' names a governed version, and {where}",
                         hint="See `mace-gov registry list`, or give the registry with --registry. Of a hub model of "
                              "such a name give the folder that `hf download` fetches it to.")
    if not _HUB_ID.match(ref):
        raise ModelError(f"model '{ref}' does not exist: expected `embedded`, an existing folder, "
                         "registry:NAME/N or a hub id OWNER/NAME")
    return fetch(ref, revision, files)


def _unpacked(ref: str, file: Path, registry: Path | None) -> Path:
    """A single-file model as a folder in the registry's cache, by the file's content."""
    if registry is None:
        raise ModelError(f"model '{ref}' is a single file, and there is no registry to unpack it into")
    require("torch", "models")
    from mace_gov.diffusion.single_file import recognise_file, unpack

    folder = Layout(registry).models / f"{sha256_file(file)}{UNPACKED}"
    if not folder.is_dir():
        family = recognise_file(file)
        with TemporaryDirectory() as configs, new_folder(folder) as scratch:
            write_published(family, Path(configs))  # the file holds weights alone
            unpack(file, Path(configs), family, scratch)
    return folder


def _anatomy(ref: str, pipeline: str, unet: dict[str, Any], texts: list[dict[str, Any]]) -> Anatomy:
    try:
        return anatomy(pipeline, unet, texts)
    except ModelError as error:
        raise ModelError(f"model '{ref}': {error.message}") from error


def check_folder(folder: Path, ref: str | None = None) -> str:
    """The pipeline's class name; raises ModelError that names everything in the folder that would not load safely."""
    ref = ref or str(folder)
    pipeline, index = _pipeline(ref, folder)
    if found := problems(folder, index, pipeline):
        raise ModelError("\n".join([f"model '{ref}' is not loaded, {len(found)} finding(s) in {folder}:", *found]),
                         hint="Get the model from its publisher, or save it anew with save_pretrained.")
    for name in (denoiser_folder(pipeline), *text_encoders(pipeline), "vae"):
        if not weight_files(folder / name):
            raise ModelError(f"model '{ref}': {name}/ has {_instead(folder / name)}; expected safetensors weights, "
                             "no variant suffix",
                             hint="Convert the model with save_pretrained(..., safe_serialization=True).")
    return pipeline


def _pipeline(ref: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Class name and content of a folder's index."""
    if not folder.is_dir():
        raise ModelError(f"model '{ref}': folder {folder} does not exist")
    if not (folder / INDEX_NAME).is_file():
        raise ModelError(f"model '{ref}': {folder} has no {INDEX_NAME}, expected a diffusers folder")
    index = _read(ref, folder / INDEX_NAME)
    pipeline = index.get("_class_name")
    if pipeline not in PIPELINES:
        expected = " or ".join(PIPELINES)
        raise ModelError(f"model '{ref}': pipeline class {pipeline!r} is not supported, expected {expected}")
    return pipeline, index


def _instead(component: Path) -> str:
    """What a component's folder has in place of weights that load."""
    if indices := sorted(path.name for path in component.glob("*.safetensors.index.json")):
        return f"{indices[0]}, whose shards are not all there or not named by it"
    pickles = sorted(path.name for path in component.glob("*") if path.suffix in PICKLES)
    return f"only {', '.join(pickles)}, which may run code when read" if pickles else "no weights"


def _loaded(folder: Path) -> dict[str, str]:
    return {name: sha256_file(path) for name, path in loaded_files(folder).items()}


def _whole(ref: str, folder: Path) -> dict[str, str]:
    if links := sorted(path.name for path in folder.rglob("*") if path.is_symlink() and path.is_dir()):
        raise ModelError(f"model '{ref}': {', '.join(links)} in {folder}: a link to a folder, expected the folder "
                         "itself", hint="Copy the folder to its place: evidence is about the files in one folder.")
    return folder_files(folder)


def _read(ref: str, path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except ValueError as error:
        raise ModelError(f"model '{ref}': {path.parent.name}/{path.name} cannot be used: it {error}") from error


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
    return all(files.get(p.relative_to(folder).as_posix()) == sha256_file(o) for p, o in zip(theirs, ours, strict=True))
