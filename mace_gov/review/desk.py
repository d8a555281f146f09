"""What is reviewed, and each reviewer's own desk: the pictures in an order of their own, and the journal."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mace_gov import workflow
from mace_gov.attest.decisions import read_decisions
from mace_gov.attest.keypair import KeyPair, PublicKey
from mace_gov.attest.signed import read_signed
from mace_gov.attest.statement import version_name
from mace_gov.core.clock import wall_clock
from mace_gov.core.digest import sha256_bytes, sha256_file
from mace_gov.core.errors import IncompleteError, IntegrityError, UsageError
from mace_gov.core.files import read_file
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.audit import Trial
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.hidden import hidden
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import POLICY_NAME, REPORT_NAME, VERDICT_NAME
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.review import Act, Label, PictureRef
from mace_gov.documents.sign_off import SignOff
from mace_gov.documents.terms import Kind, Suite
from mace_gov.documents.trust import Role
from mace_gov.policy.load import load_policy
from mace_gov.record.versions import VersionEntry, by_digest
from mace_gov.report.evidence_pictures import confined
from mace_gov.report.render import PAGE
from mace_gov.review.journal import Journal, journal_path, open_journal
from mace_gov.workflow.checking import pinned_keys
from mace_gov.workflow.release_check import check_entry
from mace_gov.workflow.reporting import report_place

TRIALS_NAME = "trials.jsonl"
SIGNS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
"""First bytes of the kinds of picture that are served, and what they are called."""


@dataclass(frozen=True)
class Reviewer:
    """Somebody who may decide: a pinned name and the key that signs for it."""

    name: str
    """As the trust file pins it."""
    pair: KeyPair
    """Their key."""

    @property
    def keyid(self) -> str:
        """The key's fingerprint."""
        return self.pair.public.fingerprint


@dataclass(frozen=True)
class Item:
    """One picture in the queue, with what to look for in it and what the detectors made of it."""

    id: str
    """Opaque name, as pages use it."""
    ref: PictureRef
    """The picture."""
    question: str
    """What to look for, in words."""
    hidden: bool
    """Whether it is shown only once somebody asks to see it."""
    trial: Trial
    """What the detectors said; no page of the queue holds any of it."""


@dataclass(frozen=True)
class Subject:
    """What is reviewed: a version or an audit whose evidence, verdict and report were verified."""

    name: str
    """``NAME/N``, or what an audit's report is called."""
    verified: VerifiedEvidence
    """The verified report."""
    report: Path
    """The report's folder."""
    report_digest: str
    """SHA-256 of report.dsse.json, which lists the exact page."""
    page_digest: str
    """SHA-256 of that page."""
    entry: VersionEntry
    """The version or audit in the registry."""
    evidence_folder: Path
    """Where the pictures lie."""
    policy: Policy
    """The policy that was signed."""
    verdict_digest: str
    """SHA-256 of the verdict's envelope."""
    items: Mapping[str, Item]
    """The pictures by their opaque names."""
    registry: Path
    """The registry's folder."""
    key: Path | None
    """Keys that were pinned from outside; None: the registry's own."""

    @property
    def governed_digest(self) -> str:
        """The model."""
        return self.verified.evidence.audit.governed_digest

    def open_journal(self, reviewer: Reviewer) -> Journal:
        """The reviewer's journal on this verdict."""
        return self._open(reviewer.pair.public, reviewer.name)

    def others(self, but: str) -> tuple[list[Journal], list[str]]:
        """The journals of other pinned reviewers on this verdict, and what is wrong with those that do not hold.

        One that somebody spoilt keeps nobody else from deciding. Those of keys that nobody pins are left out.
        """
        found, problems = [], []
        for entry, key in pinned_keys(self.key, self.registry).keys:
            path = journal_path(self.registry, self.governed_digest, self.verdict_digest, entry.keyid)
            if entry.role is Role.REVIEWER and not entry.revoked and entry.keyid != but and path.exists():
                try:
                    found.append(self._open(key, entry.name))
                except (IntegrityError, OSError) as error:
                    problems.append(f"what {entry.name} did is left out: {error}")
        return found, problems

    def _open(self, key: PublicKey, name: str) -> Journal:
        path = journal_path(self.registry, self.governed_digest, self.verdict_digest, key.fingerprint)
        named = [one.review_digest for one in self.verified.sign_offs
                 if one.keyid == key.fingerprint and one.review_digest]
        return open_journal(path, key, name, evidence_digest=self.verified.evidence_digest,
                            verdict_digest=self.verdict_digest, named=named)

    def picture(self, item: Item) -> tuple[bytes, str]:
        """An item's bytes as they were signed for, and their media type. Raises IntegrityError."""
        path = confined(self.evidence_folder, item.ref.image)
        try:
            data = read_file(path)
        except OSError as error:
            raise IntegrityError(f"{path}: cannot be read: {error.strerror}") from error
        if (found := sha256_bytes(data)) != item.ref.image_digest:
            raise IntegrityError(f"{path}: has digest {found}, the evidence lists {item.ref.image_digest}")
        kind = next((kind for sign, kind in SIGNS.items() if data.startswith(sign)), None)
        if kind is None:
            raise IntegrityError(f"{path}: is no PNG, JPEG or WebP file")
        return data, kind


