"""What is done with a finished version: sign off, load, draw. Each verifies first; what does not hold is not loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace_gov import workflow
from mace_gov.attest.keypair import KeyPair, load_key_pair
from mace_gov.attest.sign_off import sign_off
from mace_gov.attest.statement import EVIDENCE_NAME, REPORT_NAME, SIGN_OFFS, version_name
from mace_gov.core.atomic import write_bytes
from mace_gov.core.digest import folder_digest, sha256_file
from mace_gov.core.errors import IncompleteError, IntegrityError, NotReleasedError, UsageError
from mace_gov.core.phrases import phrase_key
from mace_gov.core.private import private_copy
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.drawable import refuse
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.sign_off import Decision
from mace_gov.plan.build import generation_settings
from mace_gov.record.releases import is_registered, note_sign_offs
from mace_gov.record.versions import names_version
from mace_gov.workflow.checking import pinned_keys

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
    if not signing_key.is_file():
        raise UsageError(f"{signing_key} is not a file, expected the reviewer's private key",
                         hint="Make one with `mace-gov keys generate ~/.config/mace-gov/reviewer.pem`.")
    return sign_off_with(load_key_pair(signing_key), path, decision=decision, reviewer=reviewer, role=role,
                         reason=reason, key=key, registry=registry)


def sign_off_with(
    pair: KeyPair, path: Path, *, decision: Decision, reviewer: str, role: str, reason: str, key: Path | None,
    registry: Path, seen: str | None = None, review_digest: str | None = None,
) -> tuple[Path, VerifiedEvidence]:
    """``sign_off_path`` with a key that is open.

    seen: SHA-256 of the report's envelope as it was looked at; UsageError when the report is another one by now.
    review_digest: see ``SignOff``.
    """
    verified, _, _ = workflow.verify_path(path, key=key, registry=registry)
    if seen is not None and sha256_file(verified.folder / REPORT_NAME) != seen:
        raise UsageError(f"{verified.folder} was written anew since it was looked at, expected the report of {seen}",
                         hint="Open the new one, then decide.")
    pinned = pinned_keys(key, registry).name_of(pair.public.fingerprint)
    if pinned is not None and phrase_key(pinned) != phrase_key(reviewer):
        raise UsageError(f"--reviewer is '{reviewer}', but {pair.private_path} is pinned as the key of '{pinned}', in "
                         f"whose name its decisions count", hint=f"Give --reviewer '{pinned}', or your own key.")
    held = _version_folder(verified, registry)
    written = sign_off(verified, pair, decision=decision, reviewer=reviewer, role=role,
                       reason=reason, out=held, registry=held and registry, review_digest=review_digest)
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
    that the registry has evidence about. It is loaded from a private copy, whose very bytes are compared with what was
    signed. Raises IntegrityError when anything does not hold, also when a file changes while it is being read;
    RecalledError when it was called back; NotReleasedError when the policy is not met, or a person has yet to look.
    """
    with _verified_copy(ref, key=key, registry=registry) as folder:
        from mace_gov.diffusion.load import load_pipeline

        return load_pipeline(folder, device=device, dtype=dtype)


def generate_pictures(
    model: str, prompts: list[str], out: Path, *, seed: int, revision: str | None, key: Path | None, registry: Path,
    verify: bool = True, device: str | None = None, progress: Progress | None = None,
) -> list[Path]:
    """Draw one picture per prompt and save them as PNG files.

    What the reference names decides: a registry version, ``models:/...``, a folder or a file is verified first, as
    ``load`` does, unless ``verify`` is False. ``embedded`` and hub ids name base models, which nothing governs.
    Raises UsageError for prompts that must never be drawn.
    """
    refuse(prompts)
    progress = progress or Silent()
    governed = names_version(model) or is_registered(model) or Path(model).expanduser().exists()
    base = model == "embedded" or not governed
    with ExitStack() as stack:
        if verify and not base:
            source = str(stack.enter_context(_verified_copy(model, key=key, registry=registry)))
        else:
            progress.note(f"{model} is a base model: no policy governs what it draws" if base else
                          f"{model} was not verified")
            source = str(workflow.folder_of(Path(model), registry)) if is_registered(model) else model
        from mace_gov.audit.pictures import png_bytes
        from mace_gov.diffusion.generate import draw
        from mace_gov.diffusion.lengths import cut_prompts
        from mace_gov.diffusion.load import load_pipeline
        from mace_gov.diffusion.manifest import read_manifest

        manifest = read_manifest(source, revision=revision, registry=registry, unmeasured=True)
        pipe = load_pipeline(manifest.path, device=device, draws=True)
        for prompt, read in cut_prompts(Path(manifest.path), prompts).items():
            progress.note(f"the model reads the beginning of '{prompt[:20]}…' alone, up to '…{read[-20:]}'")
    out.mkdir(parents=True, exist_ok=True)
    seeds = list(range(seed, seed + len(prompts)))
    paths = []
    pictures = draw(pipe, prompts, seeds, generation_settings(manifest), progress=progress)
    for each, picture in zip(seeds, pictures, strict=True):
        paths.append(out / f"{each:05d}.png")
        write_bytes(paths[-1], png_bytes(picture))
    return paths


@contextmanager
def _verified_copy(ref: str | Path, *, key: Path | None, registry: Path) -> Iterator[Path]:
    """A private copy of the diffusers folder that ``ref`` means, every byte of it as signed, if it may be used."""
    place = Path(str(ref).removeprefix("registry:"))
    folder = _model_folder(place, registry)
    verified, verdict, _ = workflow.verify_path(place, key=key, registry=registry)
    decided = workflow.may_release(verified, key=key, registry=registry)
    if decided.exit_code:
        raise NotReleasedError(f"{ref} may not be used, its verdict is {verdict.outcome}: {'; '.join(decided.reasons)}",
                               code=decided.exit_code)
    # Verified and loaded are two readings of the same files: what is loaded is the second, so it is compared again.
    sources = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    with ExitStack() as stack:
        try:
            copy, digests = stack.enter_context(private_copy(sources))
        except OSError as error:
            raise IntegrityError(
                f"{folder}: changed after it was verified: {error.filename}: {error.strerror}") from error
        if folder_digest(digests) != verified.evidence.audit.governed_digest:
            signed = verified.evidence.erasure.governed_files if verified.evidence.erasure else {}
            changed = sorted(name for name in digests.keys() | signed.keys() if digests.get(name) != signed.get(name))
            raise IntegrityError(f"{folder}: changed after it was verified: {', '.join(changed)}")
        yield copy


def _model_folder(place: Path, registry: Path) -> Path:
    """The diffusers folder that ``place`` means: model/ of a version, or the folder itself."""
    folder = workflow.folder_of(place, registry)
    return folder / "model" if (folder / EVIDENCE_NAME).exists() else folder


def _version_folder(verified: VerifiedEvidence, registry: Path) -> Path | None:
    """The folder of the verified version or audit in the registry, if it holds this very evidence."""
    name = version_name(verified.evidence)
    claimed = [registry / "versions" / name] if name else sorted(registry.glob("audits/*/*"))
    envelopes = (folder / EVIDENCE_NAME for folder in claimed)
    return next((envelope.parent for envelope in envelopes
                 if envelope.is_file() and sha256_file(envelope) == verified.evidence_digest), None)
