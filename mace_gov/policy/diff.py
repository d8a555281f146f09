"""What one policy asks more or less than another, in words. Fail closed: what cannot be told apart counts as looser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mace_gov.core.rates import limit_percent
from mace_gov.documents.policy import Category, Concept, DetectorSpec, GateSettings, Policy, Rule, Severity

Effect = Literal["bans", "unbans", "tightens", "loosens", "changes"]


@dataclass(frozen=True)
class Change:
    """One difference."""

    subject: str
    """A rule id or a setting; a waiver names it in ``loosens``."""
    effect: Effect
    """What it does."""
    words: str
    """The same as a sentence's end, like ``ship is banned``."""
    severity: Severity | None = None
    """Severity of the category that it is about, as it was; absent for the policy as a whole."""

    @property
    def looser(self) -> bool:
        """Whether the second policy asks less here."""
        return self.effect in ("unbans", "loosens")


def diff(first: Policy, second: Policy) -> list[Change]:
    """Every difference from ``first`` to ``second``, what is banned first."""
    return [*_concepts(first, second), *_rules(first, second), *_categories(first, second), *_whole(first, second)]


def headline(changes: list[Change]) -> str:
    """All changes in a line: ``bans 3 more, loosens nothing``."""
    more, fewer = (sum(c.effect == effect for c in changes) for effect in ("bans", "unbans"))
    bans = " and ".join(part for part in (more and f"{more} more", fewer and f"{fewer} fewer") if part) or "the same"
    tighter, looser, other = (
        sum(c.effect == "tightens" for c in changes), sum(c.looser for c in changes),
        sum(c.effect == "changes" for c in changes),
    )
    parts = [f"bans {bans}", tighter and f"tightens {tighter}", f"loosens {looser or 'nothing'}",
             other and f"changes {other} otherwise"]
    return ", ".join(part for part in parts if part)


def _concepts(first: Policy, second: Policy) -> Iterator[Change]:
    before, after = _by_target(first), _by_target(second)
    for target, (category, concept) in after.items():
        if target not in before:
            yield Change(f"{category.id}.{concept.id}", "bans", f"{concept.target} is banned", category.severity)
    for target, (category, concept) in before.items():
        subject = f"{category.id}.{concept.id}"
        if target not in after:
            yield Change(subject, "unbans", f"{concept.target} is banned no more", category.severity)
            continue
        now_in, now = after[target]
        if now_in.id != category.id and now_in.severity is not category.severity:
            effect: Effect = "loosens" if now_in.severity.rank > category.severity.rank else "tightens"
            yield Change(subject, effect, f"{concept.target} moves from {category.severity} to {now_in.severity}",
                         category.severity)
        yield from _words(f"{subject}.words", "asked for", concept.phrases, now.phrases, category.severity)
        if now.anchor != concept.anchor:
            new, old = (anchor or "what the model finds near" for anchor in (now.anchor, concept.anchor))
            yield Change(f"{subject}.anchor", "changes", f"{concept.target} becomes {new}, not {old}")


def _by_target(policy: Policy) -> dict[str, tuple[Category, Concept]]:
    return {concept.target.casefold(): (category, concept) for category, concept in policy.concepts()}


def _rules(first: Policy, second: Policy) -> Iterator[Change]:
    before, after = _by_rule(first), _by_rule(second)
    for name, (category, rule) in after.items():
        if name not in before:
            yield Change(name, "tightens", f"{name} is new: {_requirement(rule)}", category.severity)
    for name, (category, rule) in before.items():
        if name not in after:
            yield Change(name, "loosens", f"{name} is gone: {_requirement(rule)}", category.severity)
            continue
        now_in, now = after[name]
        about = (now_in.id, now.suite, now.metric)
        if about != (category.id, rule.suite, rule.metric):
            yield Change(name, "loosens", f"{name} is about {' '.join(about)}, not about {category.id} {rule.suite} "
                         f"{rule.metric}", category.severity)
            continue
        lower_is_tighter = rule.at_most is not None
        yield from _number(name, f"{name} {'at most' if lower_is_tighter else 'at least'}", rule.limit, now.limit,
                           tighter=-1 if lower_is_tighter else 1, show=limit_percent, severity=category.severity)
        yield from _number(name, f"{name} confidence", rule.confidence, now.confidence, tighter=1, show=limit_percent,
                           severity=category.severity)
        yield from _number(name, f"{name} independent prompts", rule.min_samples, now.min_samples, tighter=1, show=str,
                           severity=category.severity)


def _by_rule(policy: Policy) -> dict[str, tuple[Category, Rule]]:
    return {rule.id: (category, rule) for category in policy.spec.categories for rule in category.rules}


def _requirement(rule: Rule) -> str:
    side = "at most" if rule.at_most is not None else "at least"
    return f"{rule.metric} on {rule.suite} {side} {limit_percent(rule.limit)}"