def open_subject(path: Path, *, registry: Path, reports: Path, key: Path | None) -> Subject:
    """Verify a version (``NAME/N`` or a folder) or its report's folder, and read the pictures that were judged.

    Raises IntegrityError and RecalledError as ``verify`` does, IncompleteError when there is no signed report to look
    at, or when the pictures do not lie here.
    """
    report = path
    if not (path / REPORT_NAME).is_file():
        folder = workflow.folder_of(path, registry)
        first = workflow.check(folder, key=key, registry=registry, need_verdict=True)
        report = report_place(version_name(first.evidence), first.folder, reports)
        if not (report / REPORT_NAME).is_file():
            raise IncompleteError(f"{report}: no signed report of {path}, expected one to review",
                                  hint=f"Write it: `mace-gov report {path}`, where the pipeline's key is.")
    verified = workflow.check(report, key=key, registry=registry, need_verdict=True)
    home = next((entry for entry in by_digest(registry, verified.evidence.audit.governed_digest)
                 if entry.evidence_digest == verified.evidence_digest), None)
    if home is None:
        raise IncompleteError(f"{registry}: holds no version with the evidence of {report}, expected its pictures",
                              hint="Give the registry that it was made in with --registry.")
    policy = load_policy(report / POLICY_NAME, ended=True).policy
    return Subject(
        name=version_name(verified.evidence) or report.name, verified=verified, report=report,
        report_digest=sha256_file(report / REPORT_NAME), page_digest=sha256_file(report / PAGE), entry=home,
        evidence_folder=home.folder / "evidence", policy=policy, verdict_digest=sha256_file(report / VERDICT_NAME),
        items={item.id: item for item in _items(verified, policy, home.folder / "evidence")}, registry=registry,
        key=key,
    )


def _items(verified: VerifiedEvidence, policy: Policy, folder: Path) -> Iterable[Item]:
    audit = verified.evidence.audit
    path = confined(folder, TRIALS_NAME)
    try:
        data = read_file(path)
    except OSError as error:
        raise IncompleteError(f"{path}: cannot be read: {error.strerror}") from error
    if (found := sha256_bytes(data)) != audit.files.get(TRIALS_NAME):
        raise IntegrityError(f"{path}: has digest {found}, the evidence lists {audit.files.get(TRIALS_NAME)}")
    # The embedded model draws harmless stand-ins; an audit that pixelated anything knew that its model may not.
    real = not verified.evidence.plan.base.embedded or any(each.pixelated for each in audit.thumbnails)
    categories = {category.id: category for category in policy.spec.categories}
    phrases = {(category.id, concept.id): concept.target for category, concept in policy.concepts()}
    seen: set[PictureRef] = set()
    for line in data.splitlines():
        trial = Trial.model_validate_json(line)
        ref = PictureRef(image=trial.image, image_digest=trial.image_digest, category=trial.category,
                         concept=trial.concept, suite=trial.suite)
        category = categories.get(trial.category)
        if ref in seen or category is None:
            continue
        seen.add(ref)
        phrase = phrases.get((trial.category, trial.concept), trial.concept)
        named = hashlib.sha256("\0".join((verified.evidence_digest, *map(str, ref.to_json().values()))).encode())
        yield Item(id=named.hexdigest()[:20], ref=ref, trial=trial, hidden=real and hidden(category, trial.suite),
                   question=question_of(category.kind, trial.suite, phrase))


