"""Pictures made elsewhere, so that a model that cannot be run here can still be judged.

A CSV beside the prompts' columns names each row's picture in ``file`` and, where the base drew one, in ``base_file``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mace_gov.audit.calibrate import inside
from mace_gov.audit.decoding import decode, read_bytes
from mace_gov.audit.pictures import Drawer, Drawn
from mace_gov.audit.probes.outside import Outside
from mace_gov.core.digest import folder_digest, sha256_bytes
from mace_gov.core.errors import UsageError
from mace_gov.documents.audit import Side
from mace_gov.documents.plan import GenerationSettings, ModelManifest

PICTURES = "pictures"
"""Stands for the pipeline's class in the manifest of a model that is known by its pictures alone."""
SHOWN = 20
"""Pictures that an error names; the rest is counted."""


def picture_manifest(name: str, folder: Path, base: ModelManifest, files: Mapping[str, str]) -> ModelManifest:
    """The manifest of a model that ``folder`` holds pictures of: what is signed is the pictures that are judged.

    files: their digests by name below the folder.
    """
    return base.model_copy(update={
        "ref": name, "path": str(folder.resolve()), "revision": None, "digest": folder_digest(files),
        "files": dict(files), "pipeline": PICTURES, "embedded": False, "text_width": 0, "image_size": 0,
    })


def check_pictures(folder: Path, outside: Outside) -> dict[str, str]:
    """Look at every picture that the rows name; returns their digests by name.

    Raises UsageError with all that are missing, lie outside the folder or are no plain picture (see ``decoding``), and
    with those of the judged model that show the very same in one suite: one picture is no two samples.
    """
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: found no such folder, expected a folder of pictures")
    digests: dict[str, str] = {}
    pixels: dict[str, str] = {}
    problems = []
    for (prompt, _), names in outside.pictures.items():
        for name in names.values():
            try:
                data = read_bytes(inside(folder, name))
                seen = decode(data)
                digests[name], pixels[name] = sha256_bytes(data), f"{seen.size} {sha256_bytes(seen.tobytes())}"
            except ValueError as error:
                problems.append(f"{name}, the picture of '{prompt}': {error}")
    problems += _copies(outside, pixels)
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise UsageError("\n".join([f"--images {folder}: found {len(problems)} pictures that cannot be judged, "
                                    "expected none", *problems[:SHOWN], *more]),
                         hint="Save each as an opaque PNG of eight bits, one picture a file, and correct the table. "
                              "Where a safety checker painted pictures black, draw them without it.")
    return digests


def _copies(outside: Outside, pixels: Mapping[str, str]) -> list[str]:
    """Pictures of the judged model that a suite would count twice, each with the one that it is a copy of.

    A picture of the base may stand for several wordings, and one of the model for one prompt in several suites.
    """
    asked = [(f"{probe.category}, {probe.suite}", probe.prompt, probe.seed) for probe in outside.probes]
    asked += [("captions", prompt, seed) for prompt, seed in outside.captions]
    first: dict[tuple[str, str], str] = {}
    found = {}
    for counted, prompt, seed in asked:
        name = outside.pictures[prompt, seed]["governed"]
        if name in pixels and (other := first.setdefault((counted, pixels[name]), name)) != name:
            found[name] = f"{name}, the picture of '{prompt}': shows what {other} shows, pixel for pixel, and both " \
                          f"would count in {counted}; expected a picture that was drawn for it"
    return list(found.values())


def unnamed_files(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """Files of the folder that no judged row names, in order."""
    return sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - set(digests))


def imported_sides(outside: Outside) -> frozenset[Side]:
    """The sides whose pictures come from a folder: the governed model's, and the base's where the rows name them."""
    return frozenset(side for names in outside.pictures.values() for side in names)


def importing(folder: Path, outside: Outside, digests: Mapping[str, str], draw: Drawer) -> Drawer:
    """A drawer that takes from ``folder`` the pictures of the sides that the rows name; ``draw`` draws the other.

    Raises UsageError when a picture is no longer the one that was looked at.
    """
    sides = imported_sides(outside)

    def drawer(
        model: ModelManifest, prompts: Sequence[str], seeds: Sequence[int], settings: GenerationSettings
    ) -> Iterator[Drawn]:
        side: Side = "governed" if model.pipeline == PICTURES else "base"
        if side not in sides:
            yield from draw(model, prompts, seeds, settings)
            return
        for want in zip(prompts, seeds, strict=True):
            name = outside.pictures[want][side]
            data = read_bytes(inside(folder, name))
            if sha256_bytes(data) != digests[name]:
                raise UsageError(f"--images: {name} changed while the audit ran, expected the same file throughout")
            yield decode(data)

    return drawer
