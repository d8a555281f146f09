"""What one policy asks more or less than another, in words. Fail closed: what cannot be told apart counts as looser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mace_gov.core.phrases import phrase_key
from mace_gov.documents.detector_info import blind
from mace_gov.documents.document import Location
from mace_gov.documents.drawable import ban_of, erase_only
from mace_gov.documents.policy import Category, Concept, DetectorSpec, GateSettings, Policy, Rule
from mace_gov.documents.sampling import asked_suites, near_phrases, prompts_per_concept
from mace_gov.documents.terms import Metric, Severity, Suite
from mace_gov.documents.wording import requirement_on_suite
from mace_gov.policy.settings import Change, Effect, settings

WORD_LISTS = ("synonyms", "descriptions", "broader", "narrower")
EACH_CLASS_COUNTS = {"nudenet"}
"""Detectors to which each class that is named counts as present. To others it is a rival: with more they see less."""

Placed = dict[str, tuple[Location, Category, Concept]]


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
    for target, (at, category, concept) in after.items():
        if target not in before:
            yield Change(f"{category.id}.{concept.id}", "bans", f"{concept.target} is banned", category.severity, at)
    places = _category_places(second)
    for target, (_, category, concept) in before.items():
        subject, severity = f"{category.id}.{concept.id}", category.severity
        if target not in after:
            at = places.get(category.id, ("spec", "categories"))
            yield Change(subject, "unbans", f"{concept.target} is banned no more", severity, at)
            continue
        at, now_in, now = after[target]
        if now_in.id != category.id:
            worded = [(category.id, now_in.id), (severity, now_in.severity)][now_in.severity is not severity]
            yield Change(subject, "loosens", f"{concept.target} moves from {worded[0]} to {worded[1]}", severity, at)
        if now.target != concept.target:
            effect: Effect = "changes" if now.target.casefold() == concept.target.casefold() else "loosens"
            yield Change(subject, effect, f"{concept.target} is written {now.target}", severity, at)
        for name in WORD_LISTS:
            old, new = (getattr(each, name) or () for each in (concept, now))
            yield from _words(f"{subject}.words", _asked(name), old, new, severity, at)
        yield from _words(f"{subject}.words", _asked("translations"), _translations(concept), _translations(now),
                          severity, at)
        if now.anchor != concept.anchor:
            new_anchor, old_anchor = (anchor or "what the model finds near" for anchor in (now.anchor, concept.anchor))
            yield Change(f"{subject}.anchor", "changes", f"{concept.target} becomes {new_anchor}, not {old_anchor}",
                         severity, at)
        yield from settings(concept, now, at, subject, severity=severity)


def _asked(name: str) -> str:
    return "asked for" if name == "synonyms" else f"asked for ({name})"


def _translations(concept: Concept) -> list[str]:
    return [f"{language}: {phrase}" for language, phrase in (concept.translations or {}).items()]


def _by_target(policy: Policy) -> Placed:
    return {
        phrase_key(concept.target): (("spec", "categories", i, "concepts", j), category, concept)
        for i, category in enumerate(policy.spec.categories) for j, concept in enumerate(category.concepts)
    }


def _category_places(policy: Policy) -> dict[str, Location]:
    return {category.id: ("spec", "categories", i) for i, category in enumerate(policy.spec.categories)}


def _rules(first: Policy, second: Policy) -> Iterator[Change]:
    before, after = _by_rule(first), _by_rule(second)
    for name, (at, category, rule) in after.items():
        if name not in before:
            yield Change(name, "tightens", f"{name} is new: {requirement_on_suite(rule)}", category.severity, at)
    places = _category_places(second)
    for name, (_, category, rule) in before.items():
        if name not in after:
            at = places.get(category.id, ("spec", "categories"))
            yield Change(name, "loosens", f"{name} is gone: {requirement_on_suite(rule)}", category.severity, at)
            continue
        at, now_in, now = after[name]
        about = (now_in.id, now.suite, now.metric)
        if about != (category.id, rule.suite, rule.metric):
            yield Change(f"{name}.suite", "loosens", f"{name} is about {' '.join(about)}, not about {category.id} "
                         f"{rule.suite} {rule.metric}", category.severity, at)
            continue
        for change in settings(rule, now, at, name, severity=category.severity):
            # A waiver for the rule itself names a rate, so it covers the limit and nothing else.
            limit = change.where[-1] in ("atMost", "atLeast")
            yield replace(change, subject=name if limit else change.subject, where=at)


def _by_rule(policy: Policy) -> dict[str, tuple[Location, Category, Rule]]:
    return {
        rule.id: (("spec", "categories", i, "rules", j), category, rule)
        for i, category in enumerate(policy.spec.categories) for j, rule in enumerate(category.rules)
    }


def _categories(first: Policy, second: Policy) -> Iterator[Change]:
    after = {category.id: (i, category) for i, category in enumerate(second.spec.categories)}
    for category in first.spec.categories:
        if category.id not in after:
            continue  # its concepts and rules say so
        i, now = after[category.id]
        at: Location = ("spec", "categories", i)
        yield from settings(category, now, at, category.id, severity=category.severity)
        yield from _words(f"{category.id}.neighbours", "must survive", category.neighbours, now.neighbours,
                          category.severity, (*at, "neighbours"))
        for name in dict.fromkeys(spec.name for spec in (*category.detectors, *now.detectors)):
            old, new = ([spec for spec in each.detectors if spec.name == name] for each in (category, now))
            yield from _detectors(name, category, old, new, (*at, "detectors"))
        yield from _asked_no_more(first, second, category, now, at)


def _detectors(
    name: str, category: Category, before: Sequence[DetectorSpec], after: Sequence[DetectorSpec], at: Location
) -> Iterator[Change]:
    """Detectors of one name. The second of them is NAME#2, as in the evidence.

    What must stay is there when any detector finds it: one more, or a more sensitive one, asks less of that.
    """
    subject, severity = f"{category.id}.detectors.{name}", category.severity
    left = list(after)
    changed: list[tuple[int, DetectorSpec]] = []
    for turn, spec in enumerate(before, 1):
        if spec in left:
            left.remove(spec)
        else:
            changed.append((turn, spec))
    for turn, spec in changed:
        numbered = "" if turn == 1 else f"#{turn}"
        sharper = next((now for now in left if _sees_more(spec, now)), None)
        if (now := sharper or next(iter(left), None)) is not None:
            left.remove(now)
        words = "looks no more" if now is None else "sees more" if sharper else "may see less"
        effect, more = _of_more(sharper, category, spec) if sharper else ("loosens", "")
        yield Change(subject + numbered, effect, f"{name}{numbered} {words}{more}", severity, at)
    for turn, now in enumerate(left, len(before) + 1):
        numbered = "" if turn == 1 else f"#{turn}"
        effect, more = _of_more(now, category)
        yield Change(subject + numbered, effect, f"{name}{numbered} looks too{more}", severity, at)


def _of_more(now: DetectorSpec, category: Category, before: DetectorSpec | None = None) -> tuple[Effect, str]:
    """What it does that a detector looks too, or finds more than ``before``, and why."""
    kept = [rule for rule in category.rules if rule.metric is Metric.RETENTION]
    as_before = before is not None and before.only != "bans" and before.model_copy(update={"only": now.only}) == now
    if not as_before and any(blind(now, category, rule) is None for rule in kept):
        return "loosens", ", and what must stay is found more easily (`only: bans` would ask no less)"
    return "tightens", ""


def _asked_no_more(first: Policy, second: Policy, category: Category, now: Category, at: Location) -> Iterator[Change]:
    """What is still listed and yet not asked: held out no longer, never drawn, or behind words that come first."""
    before, after = ({phrase_key(phrase) for phrase in near_phrases(policy, each)}
                     for policy, each in ((first, category), (second, now)))
    listed = {phrase_key(phrase) for phrase in now.neighbours}
    if fewer := [word for word in category.neighbours if phrase_key(word) in before & listed - after]:
        yield Change(f"{category.id}.neighbours", "loosens", f"{', '.join(fewer)} is preserved by name, so it is no "
                     "near neighbour that was held out", category.severity, (*at, "neighbours"))
    concepts = {phrase_key(concept.target): concept for concept in now.concepts}
    bans = ban_of(first), ban_of(second)
    worded = [suite for suite in asked_suites(first, category) if suite.info.words]
    counts = {suite: (prompts_per_concept(first, category, suite), prompts_per_concept(second, now, suite))
              for suite in worded}
    alike = bans[0] == bans[1] and category.kind is now.kind and all(one <= two for one, two in counts.values())
    for old in category.concepts:
        new = concepts.get(phrase_key(old.target))
        if new is None or (new == old and alike):
            continue
        if erase_only(now, new, bans[1]) and not erase_only(category, old, bans[0]):
            yield Change(f"{category.id}.{old.id}", "loosens",
                         f"{old.target} may not be drawn any more, so nobody looks", category.severity, at)
        for suite in worded:
            asked, ask = (_first_words(each, suite, count)
                          for each, count in zip((old, new), counts[suite], strict=True))
            given = {phrase_key(word) for name in suite.info.words for word in _given(new, name)}
            if fewer := [word for key, word in asked.items() if key in given and key not in ask]:
                yield Change(f"{category.id}.{old.id}.words", "loosens", f"{', '.join(fewer)} is no more among the "
                             f"first, and the audit asks no more of them {suite.info.asked}", category.severity, at)


def _given(concept: Concept, name: str) -> list[str]:
    words = getattr(concept, name) or ()
    return [*(words.values() if isinstance(words, dict) else words)]


def _first_words(concept: Concept, suite: Suite, count: int) -> dict[str, str]:
    """The first words that a suite takes from a concept, by their key."""
    words = [word for name in suite.info.words for word in _given(concept, name)]
    return {phrase_key(word): word for word in words[:count]}


def _sees_more(spec: DetectorSpec, now: DetectorSpec) -> bool:
    """Whether every picture that tripped the detector still does. Of defaults and other models nobody knows."""
    if spec.threshold != now.threshold and (
        spec.threshold is None or now.threshold is None or now.threshold > spec.threshold
    ):
        return False
    if now.only is not None and now.only != spec.only:
        return False
    others = {"threshold": None, "classes": None, "only": None}
    if spec.model_copy(update=others) != now.model_copy(update=others):
        return False
    return spec.classes == now.classes or (
        spec.name in EACH_CLASS_COUNTS and spec.classes is not None and now.classes is not None
        and set(spec.classes) <= set(now.classes)
    )


def _whole(first: Policy, second: Policy) -> Iterator[Change]:
    old, new = first.spec, second.spec
    yield from settings(old, new, ("spec",))
    yield from settings(old.gate or GateSettings(), new.gate or GateSettings(), ("spec", "gate"), "gate")
    yield from _words("gate.notWaivable", "not waivable", sorted(first.not_waivable()), sorted(second.not_waivable()),
                      None, ("spec", "gate", "notWaivable"))
    yield from _words("method.preserve.concepts", "must survive", old.method.preserve.concepts or [],
                      new.method.preserve.concepts or [], None, ("spec", "method", "preserve", "concepts"))
    yield from settings(old.model, new.model, ("spec", "model"), "model")
    yield from _audit(first, second)
    yield from settings(old.method, new.method, ("spec", "method"), "method")
    yield from settings(old.method.preserve, new.method.preserve, ("spec", "method", "preserve"), "method.preserve")
    yield from settings(first.metadata, second.metadata, ("metadata",), "metadata")
    yield from settings(first, second, ())
    yield from _ancestors(first, second)


def _audit(first: Policy, second: Policy) -> Iterator[Change]:
    old, new = first.spec.audit, second.spec.audit
    other = {"audit.templates": "the audit asks in other captions",
             "audit.subjects": "the audit asks for other unrelated subjects"}
    for change in settings(old, new, ("spec", "audit"), "audit"):
        yield replace(change, words=other.get(change.subject, change.words))
    trained = [policy.spec.method.refine.templates for policy in (first, second)]
    if new.templates is None and trained[0] != trained[1]:
        yield Change("method.refine.templates", "loosens", "the audit asks in other captions: it avoids the erasure's",
                     None, ("spec", "method"))
    yield from _words("audit.suites", "asked", old.suites or (), new.suites or (), None, ("spec", "audit", "suites"))
    if old.prompts != new.prompts:
        planned = [
            (prompts_per_concept(first, category, suite), prompts_per_concept(second, now, suite))
            for category in first.spec.categories for now in second.spec.categories if now.id == category.id
            for suite in asked_suites(first, category)
        ]
        fewer = any(after < before for before, after in planned) or not planned
        now, was = ("what the rules need" if each.prompts is None else each.prompts for each in (new, old))
        yield Change("audit.prompts", "loosens" if fewer else "tightens", f"prompts per concept {now}, was {was}", None,
                     ("spec", "audit", "prompts"))


def _ancestors(first: Policy, second: Policy) -> Iterator[Change]:
    """What a joined policy builds on. One more parent asks no less; of any other change nobody can tell."""
    old, new = first.derived_from or [], second.derived_from or []
    if old != new:
        kept = not old or new[-len(old):] == old
        names = " and ".join(f"{each.name} {each.version}" for each in new) or "no other policy"
        yield Change("derivedFrom", "changes" if kept else "loosens", f"it builds on {names}", None, ("derivedFrom",))


def _words(
    subject: str, what: str, before: Iterable[str], after: Iterable[str], severity: Severity | None, at: Location
) -> Iterator[Change]:
    old, new = ({phrase_key(word): word for word in words} for words in (before, after))
    if more := [word for key, word in new.items() if key not in old]:
        yield Change(subject, "tightens", f"{', '.join(more)} {what}", severity, at)
    if fewer := [word for key, word in old.items() if key not in new]:
        yield Change(subject, "loosens", f"{', '.join(fewer)} {what} no more", severity, at)
    if other := [f"{old[key]} is written {word}" for key, word in new.items() if key in old and old[key] != word]:
        yield Change(subject, "changes", ", ".join(other), severity, at)