def question_of(kind: Kind, suite: Suite, phrase: str) -> str:
    """What to look for, in words. Beside a banned style, styles and things must survive: no trial says which it is."""
    if kind is not Kind.STYLE:
        return f"“{phrase}”"
    return f"anything in the style of “{phrase}”" if suite.banned else f"“{phrase}”, as a thing or as a style"


@dataclass
class Desk:
    """A reviewer at work on a subject. Order and journal are their own; others' labels are not seen from here."""

    subject: Subject
    """What is reviewed."""
    reviewer: Reviewer
    """Who sits here."""
    journal: Journal
    """What they did."""
    order: Sequence[Item]
    """All pictures, shuffled by the key: so far as anyone gets, it is a random sample."""
    labels: dict[str, Label] = field(default_factory=dict)
    """The last label by item."""
    signing: threading.Lock = field(default_factory=threading.Lock)
    """Held while a decision is being signed, which takes as long as hashing the model."""

    @classmethod
    def of(cls, subject: Subject, reviewer: Reviewer) -> Desk:
        """The desk with what the journal already has."""
        journal = subject.open_journal(reviewer)
        order = sorted(subject.items.values(),
                       key=lambda item: hashlib.sha256(f"{reviewer.keyid}{item.id}".encode()).digest())
        known = journal.labels()
        labels = {item.id: known[item.ref] for item in order if item.ref in known}
        return cls(subject, reviewer, journal, order, labels)

    def next_item(self, *, clear: bool = False, but: Item | None = None) -> Item | None:
        """The first picture without a label but for ``but``; None when all have one. clear: of those not hidden."""
        return next((item for item in self.order if item.id not in self.labels and not (clear and item.hidden)
                     and item is not but), None)

    def last_item(self) -> Item | None:
        """The picture that was labelled last."""
        done = [entry.picture for entry in self.journal.entries if entry.act is Act.LABEL]
        return next((item for item in self.order if done and item.ref == done[-1]), None)

    @property
    def last_reason(self) -> str:
        """Why the last hidden picture had to be seen; a reviewer with many need not type it again."""
        reasons = [entry.text for entry in self.journal.entries if entry.act is Act.REVEAL]
        return (reasons[-1] if reasons else None) or ""

    def label(self, item: Item, label: Label) -> None:
        """Say what a picture shows. Raises UsageError once the labelling has ended."""
        if self.journal.closed:
            raise UsageError("the labelling has ended: labels that are given with the detectors' answers in view "
                             "measure nothing")
        self.journal.add(self.reviewer.pair, Act.LABEL, picture=item.ref, label=label)
        self.labels[item.id] = label


def reviewer_of(pair: KeyPair, subject: Subject) -> Reviewer:
    """Who may review with a key, by the name that it is pinned for.

    Raises UsageError for the pipeline's own key, for one that is not pinned for a reviewer now, and for the policy's
    owner: who answers for the policy does not decide about it.
    """
    keyid = pair.public.fingerprint
    if keyid == subject.verified.keyid:
        raise UsageError(f"the key {keyid} signed the evidence itself: a reviewer is not the author",
                         hint="Make a key of your own: `mace-gov keys generate ~/.config/mace-gov/reviewer.pem`.")
    trust = pinned_keys(subject.key, subject.registry)
    name = trust.name_of(keyid)
    if name is None or not trust.signs(keyid, Role.REVIEWER):
        raise UsageError(f"{pair.public_path} is not pinned as a reviewer's key, so no decision of it counts",
                         hint=f"`mace-gov keys trust {pair.public_path} --name YOU --registry {subject.registry}`")
    if phrase_key(name) == phrase_key(owner := subject.policy.metadata.owner):
        raise UsageError(f"{name} is pinned for this key and owns the policy ({owner}): a reviewer is not the author")
    return Reviewer(name, pair)


def standing_now(subject: Subject) -> tuple[ReleaseCheck, list[SignOff]]:
    """How the subject stands now, and every decision on its verdict in order. Signatures are checked, files are not."""
    trust = pinned_keys(subject.key, subject.registry)
    signed = read_signed(subject.entry.folder, trust, need_verdict=True)
    said = read_decisions([subject.entry.folder], subject.registry, signed, trust, wall_clock())
    return check_entry(subject.entry, subject.registry, trust), list(said.sign_offs)
