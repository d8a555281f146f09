"""What is done with a finished version: sign off, load, draw. Each verifies first; what does not hold is not loaded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace_gov import workflow
from mace_gov.attest.keypair import load_key_pair
from mace_gov.attest.sign_off import sign_off
from mace_gov.attest.statement import EVIDENCE_NAME, SIGN_OFFS, version_name
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IncompleteError, IntegrityError, NotReleasedError, UsageError
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.sign_off import Decision
from mace_gov.plan.build import generation_settings
from mace_gov.record.releases import note_sign_offs

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline


def sign_off_path(
    path: Path, *, signing_key: Path, decision: Decision, reviewer: str, role: str, reason: str, key: Path | None,
    registry: Path,
) -> tuple[Path, VerifiedEvidence]:
    """Verify a report or a version, then sign a reviewer's decision on its verdict.

    The sign-off goes to the folder of the version or audit and to the registry's decisions/, where the registry has
    it, else beside what was looked at.
    """
    verified, _, _ = workflow.verify_path(path, key=key, registry=registry)
    if not signing_key.is_file():
        raise UsageError(f"{signing_key} is not a file, expected the reviewer's private key",
                         hint="Make one with `mace-gov keys generate ~/.config/mace-gov/reviewer.pem`.")
    held = _version_folder(verified, registry)
    written = sign_off(verified, load_key_pair(signing_key), decision=decision, reviewer=reviewer, role=role,
                       reason=reason, out=held, registry=held and registry)
    lineage = verified.evidence.lineage
    if held and lineage:
        # A third place to know it from. It is signed and filed, whether or not MLflow is here and may be written.
        with suppress(IncompleteError):
            note_sign_offs(registry, lineage, held, len(list((held / SIGN_OFFS).iterdir())))
    return written, verified


def load(
    ref: str | Path, *, key: Path | None = None, registry: Path, device: str | None = None, dtype: Any = None
) -> StableDiffusionPipeline:
    """A governed version as a ready pipeline, if its evidence holds and its verdict lets it through.

    ``ref`` is ``NAME/N`` (or ``registry:NAME/N``), ``models:/NAME@compliant``, a version's folder, or a model folder
    that the registry has evidence about. Raises IntegrityError when anything does not hold, also when a file changes
    while it is being read; RecalledError when it was called back; NotReleasedError when the policy is not met, or a
    person has yet to look.
    """
    place = Path(str(ref).removeprefix("registry:"))
    folder = _model_folder(place, registry)
    before = _states(folder)
    verified, verdict, _ = workflow.verify_path(place, key=key, registry=registry)
    if str(ref).startswith("models:/") and not folder.samefile(verified.folder / "model"):
        raise IntegrityError(f"{ref}: MLflow led elsewhere while it was being verified")
    decided = workflow.may_release(verified, key=key, registry=registry)
    if decided.exit_code:
        raise NotReleasedError(f"{ref} may not be used, its verdict is {verdict.outcome}: {'; '.join(decided.reasons)}",
                               code=decided.exit_code)
    from mace_gov.diffusion.load import load_pipeline

    pipe = load_pipeline(folder, device=device, dtype=dtype)
    # Verified and loaded are two readings of the same files: what changed in between was never verified.
    after = _states(folder)
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        raise IntegrityError(f"{folder}: changed while it was being loaded: {', '.join(changed)}")
    return pipe


def generate_pictures(
    model: str, prompts: list[str], out: Path, *, seed: int, revision: str | None, key: Path | None, registry: Path,
    verify: bool = True, device: str | None = None, progress: Progress | None = None,
) -> list[Path]:
    """Draw one picture per prompt and save them as PNG files.

    A folder or a registry version is verified first, as ``load`` does, unless ``verify`` is False. ``embedded`` and hub
    ids name base models, which nothing governs.
    """
    from mace_gov.diffusion.generate import draw
    from mace_gov.diffusion.load import load_pipeline
    from mace_gov.diffusion.manifest import read_manifest

    progress = progress or Silent()
    manifest = read_manifest(model, revision=revision, registry=registry, unmeasured=True)
    folder = Path(manifest.path)
    base = model == "embedded" or not (Path(model).exists() or folder.is_relative_to(registry.resolve()))
    if verify and not base:
        pipe = load(model, key=key, registry=registry, device=device)
    else:
        progress.note(f"{model} is a base model: no policy governs what it draws" if base else
                      f"{model} was not verified")
        pipe = load_pipeline(folder, device=device)
    out.mkdir(parents=True, exist_ok=True)
    seeds = list(range(seed, seed + len(prompts)))
    paths = []
    pictures = draw(pipe, prompts, seeds, generation_settings(manifest), progress=progress)
    for each, picture in zip(seeds, pictures, strict=True):
        paths.append(out / f"{each:05d}.png")
        picture.save(paths[-1])
    return paths


def _model_folder(place: Path, registry: Path) -> Path:
    """The diffusers folder that ``place`` means: model/ of a version, or the folder itself."""
    folder = workflow.folder_of(place, registry)
    return folder / "model" if (folder / EVIDENCE_NAME).exists() else folder


def _states(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Of every file its inode, size and times: ctime moves with every write and cannot be set back."""
    states = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            seen, name = path.stat(), path.relative_to(folder).as_posix()
            states[name] = (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return states


def _version_folder(verified: VerifiedEvidence, registry: Path) -> Path | None:
    """The folder of the verified version or audit in the registry, if it holds this very evidence."""
    name = version_name(verified.evidence)
    claimed = [registry / "versions" / name] if name else sorted(registry.glob("audits/*/*"))
    envelopes = (folder / EVIDENCE_NAME for folder in claimed)
    return next((envelope.parent for envelope in envelopes
                 if envelope.is_file() and sha256_file(envelope) == verified.evidence_digest), None)
