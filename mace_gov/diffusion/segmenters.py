"""Which detector and which segmenter a policy means, where they lie and what is in them, by content. No torch."""

from __future__ import annotations

from pathlib import Path

from mace_gov.core.digest import folder_digest, sha256_file
from mace_gov.core.errors import ModelError
from mace_gov.diffusion.contents import TEXT, network_problems, read_json, weight_files
from mace_gov.diffusion.hub import fetch
from mace_gov.documents.method import Segmenter
from mace_gov.documents.plan import SegmenterSettings

KINDS = {"detector": ("grounding-dino", "a Grounding DINO"), "segmenter": ("sam", "a SAM")}
"""What each must be: model_type in its config.json, and in words."""

THRESHOLD = 0.3
"""Score from which a box counts, as Grounded-SAM is published."""

FILES = ["*.json", "*.txt", "*.safetensors"]
"""What is fetched from the hub."""


def read_segmenter(asked: Segmenter) -> SegmenterSettings:
    """Find both networks and account for every file of them that is loaded.

    Raises ModelError when there is no such model, it is of another kind, or something in it would run code.
    """
    one = locate_network("detector", asked.detector, asked.detector_revision)
    two = locate_network("segmenter", asked.segmenter, asked.segmenter_revision)
    return SegmenterSettings(
        detector=asked.detector, detector_revision=asked.detector_revision, detector_digest=network_digest(one),
        segmenter=asked.segmenter, segmenter_revision=asked.segmenter_revision, segmenter_digest=network_digest(two),
        threshold=THRESHOLD if asked.threshold is None else asked.threshold,
    )


def locate_network(part: str, ref: str, revision: str | None) -> Path:
    """The folder of the ``detector`` or ``segmenter`` that ``ref`` names, checked. Raises ModelError as above."""
    where = f"method.segmenter.{part}: '{ref}'"
    path = Path(ref).expanduser()
    if not path.is_dir() and ref.startswith(("/", ".", "~")):
        raise ModelError(f"{where} is no folder, expected one, or a hub id", hint="Give an existing folder.")
    folder = path if path.is_dir() else fetch(ref, revision, FILES)
    kind, words = KINDS[part]
    hint = f"Give {words} in the format of transformers."
    try:
        found = read_json(folder / "config.json").get("model_type")
    except ValueError as error:
        raise ModelError(f"{where}: config.json {error}", hint=hint) from error
    if found != kind:
        raise ModelError(f"{where} has model_type {found!r}, expected {kind!r}", hint=hint)
    if problems := network_problems(folder):
        raise ModelError("\n".join([f"{where} is not loaded, {len(problems)} finding(s):", *problems]),
                         hint="Get the model from its publisher, or save it anew with save_pretrained.")
    return folder


def network_digest(folder: Path) -> str:
    """Digest of the files of a network's folder that are loaded."""
    texts = [path for path in folder.iterdir() if path.suffix in TEXT and path.is_file()]
    return folder_digest({path.name: sha256_file(path) for path in sorted([*texts, *weight_files(folder)])})
