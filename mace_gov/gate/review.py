"""May a model be released now? What its verdict says, what reviewers said of it, recalls, waivers and the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from mace_gov.core.clock import parse_time, timestamp
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.policy import Policy
from mace_gov.documents.release import Release
from mace_gov.documents.release_check import ReleaseCheck, State
from mace_gov.documents.sign_off import Decision, SignOff
from mace_gov.documents.terms import Severity
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.gate.rules import worst
from mace_gov.gate.waive import ended_since

REVIEWERS = {Severity.CRITICAL: 2}
"""Different reviewers that must approve what a rule of this severity left open; one for the others."""


_DUE = "the policy was due for review by"


@dataclass(frozen=True)
class Known:
    """What was said and done about a model outside of its verdict. Everything in it is verified but ``unverified``."""

    sign_offs: Sequence[SignOff] = ()
    """On the very verdict that is asked about, in order: of each key the last one counts."""
    elsewhere: Sequence[SignOff] = ()
    """On other verdicts about the same model, in order: they approve nothing here, but reject."""
    unverified: Sequence[SignOff] = ()
    """On this model, by keys that nobody pinned: they approve nothing, and a rejection must be looked into."""
    recall: Release | None = None
    """A recall of the version or of the model."""
    told: ReleaseCheck | None = None
    """How it stood when a report on it was written, where nothing newer is at hand."""
    remarks: Sequence[str] = ()
    """What else is worth saying."""


@dataclass(frozen=True)
class _Bar:
    """One thing that speaks against a release."""

    state: State
    reason: str
    code: int = Outcome.FAIL.exit_code
    always: bool = False
    """Whether it stops audit mode as well."""


def check_release(verdict: Verdict, policy: Policy | None, known: Known, today: date) -> ReleaseCheck:
    """The answer, from all that is known. Pure but for the time that it carries.

    ``policy`` says what may have ended since; None for a verdict of today, which says that itself.

    Approvals close a REVIEW: one, or two by different reviewers when a critical rule was left open. A rejection stops
    anything, a condition holds it back until the same key approves. Nobody approves a FAIL: that takes another version.
    """
    approvals = [one for one in _last_words(known.sign_offs) if one.decision is Decision.APPROVE]
    bars = [*_people(known), *_verdict(verdict, approvals)]
    if policy:
        bars += _clock(verdict, policy, approvals, today)
    if known.recall:
        bars.insert(0, _Bar(State.RECALLED, recall_in_words(known.recall), always=True))
    if known.told and known.told.state in (State.RECALLED, State.REJECTED):
        bars += [_Bar(known.told.state, f"{reason} (so the report says)", always=True) for reason in known.told.reasons]
    stops = [bar for bar in bars if bar.always or verdict.mode != "audit"]
    state = min((bar.state for bar in bars), key=list(State).index, default=None)
    open_ = verdict.model_copy(update={"mode": "enforce"}).exit_code == Outcome.REVIEW.exit_code
    closed = open_ or bool(policy and _due_since(verdict, policy, today))
    return ReleaseCheck(
        state=state or (State.APPROVED if closed else State.WAIVED if verdict.waivers else State.PASSED),
        released=not bars, exit_code=min((bar.code for bar in stops), default=0),
        reasons=list(dict.fromkeys(bar.reason for bar in bars)),
        remarks=[*(_words(one, "approved") for one in approvals), *known.remarks], at=timestamp(),
    )


def recall_in_words(entry: Release) -> str:
    """A recall, as whoever runs into it reads it."""
    return f"{entry.name}/{entry.version} was recalled on {entry.at} by {entry.by}: {entry.reason}"


def review_due(policy: Policy, today: date) -> str | None:
    """That the policy's own date of review has passed, in words."""
    by = policy.metadata.review_by
    return f"{_DUE} {by}, today is {today}" if today > by else None


def same_decision(verdict: Verdict, other: Verdict | None) -> bool:
    """Whether what reviewers said of one verdict holds for the other.

    They differ in mode, in their dates, and in whether the policy's date of review had passed, at most.
    """
    if other is None:
        return False
    due = any(reason.startswith(_DUE) for reason in (*verdict.reasons, *other.reasons))
    return _undated(verdict, due) == _undated(other, due)


def _undated(verdict: Verdict, due: bool) -> Verdict:
    """``verdict`` without mode and dates. due: as if the date of review had passed."""
    outcome, blocking = verdict.outcome, verdict.blocking or verdict.outcome
    if due:
        outcome, blocking = worst([outcome, Outcome.REVIEW]), worst([blocking, Outcome.REVIEW])
    return verdict.model_copy(update={
        "mode": "enforce", "decided": "", "outcome": outcome, "blocking": blocking,
        "reasons": [reason for reason in verdict.reasons if not reason.startswith(_DUE)],
    })


