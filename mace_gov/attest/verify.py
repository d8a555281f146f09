"""Verify a version, an audit, a report or a model against signed evidence. The only maker of ``VerifiedEvidence``.

In this order: the signature under a pinned key; payload and predicate type; every file re-hashed, none missing, none
added; what lies beside for other tools; audit and summary name that digest; the policy is the local file; the summary
names this evidence; ages, now; the ancestor; sign-offs. What could not be checked is said in ``checks``. Every failure
is an IntegrityError that names the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from mace_gov.attest.companions import check_companions
from mace_gov.attest.contradictions import age_in_words, age_problems, evidence_problems, summary_problems
from mace_gov.attest.decisions import read_decisions
from mace_gov.attest.folder import compare_folder
from mace_gov.attest.keypair import PublicKey
from mace_gov.attest.locate import PathKind, belongs_to_version, folders_about, kind_of
from mace_gov.attest.report_check import read_report
from mace_gov.attest.sign import EVIDENCE_PREFIX
from mace_gov.attest.sign_off import sign_off_names
from mace_gov.attest.signed import Signed, read_signed
from mace_gov.attest.statement import version_name
from mace_gov.attest.trust import Trust, load_trust
from mace_gov.core.clock import wall_clock
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import IntegrityError
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.registry import EVIDENCE_NAME, MODEL_PREFIX, TEST_RESULT_NAME, VERDICT_NAME, Layout, version_in
from mace_gov.embedded import MODEL_DIR

ONE_POLICY = "policy.yaml is the file that was signed; no other copy of it was given to compare with"
"""What is said where no policy was given beside the evidence."""


@dataclass(frozen=True)
class Expectations:
    """What a verifier expects of the evidence beyond its being whole and signed; what is left out is not compared."""

    policy_file: Path | None = None
    """The local policy, compared byte by byte with the one in the evidence."""
    resource_uri: str | None = None
    """What the verdict must be about; a version's own name unless given."""
    max_age: timedelta | None = None
    """Older evidence or an older verdict is refused."""


NO_MORE = Expectations()


@dataclass(frozen=True)
class _Terms:
    """What the caller asked for."""

    trust: Trust
    expected: Expectations
    registry: Path | None
    need_verdict: bool
    progress: Progress
    now: datetime = field(default_factory=wall_clock)


def verify(
    path: Path, *, key: Trust | PublicKey | Path, registry: Path | None = None, model: Path | None = None,
    expected: Expectations = NO_MORE, need_verdict: bool = True, progress: Progress | None = None,
) -> VerifiedEvidence:
    """Verify ``path``: a version, audit, report or model folder.

    ``key``           the pinned keys, the pipeline's public key alone, or the file of either: a trust file or a PEM
    ``registry``      where a model's evidence is looked up, and where a report's version is re-hashed
    ``model``         the model of an audit folder, or another copy of a version's model, to be re-hashed
    ``need_verdict``  False before the gate has decided

    Raises IntegrityError (every difference of a re-hash at once), UsageError when there is no such folder.
    """
    trust = load_trust(key) if isinstance(key, Path) else key if isinstance(key, Trust) else Trust.of(key)
    terms = _Terms(trust, expected, registry, need_verdict, progress or Silent())
    kind = kind_of(path)
    if kind is PathKind.REPORT:
        return _report(path, terms)
    if kind is PathKind.VERSION:
        return _version(path, terms, model)
    if belongs_to_version(path):
        return _version(path.absolute().parent, terms, None)
    refused: list[str] = []
    folders, hashed = folders_about(path, registry, terms.progress)
    for folder in folders:
        try:
            return _version(folder, terms, path, hashed)
        except IntegrityError as error:
            refused.append(error.message)
    raise IntegrityError("\n".join([f"no evidence for this model holds: {path}", *refused]))


