"""What of a model folder is loaded, and what in it must not be there. Reads names and JSON; loads nothing, no torch.

A digest covers exactly the files that are loaded, so whatever else the loaders would read is refused by name: then no
file changes a model without changing its digest, and none runs code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mace_gov.core.files import read_json as read_any
from mace_gov.diffusion.families import OPTIONAL, classes

INDEX_NAME = "model_index.json"
OWN_FILES = (INDEX_NAME, "captions.txt")
"""Files of the folder itself that are read: the parts' classes, and the captions that erasure preserves."""

TEXT = (".json", ".txt", ".model")
"""Configurations and tokenizers."""

PICKLES = (".ckpt", ".bin", ".pt", ".pth", ".pkl")
"""Formats that may run code when they are read; no file of these is ever opened."""

CODE = (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib")
"""Files that older loaders import when a folder holds them; no model needs one."""

TENSORS_BY_DIFFUSERS = ("unet", "transformer", "vae")
"""Parts that diffusers loads; transformers loads the others, with another name and another precedence."""

REDIRECTS = frozenset({
    "auto_map", "trust_remote_code", "custom_pipelines", "_module", "quantization_config", "transformers_weights",
    "attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation",
    "use_kernels",
})
"""Keys by which a configuration makes a loader import other code or read other weights than those of its folder."""

UNMERGED = (".lora_A.", ".lora_B.", ".base_layer.", ".lora_magnitude_vector.")
"""In names of weights that a LoRA stands beside rather than in: loaders leave it out, and make up what it covers."""

ADAPTERS = ("adapter_config.json",)
"""Files that make a loader read another model than the one in the folder, and put an adapter on it."""

BACKBONES = frozenset({"use_timm_backbone", "use_pretrained_backbone"})
"""Keys by which a detector's configuration has weights of another model fetched, be they in its own file or not."""

LARGEST_JSON = 64 * 2**20


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ValueError, in words, when there is none."""
    try:
        value = read_any(path, LARGEST_JSON)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if not isinstance(value, dict):
        raise ValueError(f"holds {type(value).__name__}, expected an object")
    return value


def parts_of(index: Mapping[str, Any]) -> list[str]:
    """Names of the folders that a model_index.json names, in its order: its parts that are there."""
    return [name for name, value in index.items() if isinstance(value, list) and Path(name).name == name
            and any(each is not None for each in value)]


def weight_files(component: Path) -> list[Path]:
    """The safetensors files that diffusers or transformers load from a component's folder: one, or shards by index.

    Where a folder holds both, diffusers takes the shards and transformers the single file. Empty when what they would
    take is not complete.
    """
    diffusers = component.name in TENSORS_BY_DIFFUSERS
    stem = "diffusion_pytorch_model" if diffusers else "model"
    single, index = component / f"{stem}.safetensors", component / f"{stem}.safetensors.index.json"
    if single.is_file() and not (diffusers and index.is_file()):
        return [single]
    if not index.is_file():
        return []
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
        shards = [component / name for name in names if Path(name).name == name]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return shards if len(shards) == len(names) and all(shard.is_file() for shard in shards) else []


def loaded_files(folder: Path) -> dict[str, Path]:
    """The files that are read when the model in ``folder`` is loaded, by POSIX path relative to it, sorted.

    Configurations, tokenizers and weights of the parts that model_index.json names. A part may be a link to a folder.
    Neither weights that no loader takes, nor texts and pictures about the model, nor hidden folders are among them.
    """
    found = {name: folder / name for name in OWN_FILES if (folder / name).is_file()}
    for part in parts_of(read_json(folder / INDEX_NAME)):
        component = folder / part
        if component.is_dir():
            texts = [path for path in component.iterdir() if path.suffix in TEXT and path.is_file()]
            found |= {f"{part}/{path.name}": path for path in [*texts, *weight_files(component)]}
    return dict(sorted(found.items()))


def problems(folder: Path, index: Mapping[str, Any], pipeline: str) -> list[str]:
    """All that in a folder of this pipeline's class would run code, or lead a loader elsewhere: file and finding."""
    found = list(_foreign_parts(index, pipeline))
    found += [f"{name}: is code or can hold it, expected configurations and safetensors weights alone"
              for name in _code(folder)]
    for part in parts_of(index):
        component = folder / part
        if not component.is_dir():
            if part in OPTIONAL:  # left out when the model is loaded here
                continue
            found.append(f"{part}: is no folder, but {INDEX_NAME} names it")
            continue
        for path in sorted(component.iterdir()):
            name = f"{part}/{path.name}"
            if path.name in ADAPTERS:
                found.append(f"{name}: puts an adapter on the model, expected its weights alone")
            elif not path.is_dir() and not path.is_file():
                found.append(f"{name}: is neither a file nor a folder")
            elif path.is_file() and path.name.endswith("config.json"):
                found += [f"{name}: {problem}" for problem in _config_problems(path, part, pipeline)]
        found += _unmerged(component)
    return found


def _unmerged(component: Path) -> Iterator[str]:
    for path in weight_files(component):
        loose = [name for name in _tensor_names(path) if any(mark in name for mark in UNMERGED)]
        if loose:
            yield (f"{component.name}/{path.name}: has weights of adapters that are not merged, such as {loose[0]}; "
                   "expected pipe.fuse_lora() and pipe.unload_lora_weights() before save_pretrained")


def _tensor_names(path: Path) -> list[str]:
    """Names in a safetensors file's header; none when it cannot be read, which its loader will say."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST_JSON:
            return []
        try:
            return list(json.loads(file.read(length)))
        except ValueError:
            return []


def network_problems(folder: Path) -> list[str]:
    """The same for the folder of one network that transformers loads by a class that is chosen here."""
    found = [f"{name}: is code or can hold it, expected configurations and safetensors weights alone"
             for name in _code(folder)]
    found += [f"{name}: puts an adapter on the model, expected its weights alone"
              for name in ADAPTERS if (folder / name).exists()]
    for path in sorted(folder.glob("*config.json")):
        try:
            keys = _keys(read_json(path)) & (REDIRECTS | BACKBONES)
        except ValueError as error:
            found.append(f"{path.name}: {error}")
            continue
        found += [f"{path.name}: has {key}, which leads a loader to other code or weights" for key in sorted(keys)]
    if not weight_files(folder):
        found.append("has no weights as safetensors, expected model.safetensors, or shards with their index")
    return found


def _foreign_parts(index: Mapping[str, Any], pipeline: str) -> Iterator[str]:
    expected = classes(pipeline)
    for name, value in index.items():
        if name in REDIRECTS:
            yield f"{INDEX_NAME}: has {name} = {value!r}, expected no such key"
        elif isinstance(value, dict) or (isinstance(value, list) and name not in expected and value != [None, None]):
            yield f"{INDEX_NAME}: names a part {name} = {value!r}, expected one of {', '.join(expected)}"
    for name, known in expected.items():
        value = index.get(name)
        if value in (None, [None, None]) and name in OPTIONAL:
            continue
        if not (isinstance(value, list) and len(value) == 2 and tuple(value) in known):
            wanted = " or ".join(".".join(each) for each in sorted(known))
            yield f"{INDEX_NAME}: {name} is {value!r}, expected {wanted}"


def _code(folder: Path) -> list[str]:
    """Code below the folder, behind links to folders too; hidden folders (.git, .cache) are nobody's parts."""
    found, seen = set[str](), {os.path.realpath(folder)}
    for place, folders, files in os.walk(folder, followlinks=True):
        real = {name: os.path.realpath(Path(place, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name, target in real.items() if target not in seen]  # a link may lead back
        seen.update(real.values())
        found |= {Path(place, name).relative_to(folder).as_posix() for name in files
                  if Path(name).suffix.lower() in CODE}
    return sorted(found)


def _config_problems(path: Path, part: str, pipeline: str) -> Iterator[str]:
    try:
        config = read_json(path)
    except ValueError as error:
        yield str(error)
        return
    for key in sorted(_keys(config) & REDIRECTS):
        yield f"has {key}, which leads a loader to other code or weights"
    known = {name for _, name in classes(pipeline).get(part, ())}
    said = config.get("_class_name")
    if said is not None and known and said not in known:
        yield f"_class_name is {said!r}, expected {' or '.join(sorted(known))}"


def _keys(value: Any) -> set[str]:
    """Keys of an object and of all objects in it, but for those that say no."""
    if isinstance(value, dict):
        said = {key for key, each in value.items() if each is not None and each is not False}
        return said.union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()
