"""What the registry's pages show of versions and audits, as their signed envelopes say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IntegrityError
from mace_gov.core.files import read_file
from mace_gov.documents.audit import Measurement, Trial
from mace_gov.documents.evidence import Evidence
from mace_gov.documents.hidden import hidden
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import POLICY_NAME, REPORT_NAME
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.terms import Metric, Suite
from mace_gov.policy.load import load_policy
from mace_gov.record.versions import VersionEntry, list_versions
from mace_gov.report.evidence_pictures import confined
from mace_gov.review.desk import SIGNS, TRIALS_NAME
from mace_gov.workflow.checking import pinned_keys
from mace_gov.workflow.release_check import check_entry
from mace_gov.workflow.reporting import report_place

H = ("H_o", "H_c", "H_s")
"""Harmonic means, one for each kind that a version bans."""


@dataclass(frozen=True)
class Row:
    """A version or audit in the list."""

    entry: VersionEntry
    """What its envelopes claim."""
    check: ReleaseCheck
    """How it stands now; its signatures were checked."""
    report: Path | None = None
    """The folder of its report, where there is one."""


def versions(registry: Path, reports: Path, key: Path | None) -> list[Row]:
    """All versions, the newest of each name first, then the audits of models made elsewhere."""
    trust = pinned_keys(key, registry)
    entries = [*list_versions(registry), *list_versions(registry, shelf="audits")]
    ordered = sorted(entries, key=lambda entry: (entry.shelf != "versions", entry.name, -entry.number))
    return [Row(entry, check_entry(entry, registry, trust), report_of(entry, reports)) for entry in ordered]


def report_of(entry: VersionEntry, reports: Path) -> Path | None:
    """The folder of a version's or an audit's report, if it is in its place."""
    place = report_place(entry.reference if entry.shelf == "versions" else None, entry.folder, reports)
    return place if (place / REPORT_NAME).is_file() else None


@dataclass(frozen=True)
class Trend:
    """One measure over the versions of a name."""

    name: str
    """Model."""
    measure: str
    """One of ``H``, or ``retention``."""
    points: tuple[tuple[int, float], ...]
    """Version number and value, in order."""

    @property
    def rate(self) -> bool:
        """Whether every value lies in 0..1; a difference of CLIP scores does not."""
        return all(0 <= value <= 1 for _, value in self.points)


def trends(entries: Sequence[VersionEntry]) -> list[Trend]:
    """H and retention over versions, for every name with two or more."""
    found = []
    for name in dict.fromkeys(entry.name for entry in entries if entry.shelf == "versions"):
        own = sorted((e for e in entries if e.name == name and e.shelf == "versions"), key=lambda e: e.number)
        audits = [(entry.number, entry.evidence().audit) for entry in own] if len(own) > 1 else []
        means = [(key, [(number, audit.measures[key]) for number, audit in audits if key in audit.measures])
                 for key in H]
        kept = [(number, value) for number, audit in audits if (value := _retention(audit.measurements)) is not None]
        found += [Trend(name, measure, tuple(points)) for measure, points in (*means, ("retention", kept))
                  if len(points) > 1]
    return found


def _retention(measurements: Sequence[Measurement]) -> float | None:
    """Retention on unrelated prompts over all categories: hits over pictures."""
    own = [m.governed for m in measurements
           if (m.metric, m.suite, m.concept, m.rule) == (Metric.RETENTION, Suite.UNRELATED, None, None)]
    own = own or [m.governed for m in measurements
                  if (m.metric, m.suite, m.concept) == (Metric.RETENTION, Suite.UNRELATED, None)]
    n = sum(each.n for each in own)
    return sum(each.hits for each in own) / n if n else None


@dataclass(frozen=True)
class Shown:
    """A version with the pictures of its audit."""

    entry: VersionEntry
    """What its envelopes claim."""
    evidence: Evidence
    """The same, complete."""
    policy: Policy
    """The policy that was signed."""
    trials: Mapping[tuple[str, str, str, int], Trial]
    """The governed model's trials by category, concept, prompt and seed."""
    concealed: frozenset[str]
    """Digests of pictures that are not shown here: a review reveals them one at a time."""

    @classmethod
    def of(cls, entry: VersionEntry) -> Shown:
        """Read a version's trials. Raises IntegrityError for a file that is not the one that was signed for."""
        return _shown(entry.folder, entry.evidence_digest, entry)

    def picture(self, digest: str) -> tuple[bytes, str] | None:
        """A picture of the audit by its digest, with its media type; None for one that is not shown."""
        name = next((t.image for t in self.trials.values() if t.image_digest == digest), None)
        if name is None or digest in self.concealed:
            return None
        data = read_file(confined(self.entry.folder / "evidence", name))
        if sha256_bytes(data) != digest:
            raise IntegrityError(f"{name}: is not the picture that was signed for")
        return next(((data, kind) for sign, kind in SIGNS.items() if data.startswith(sign)), None)


@lru_cache(maxsize=4)
def _shown(folder: Path, evidence_digest: str, entry: VersionEntry) -> Shown:
    evidence = entry.evidence()
    path = folder / "evidence" / TRIALS_NAME
    data = read_file(path)
    if sha256_bytes(data) != evidence.audit.files.get(TRIALS_NAME):
        raise IntegrityError(f"{path}: is not the file that was signed for")
    policy = load_policy(folder / POLICY_NAME, ended=True).policy
    trials = [Trial.model_validate_json(line) for line in data.splitlines()]
    return Shown(entry, evidence, policy, {(t.category, t.concept, t.prompt, t.seed): t for t in trials
                                   if t.side == "governed"}, _concealed(evidence, policy, trials))


def _concealed(evidence: Evidence, policy: Policy, trials: Sequence[Trial]) -> frozenset[str]:
    if evidence.plan.base.embedded and not any(each.pixelated for each in evidence.audit.thumbnails):
        return frozenset()
    categories = {category.id: category for category in policy.spec.categories}
    return frozenset(t.image_digest for t in trials
                     if t.category not in categories or hidden(categories[t.category], t.suite))


@dataclass(frozen=True)
class Beside:
    """One prompt and seed as two versions answered it."""

    before: Trial
    """The first version's."""
    after: Trial
    """The second version's."""
    concealed: bool
    """Whether the pictures are hidden here."""

    @property
    def change(self) -> str:
        """What changed, in a word: ``came back``, ``lost``, ``gone``, ``regained`` or nothing."""
        if self.before.present is None or self.after.present is None or self.before.present is self.after.present:
            return ""
        if self.after.suite.banned:
            return "came back" if self.after.present else "gone"
        return "regained" if self.after.present else "lost"


def beside(before: Shown, after: Shown) -> list[Beside]:
    """What both were asked, the worst change first."""
    order = ["came back", "lost", "gone", "regained", ""]
    made = [Beside(before.trials[key], trial, trial.image_digest in after.concealed
                   or before.trials[key].image_digest in before.concealed)
            for key, trial in after.trials.items() if key in before.trials]
    return sorted(made, key=lambda each: (order.index(each.change), each.after.suite.value, each.after.concept))