def also_checked(verified: VerifiedEvidence, remark: str, *, instead_of: str | None = None) -> VerifiedEvidence:
    """The same evidence with one more thing that was checked, or that could not be, in words.

    ``instead_of`` is a remark that holds no more.
    """
    return replace(verified, checks=(*(said for said in verified.checks if said != instead_of), remark))


def _version(
    folder: Path, terms: _Terms, model: Path | None, hashed: Mapping[str, str] | None = None
) -> VerifiedEvidence:
    signed = read_signed(folder, terms.trust, need_verdict=terms.need_verdict)
    return _verified(signed, [*_signatures(signed), *_files(signed, terms, model, hashed)], terms, [folder])


def _report(folder: Path, terms: _Terms) -> VerifiedEvidence:
    signed, checks = read_report(folder, terms.trust, terms.progress)
    checks += _signatures(signed)
    places = [folder]
    name = version_name(signed.evidence)
    held = Layout(terms.registry).versions / name if terms.registry and name else None
    envelope = held / EVIDENCE_NAME if held else None
    if held is None or envelope is None or not envelope.is_file():
        checks.append("the model itself was not re-hashed: its version is not in a registry at hand")
    elif sha256_file(envelope) != signed.evidence_digest:
        checks.append(f"the model itself was not re-hashed: {name} at hand is another version, with other evidence")
    else:
        checks += _files(read_signed(held, terms.trust, need_verdict=False), terms, None)
        places.append(held)
    return _verified(signed, checks, terms, places)


def _signatures(signed: Signed) -> Iterator[str]:
    yield f"{EVIDENCE_NAME}: signed by the pinned key {signed.keyid}; payload and predicate type are as expected"
    if signed.summary is not None:
        yield f"{VERDICT_NAME}: signed by the pinned key {signed.summary.keyid}; the same"


def _files(
    signed: Signed, terms: _Terms, model: Path | None, hashed: Mapping[str, str] | None = None
) -> list[str]:
    """Re-hash a version's or an audit's folder. What was checked, in words; raises with every difference at once.

    ``model`` is another copy of the model, ``hashed`` its digests if they have just been taken.
    """
    folder, evidence = signed.folder, signed.evidence
    expected = {f"{EVIDENCE_PREFIX}{name}": digest for name, digest in evidence.audit.files.items()}
    problems = [f"{name}: two digests are signed for it" for name in evidence.files if
                expected.get(name, evidence.files[name]) != evidence.files[name]]
    expected |= evidence.files
    sources = EVIDENCE_NAME if signed.summary is None else f"{EVIDENCE_NAME} and {VERDICT_NAME}"
    if signed.summary is not None and signed.summary.test_result is not None:
        expected[TEST_RESULT_NAME] = signed.summary.test_result
    checks = [f"{len(expected)} files beside the model re-hashed, none changed, missing or added"]
    inside = evidence.erasure is not None and model is None
    if inside:
        expected |= {f"{MODEL_PREFIX}{name}": digest for name, digest in signed.model_files.items()}
    # The copy in the version's folder is not the one that was asked about: it is left alone. An audit has none.
    elsewhere = [] if inside or evidence.erasure is None else _names_below(folder / "model")
    ignore = [EVIDENCE_NAME, VERDICT_NAME, *sign_off_names(folder), *elsewhere]
    problems += compare_folder(folder, expected, ignore=ignore, progress=terms.progress)
    if model is not None:
        problems += compare_folder(
            model, signed.model_files, links_out=evidence.erasure is None, progress=terms.progress, label=f"{model}/",
            hashed=hashed,
        )
    if problems:
        raise IntegrityError("\n".join([f"{folder} is not as it was signed in {sources}:", *problems]))
    if elsewhere:
        checks.append("the version's own model/ was not re-hashed: another copy was asked about")
    if inside or model is not None:
        where = "model/" if model is None else "the copy of the model that was asked about"
        checks.append(f"{where}: {len(signed.model_files)} files re-hashed, none changed, missing or added")
    else:
        checks.append("the model was not re-hashed: it lies elsewhere and was not given")
    return checks + check_companions(signed, terms.trust)


