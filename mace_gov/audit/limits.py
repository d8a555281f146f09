"""What the audit did not look for, in plain words, for the reader of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mace_gov.audit.scoring import ConfiguredDetector
from mace_gov.audit.trials import Pair
from mace_gov.documents.attack import POWER, AttackResult
from mace_gov.documents.detector_info import SMALL_SIDE
from mace_gov.documents.drawable import never_drawn
from mace_gov.documents.family_info import untried
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.terms import Kind, Suite

if TYPE_CHECKING:
    from mace_gov.audit.prepare import Prepared

ALWAYS = (
    "Erasure suppresses a concept in one set of weights; it does not delete it. Erased concepts return after light "
    "fine-tuning or through probes that are not text (arXiv 2505.16174, 2505.17013). Read the result as less exposure, "
    "not as protection.",
    "Image-to-image, inpainting, ControlNet, users' own LoRAs and textual inversions were not tried, unless an attack "
    "that is named here did.",
    "The bounds hold for prompts like those asked here at this sampler's settings; other settings draw other pictures.",
    "Each rule has its own confidence; the intervals are not adjusted for the number of rules.",
)
"""Holds for every audit of this kind."""


def limitations(
    policy: Policy, base: ModelManifest, pairs: Sequence[Pair], all: Sequence[ConfiguredDetector], *, refused: int = 0,
    attacks: Sequence[AttackResult] = (), planned: int | None = None,
) -> list[str]:
    """Sentences for the report, the particular ones first.

    refused: rows of prompt files that must not be drawn. planned: probes that would have been asked without a stop.
    """
    found: list[str] = []
    undrawn = [(category, concept, rule) for _, category, concept, rule in never_drawn(policy)]
    if planned is not None and len(pairs) < planned:
        found.append(f"Asked {len(pairs)} of {planned} probes: suites stopped once their rules were decided, with "
                     f"bounds widened for {policy.spec.audit.looks} looks. Rates of suites that stopped early lean to "
                     "their extremes; the bounds hold.")
    if refused:
        found.append(f"{refused} prompts of the files were left out: no picture that joins minors, or named people, "
                     "with sexual content may be made (never-draw).")
    for category in policy.spec.categories:
        rules = {concept.id: rule for own, concept, rule in undrawn if own is category}
        left_out = list(rules)
        if left_out:
            found.append(
                f"{category.id}: erase-only and not image-audited: {', '.join(left_out)}. No such picture may be made "
                f"({', '.join(sorted(set(rules.values())))}), so whether they are gone was not looked at."
            )
        silent = [c.id for c in category.concepts if not c.synonyms and c.id not in left_out]
        asked = any(rule.suite is Suite.SYNONYM for rule in category.rules)
        if silent and (asked or len(silent) < len(category.concepts)):
            found.append(
                f"{category.id}: the policy names no synonyms for {_listed(silent)}; other words were not tried."
            )
        if category.kind is Kind.EXPLICIT and len(category.concepts) > 1:
            found.append(
                f"{category.id}: a picture counts as a hit when it shows any of the category's concepts, whichever was "
                "asked for."
            )
    for configured in all:
        for reason, count in configured.reasons.most_common(5):
            found.append(f"{count} pictures are unscored, which is not the same as absent: {reason}")
    if none := sum(pair.base.present is None or pair.governed.present is None for pair in pairs):
        found.append(f"{none} of {len(pairs)} trials have no decision; rates leave them out, and no rule that they "
                     "belong to should pass.")
    cards = [configured.card() for configured in all]
    unmeasured = [card.name for card in cards if card.sensitivity is None]
    if unmeasured:
        found.append(f"How often {_listed(sorted(set(unmeasured)))} errs on pictures like these was not measured here.")
    found.append("The rates that rules bound are not corrected for detector errors. Where one detector with measured "
                 "errors looked alone, a corrected rate stands beside the observed one.")
    if any(card.name == "judge" for card in cards):
        found.append("The judge knows the embedded model's vocabulary alone; anything else in a picture goes unseen.")
        if base.image_size > SMALL_SIDE:
            found.append("The judge does not know this model's pictures and was left out.")
    if base.embedded:
        found.append("The embedded model draws emoji; its explicit and violent concepts are harmless stand-ins. "
                     "Passing here shows that the pipeline works, and says nothing about another model.")
    if unknown := untried(base.family):
        found.append(unknown)
    suites = {pair.probe.suite for pair in pairs}
    return [*found, *_attacked(attacks), _untried(suites, bool(attacks)), *ALWAYS]


def drawn_limits(asked: Prepared) -> list[str]:
    """What of the prompts and pictures that were brought is not looked at; said before the work too."""
    found = []
    if asked.imported:
        sides = " and the ".join(sorted(asked.imported, reverse=True))
        found.append(f"The pictures of the {sides} model were made elsewhere: that they answer these prompts and seeds "
                     "is taken on trust.")
    counted = Counter(asked.pictures.values())
    if copies := [name for name, digest in sorted(asked.pictures.items()) if counted[digest] > 1]:
        found.append(f"{len(copies)} pictures under names of their own are byte for byte the same as another, and "
                     f"stand in several suites or for several wordings of the base: {_listed(copies)}.")
    if asked.unnamed:
        found.append(f"{len(asked.unnamed)} files beside the pictures are named by no row that is judged; they are "
                     f"neither looked at nor signed: {_listed(asked.unnamed)}.")
    if asked.cut:
        found.append(f"{asked.cut} prompts are longer than the base's text encoder reads; what is over is cut off.")
    if asked.unread:
        found.append(f"{asked.unread} probes name what they ask for only in the part of the prompt that is cut off. "
                     "They were left out, for they would ask nothing.")
    return found


def _attacked(attacks: Sequence[AttackResult]) -> list[str]:
    """What the attacks do and do not say."""
    if not attacks:
        return []
    names = list(dict.fromkeys(result.attack for result in attacks))
    concepts = {(result.category, result.concept) for result in attacks}
    found = [f"Attacks ({_listed(names)}) aimed at {len(concepts)} concepts with the budgets named; no rule bounds "
             "them, and a longer or another search may bring back more."]
    weak = list(dict.fromkeys(result.attack for result in attacks
                              if not result.powerful and not result.governed.hits))
    if weak:
        found.append(f"{_listed(weak)} did not bring every concept back from the base itself in {POWER:.0%} of "
                     "searches: where it fails on the governed model, that says nothing.")
    void = list(dict.fromkeys(result.attack for result in attacks if result.control.hits))
    if void:
        found.append(f"{_listed(void)} drew the concept on a model of random weights too: there the attack drew it and "
                     "not the model, and its success elsewhere says little.")
    taught = list(dict.fromkeys(result.attack for result in attacks if result.taught and result.taught.hits))
    if taught:
        found.append(f"{_listed(taught)} brought back pictures that no model has learnt as well: there the attack "
                     "taught them, and its success with the concept may be teaching too.")
    return found


def _untried(asked: set[Suite], attacked: bool) -> str:
    """Ways to ask that were left out."""
    if Suite.LANGUAGES in asked:
        start = "Of other languages the policy's translations alone were asked for. "
    else:
        start = "All prompts are English. Other languages, "
    ways = [] if Suite.OBFUSCATION in asked else ["misspellings"]
    ways.append("searches other than those named" if attacked else "prompts that an adversary searched for")
    rest = f"{' and '.join(ways)} were not tried."
    return start + (rest if start.endswith(", ") else rest[0].upper() + rest[1:])


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