def _categories(first: Policy, second: Policy) -> Iterator[Change]:
    after = {category.id: category for category in second.spec.categories}
    for category in first.spec.categories:
        now = after.get(category.id)
        if now is None:
            continue  # its concepts and rules say so
        severity = category.severity
        yield from _number(f"{category.id}.severity", f"{category.id} severity", severity, now.severity, tighter=-1,
                           show=str, key=lambda each: each.rank, severity=severity)
        yield from _words(f"{category.id}.neighbours", "must survive", category.neighbours, now.neighbours, severity)
        yield from _detectors(category, now)
        if now.kind is not category.kind:
            yield Change(f"{category.id}.kind", "changes", f"{category.id} is {now.kind}, not {category.kind}")


def _detectors(category: Category, now: Category) -> Iterator[Change]:
    before, after = ({spec.name: spec for spec in each.detectors} for each in (category, now))
    for name in sorted(after.keys() - before.keys()):
        yield Change(f"{category.id}.detectors.{name}", "tightens", f"{name} looks too", category.severity)
    for name, spec in before.items():
        subject = f"{category.id}.detectors.{name}"
        if name not in after:
            yield Change(subject, "loosens", f"{name} looks no more", category.severity)
        elif spec != after[name]:
            tighter = _sees_more(spec, after[name])
            yield Change(subject, "tightens" if tighter else "loosens",
                         f"{name} {'sees more' if tighter else 'may see less'}", category.severity)


def _sees_more(spec: DetectorSpec, now: DetectorSpec) -> bool:
    """Whether every picture that tripped the detector still does. Of defaults and other models nobody knows."""
    if spec.threshold != now.threshold and (
        spec.threshold is None or now.threshold is None or now.threshold > spec.threshold
    ):
        return False
    if (spec.model, spec.revision, spec.references) != (now.model, now.revision, now.references):
        return False
    return spec.classes == now.classes or (
        spec.classes is not None and now.classes is not None and set(spec.classes) <= set(now.classes)
    )


def _whole(first: Policy, second: Policy) -> Iterator[Change]:
    old, new = first.spec, second.spec
    yield from _number("mode", "mode", old.mode, new.mode, tighter=1, show=str, key=["audit", "enforce"].index)
    gate, now = old.gate or GateSettings(), new.gate or GateSettings()
    yield from _number("gate.failOn", "the gate blocks from severity", gate.fail_on, now.fail_on, tighter=1,
                       show=str, key=lambda each: each.rank)
    yield from _number("gate.onUncertain", "uncertain ends as", gate.on_uncertain, now.on_uncertain, tighter=1,
                       show=str, key=["review", "fail"].index)
    kept = ([str(severity) for severity in sorted(each.not_waivable())] for each in (first, second))
    yield from _words("gate.notWaivable", "not waivable", *kept, None)
    yield from _words("method.preserve.concepts", "must survive", old.method.preserve.concepts or [],
                      new.method.preserve.concepts or [], None)
    if old.audit.templates != new.audit.templates:
        yield Change("audit.templates", "loosens", "the audit asks in other captions")
    for name, before, after in (
        ("model", old.model, new.model), ("method", _method(old.method), _method(new.method)),
        ("audit", _audit(old.audit), _audit(new.audit)),
        ("metadata", first.metadata, second.metadata),
    ):
        fields = sorted(_plain(before).items() ^ _plain(after).items(), key=lambda item: item[0])
        if names := list(dict.fromkeys(field for field, _ in fields)):
            yield Change(name, "changes", f"{name} differs in {', '.join(names)}")


def _method(method: Any) -> Any:
    return method.model_copy(update={"preserve": method.preserve.model_copy(update={"concepts": None})})


def _audit(audit: Any) -> Any:
    return audit.model_copy(update={"templates": None})


def _plain(document: Any) -> dict[str, str]:
    return {name: repr(value) for name, value in document.to_json().items()}


def _number(
    subject: str, what: str, before: Any, after: Any, *, tighter: int, show: Callable[[Any], str],
    key: Callable[[Any], float] = float, severity: Severity | None = None,
) -> Iterator[Change]:
    """``tighter`` 1: more is tighter; -1: less is."""
    step = key(after) - key(before)
    if step:
        effect: Effect = "tightens" if (step > 0) == (tighter > 0) else "loosens"
        yield Change(subject, effect, f"{what} {show(after)}, was {show(before)}", severity)


def _words(
    subject: str, what: str, before: Iterable[str], after: Iterable[str], severity: Severity | None
) -> Iterator[Change]:
    old, new = {word.casefold(): word for word in before}, {word.casefold(): word for word in after}
    if more := [word for key, word in new.items() if key not in old]:
        yield Change(subject, "tightens", f"{', '.join(more)} {what}", severity)
    if fewer := [word for key, word in old.items() if key not in new]:
        yield Change(subject, "loosens", f"{', '.join(fewer)} {what} no more", severity)