def _names_below(model: Path) -> list[str]:
    return [f"{MODEL_PREFIX}{path.relative_to(model).as_posix()}" for path in model.rglob("*") if path.is_file()]


def _verified(signed: Signed, checks: list[str], terms: _Terms, places: list[Path]) -> VerifiedEvidence:
    """The checks that need no files, then the verified evidence. ``places``: folders that may hold sign-offs."""
    evidence, summary = signed.evidence, signed.summary
    problems = evidence_problems(signed)
    checks.append(f"audit, erasure and lineage speak about the model {evidence.audit.governed_digest}")
    if terms.expected.policy_file is None:
        checks.append(ONE_POLICY)
    else:
        problems += _policy_problems(terms.expected.policy_file, evidence.policy_file_digest)
        checks.append("the policy is the local file that was given, byte by byte")
    if summary is not None:
        problems += summary_problems(signed, summary, terms.expected.resource_uri)
        checks.append(f"the verdict {summary.verdict.outcome} on {summary.resource_uri} rests on this evidence")
    problems += age_problems(signed, terms.trust, terms.now, terms.expected.max_age)
    checks.append(age_in_words(evidence, terms.now))
    problems += _place_problems(signed, terms.registry)
    if problems:
        raise IntegrityError("\n".join(f"{signed.folder}/{problem}" for problem in problems))
    checks.append(_ancestor(signed, terms))
    decisions = read_decisions(places, terms.registry, signed, terms.trust, terms.now)
    checks += decisions.checks
    return VerifiedEvidence(
        evidence=evidence, evidence_digest=signed.evidence_digest, keyid=signed.keyid, checks=tuple(checks),
        folder=signed.folder, verdict=summary.verdict if summary else None,
        verdict_digest=summary.digest if summary else None,
        resource_uri=summary.resource_uri if summary else None, sign_offs=decisions.sign_offs,
        elsewhere=decisions.elsewhere, unverified=decisions.unverified,
    )


def _policy_problems(path: Path, expected: str) -> list[str]:
    try:
        found = sha256_file(path)
    except OSError as error:
        return [f"policy.yaml: the local policy {path} cannot be read: {error.strerror}"]
    if found == expected:
        return []
    return [f"policy.yaml: the local policy {path} has digest {found}, the evidence is about {expected}"]


def _place_problems(signed: Signed, registry: Path | None) -> list[str]:
    """A version that lies in the registry under another version's name was moved there."""
    name = version_name(signed.evidence)
    if registry is None or name is None:
        return []
    versions = Layout(registry).versions.resolve()
    folder = signed.folder.resolve()
    if not folder.is_relative_to(versions):
        return []
    found = folder.relative_to(versions).as_posix()
    # A folder in construction has a name that begins with a dot until it is complete.
    if found == name or folder.name.startswith("."):
        return []
    return [f"{EVIDENCE_NAME}: speaks about {name}, but lies in the registry as {found}"]


def _ancestor(signed: Signed, terms: _Terms) -> str:
    base = signed.evidence.plan.base
    said = f"plan, erasure, audit and lineage name the base model {base.ref}, {base.digest}"
    folder = _base_folder(base, terms.registry)
    if folder is None:
        return f"{said}; its files are not at hand and were not re-hashed"
    if compare_folder(folder, base.files, links_out=True, progress=terms.progress):
        return f"{said}; what {base.ref} now holds is something else and was not compared"
    return f"{said}; its {len(base.files)} files were re-hashed"


def _base_folder(base: ModelManifest, registry: Path | None) -> Path | None:
    """Where the base lies here, for a reference that means the same everywhere."""
    if registry is None:
        return None
    if base.ref == "embedded":
        return Path(MODEL_DIR) if Path(MODEL_DIR).is_dir() else None
    if (named := version_in(base.ref)) is None:
        return None
    folder = Layout(registry).version(*named) / "model"
    return folder if folder.is_dir() else None