def _people(known: Known) -> Iterator[_Bar]:
    """Rejections and conditions: on this verdict, on this model under another, and those that cannot be checked."""
    here = {one.keyid: one for one in known.sign_offs}
    for one in here.values():
        if one.decision is Decision.REJECT:
            yield _Bar(State.REJECTED, _words(one, "rejected"), always=True)
        elif one.decision is Decision.CONDITIONAL:
            yield _Bar(State.REVIEW, _words(one, "set a condition for"), Outcome.REVIEW.exit_code, always=True)
    for one in _last_words(known.elsewhere):
        own = here.get(one.keyid)
        if one.decision is not Decision.APPROVE and (own is None or one.signed >= own.signed):
            name = f"(of this very model, as {one.resource_uri.removeprefix('mace-gov:')})"
            if one.decision is Decision.REJECT:
                yield _Bar(State.REJECTED, f"{_words(one, 'rejected')} {name}", always=True)
            else:
                yield _Bar(State.REVIEW, f"{_words(one, 'set a condition for')} {name}", Outcome.REVIEW.exit_code,
                           always=True)
    # Anybody can write that a key took its rejection back where nobody checks its signature.
    for one in known.unverified:
        if one.decision is not Decision.APPROVE:
            did = "rejects it" if one.decision is Decision.REJECT else "sets a condition"
            yield _Bar(State.REVIEW, f"a sign-off that could not be checked {did}, in the name of {one.reviewer}: "
                       "give the trust file that pins the reviewers' keys", Outcome.REVIEW.exit_code, always=True)


def _verdict(verdict: Verdict, approvals: Sequence[SignOff]) -> Iterator[_Bar]:
    code = verdict.model_copy(update={"mode": "enforce"}).exit_code
    if code == 0:
        return
    why = [*verdict.reasons, *(f"{finding.rule}: {finding.effect}" for finding in verdict.findings
                               if finding.effect is not Outcome.PASS)]
    if code != Outcome.REVIEW.exit_code:
        yield _Bar(State.FAILED, f"the verdict is {verdict.outcome}: {'; '.join(why)}", code)
        return
    if verdict.evidence_policy_digest:
        yield _Bar(State.REVIEW, "no sign-off closes it: those are about the signed verdict, which is under another "
                   f"policy; left open: {'; '.join(why)}", code)
        return
    left = [finding for finding in verdict.findings if finding.effect is Outcome.REVIEW]
    returned = [each for each in (verdict.compared.regressions if verdict.compared else ())
                if each.outcome is Outcome.REVIEW]
    severities = [finding.severity for finding in left] + [each.severity for each in returned]
    needed = max((REVIEWERS.get(severity, 1) for severity in severities), default=1)
    # One person with two keys is one reviewer.
    people = {phrase_key(one.reviewer) for one in approvals}
    if len(people) < needed:
        what = ", ".join(finding.rule for finding in left) or "the model as a whole"
        yield _Bar(State.REVIEW, f"{what}: approving sign-offs needed {needed}, found {len(people)}", code)


def _clock(verdict: Verdict, policy: Policy, approvals: Sequence[SignOff], today: date) -> Iterator[_Bar]:
    """What has ended since the verdict, which says itself what had ended before."""
    for reason in ended_since(verdict, policy, today):
        if reason not in verdict.reasons:
            yield _Bar(State.LAPSED, reason)
    if due := _due_since(verdict, policy, today):
        moments = [parse_time(one.signed) for one in approvals]
        if not any(moment and moment.date() > policy.metadata.review_by for moment in moments):
            fails = verdict.on_uncertain == "fail"
            yield _Bar(State.REVIEW, due, (Outcome.FAIL if fails else Outcome.REVIEW).exit_code)


def _due_since(verdict: Verdict, policy: Policy, today: date) -> str | None:
    """That the date of review has passed since the verdict, which says itself when it had passed before."""
    reason = review_due(policy, today)
    return None if any(said.startswith(_DUE) for said in verdict.reasons) else reason


def _last_words(said: Iterable[SignOff]) -> list[SignOff]:
    """Of each key its last decision."""
    return list({one.keyid: one for one in said}.values())


def _words(one: SignOff, did: str) -> str:
    return f"{one.reviewer} ({one.role}) {did} it: {one.reason}"
