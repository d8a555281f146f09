"""Load a finished version, or draw with it. It is verified first; what does not hold is not loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace_gov.core.atomic import write_bytes
from mace_gov.core.digest import folder_digest
from mace_gov.core.errors import IntegrityError, NotReleasedError
from mace_gov.core.private import private_copy
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.drawable import refuse
from mace_gov.documents.plan import GenerationSettings
from mace_gov.documents.registry import EVIDENCE_NAME, names_version
from mace_gov.plan.build import generation_settings
from mace_gov.record.releases import is_registered
from mace_gov.workflow import checking

if TYPE_CHECKING:
    from mace_gov.diffusion.pipeline import Pipeline


def load(
    ref: str | Path, *, key: Path | None = None, registry: Path, device: str | None = None, dtype: Any = None
) -> Pipeline:
    """A governed version as a ready pipeline, if its evidence holds and its verdict lets it through.

    ``ref`` is ``NAME/N`` (or ``registry:NAME/N``), ``models:/NAME@compliant``, a version's folder, or a model folder
    that the registry has evidence about. It is loaded from a private copy, whose very bytes are compared with what was
    signed, and draws with the sampler that it was judged by unless a call says otherwise. Raises IntegrityError when
    anything does not hold, also when a file changes while it is being read; RecalledError when it was called back;
    NotReleasedError when the policy is not met, or a person has yet to look.
    """
    with _verified_copy(ref, key=key, registry=registry) as (folder, settings):
        from mace_gov.diffusion.load import load_pipeline
        from mace_gov.diffusion.sampler import by_default

        return by_default(load_pipeline(folder, device=device, dtype=dtype), settings)


def generate_pictures(
    model: str, prompts: list[str], out: Path, *, seed: int, revision: str | None, key: Path | None, registry: Path,
    verify: bool = True, steps: int | None = None, guidance: float | None = None, device: str | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Draw one picture per prompt and save them as PNG files.

    A verified version is drawn with the sampler that it was judged by, anything else as published models are; steps and
    guidance say otherwise.

    What the reference names decides: a registry version, ``models:/...``, a folder or a file is verified first, as
    ``load`` does, unless ``verify`` is False. ``embedded`` and hub ids name base models, which nothing governs.
    Raises UsageError for prompts that must never be drawn.
    """
    refuse(prompts)
    progress = progress or Silent()
    governed = names_version(model) or is_registered(model) or Path(model).expanduser().exists()
    base = model == "embedded" or not governed
    with ExitStack() as stack:
        settings = None
        if verify and not base:
            copy, settings = stack.enter_context(_verified_copy(model, key=key, registry=registry))
            source = str(copy)
        else:
            progress.note(f"{model} is a base model: no policy governs what it draws" if base else
                          f"{model} was not verified")
            source = str(checking.folder_of(Path(model), registry)) if is_registered(model) else model
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
    given = {name: value for name, value in (("steps", steps), ("guidance", guidance)) if value is not None}
    settings = (settings or generation_settings(manifest)).model_copy(update=given)
    pictures = draw(pipe, prompts, seeds, settings, progress=progress)
    for each, picture in zip(seeds, pictures, strict=True):
        paths.append(out / f"{each:05d}.png")
        write_bytes(paths[-1], png_bytes(picture))
    return paths


@contextmanager
def _verified_copy(ref: str | Path, *, key: Path | None, registry: Path
                   ) -> Iterator[tuple[Path, GenerationSettings]]:
    """A private copy of the diffusers folder that ``ref`` means, every byte of it as signed, if it may be used.

    Beside it how pictures of it were drawn when it was judged.
    """
    place = Path(str(ref).removeprefix("registry:"))
    folder = _model_folder(place, registry)
    verified, verdict, decided = checking.verify_path(place, key=key, registry=registry)
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
        yield copy, verified.evidence.plan.generation


def _model_folder(place: Path, registry: Path) -> Path:
    """The diffusers folder that ``place`` means: model/ of a version, or the folder itself."""
    folder = checking.folder_of(place, registry)
    return folder / "model" if (folder / EVIDENCE_NAME).exists() else folder
