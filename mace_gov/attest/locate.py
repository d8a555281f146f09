"""What kind of path was given, and which version in the registry speaks about a model."""

from __future__ import annotations

import base64
from enum import StrEnum
from pathlib import Path

from mace_gov.attest.dsse import read_envelope
from mace_gov.attest.folder import file_names, hash_files
from mace_gov.core.canonical import strict_json
from mace_gov.core.digest import folder_digest
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.core.progress import Progress
from mace_gov.documents.registry import EVIDENCE_NAME, MODEL_PREFIX, POLICY_NAME, REPORT_NAME, VERDICT_NAME

MODEL_INDEX = "model_index.json"


class PathKind(StrEnum):
    """What can be verified."""

    VERSION = "version or audit folder"
    REPORT = "report folder"
    MODEL = "model folder"


def kind_of(path: Path) -> PathKind:
    """Tell the kind of ``path`` by the names in it: any one of a kind's names is enough, so that a missing one shows.

    Raises UsageError when there is no such folder, IntegrityError when nothing in it is ours.
    """
    if not path.is_dir():
        raise UsageError(
            f"{path} is not a folder", hint="Give a version's folder, a report's folder or a model's folder."
        )

    def has(*names: str) -> bool:
        return any((path / name).exists() for name in names)

    if belongs_to_version(path):
        return PathKind.MODEL
    if has(REPORT_NAME, "report.json", "index.html"):
        return PathKind.REPORT
    if has(EVIDENCE_NAME, VERDICT_NAME, POLICY_NAME):
        return PathKind.VERSION
    if has(MODEL_INDEX):
        return PathKind.MODEL
    raise IntegrityError(
        f"no evidence in {path}: expected {EVIDENCE_NAME} (a version), {REPORT_NAME} (a report) or {MODEL_INDEX} "
        "(a model)"
    )


def belongs_to_version(path: Path) -> bool:
    """Whether ``path`` is the model/ of a version folder."""
    path = path.absolute()
    return path.name == "model" and any((path.parent / n).exists() for n in (EVIDENCE_NAME, VERDICT_NAME))


def folders_about(model: Path, registry: Path | None, progress: Progress) -> tuple[list[Path], dict[str, str]]:
    """Versions and audits in the registry whose evidence claims to be about the model in ``model``, newest first.

    Also returns the digests of the model's files. Nothing is verified here. Raises IntegrityError when there is none,
    naming the files that differ from the version that comes closest.
    """
    names, problems = file_names(model, links_out=True)
    if problems:
        raise IntegrityError("\n".join(f"{model}/{problem}" for problem in problems))
    files: dict[str, str] = {}
    for name, found_digest in hash_files(model, names, progress).items():
        if isinstance(found_digest, OSError):
            raise IntegrityError(f"{model}/{name}: cannot be read: {found_digest.strerror}")
        files[name] = found_digest
    digest = folder_digest(files)
    claims = {} if registry is None else _claims(registry)
    found = [folder for folder, (subject, _) in claims.items() if subject == digest]
    if found:
        return sorted(found, key=lambda folder: (folder / EVIDENCE_NAME).stat().st_mtime, reverse=True), files
    where = f"in the registry {registry}" if registry else "beside it, and no registry was given"
    message = f"no evidence for this model: {model} has digest {digest}, which is not {where}"
    raise IntegrityError("\n".join([message, *_closest(files, claims)]))


def _claims(registry: Path) -> dict[Path, tuple[str, dict[str, str]]]:
    """Subject digest and model files by folder, as each evidence claims. Unreadable ones claim nothing."""
    claims = {}
    for path in sorted(registry.glob(f"versions/*/*/{EVIDENCE_NAME}")) + sorted(
        registry.glob(f"audits/*/*/{EVIDENCE_NAME}")
    ):
        try:
            subjects = strict_json(base64.b64decode(read_envelope(path).payload))["subject"]
            named = {subject["name"]: subject["digest"]["sha256"] for subject in subjects}
            files = {n.removeprefix(MODEL_PREFIX): d for n, d in named.items() if n.startswith(MODEL_PREFIX)}
            claims[path.parent] = (subjects[0]["digest"]["sha256"], files)
        except (IntegrityError, ValueError, LookupError, TypeError):
            continue
    return claims


def _closest(files: dict[str, str], claims: dict[Path, tuple[str, dict[str, str]]]) -> list[str]:
    """The files that differ from the nearest version, if at least half of its files are the same."""
    best: tuple[int, Path | None, dict[str, str]] = (0, None, {})
    for folder, (_, claimed) in claims.items():
        same = len(files.items() & claimed.items())
        if same > best[0] and 2 * same >= len(claimed):
            best = (same, folder, claimed)
    _, nearest, claimed = best
    if nearest is None:
        return []
    names = sorted(n for n in files.keys() | claimed.keys() if files.get(n) != claimed.get(n))
    return [
        f"{name}: differs from {nearest.parent.name}/{nearest.name}: digest is {files.get(name, 'missing')}, "
        f"expected {claimed.get(name, 'no such file')}"
        for name in names
    ]
