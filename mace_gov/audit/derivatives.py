"""The audit's probes asked of the governed model's derivatives: quantised, fine-tuned, with LoRAs, other samplers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mace_gov.audit.deriving import PLAIN, Change, drawn, drawn_by
from mace_gov.audit.inputs import AuditRun
from mace_gov.audit.metrics.intervals import estimate
from mace_gov.audit.metrics.paired import mcnemar
from mace_gov.audit.pictures import Picture, Wanted
from mace_gov.audit.scoring import score_pictures
from mace_gov.audit.trials import Observed, Pair
from mace_gov.core.resources import asked as resources
from mace_gov.documents.attack import Derivative
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.terms import Suite

PROMPTS = 24
"""Prompts of a category that every derivative is asked, of those that the base answers."""
LESSONS = 32
"""Unrelated pictures of the base that the fine-tuned derivative is trained on."""
STEPS = 100
"""Of that training."""


def derivatives(observed: Observed, governed: ModelManifest, run: AuditRun) -> list[Derivative]:
    """One result for each category and derivative, the users' LoRAs in the run's inputs among them."""
    pairs, detectors = observed.pairs, observed.detectors
    questions = {category.id: ask for category in observed.policy.spec.categories
                 if (ask := _questions(pairs, category.id))}
    if not questions:
        return []
    changes = list(_changes(pairs, observed.pictures, observed.out, run.inputs.loras))
    advance = run.progress.start("asking derivatives", len(changes))
    wanted = {category: [(pair.probe.prompt, pair.probe.seed) for pair in asked]
              for category, asked in questions.items()}
    workers, settings = resources().workers, observed.generation
    made = (drawn(governed, change, wanted, settings, run.device) for change in changes) if workers is None else (
        drawn_by(workers, governed, changes, wanted, settings, run.device))
    found = []
    for change, pictures in zip(changes, made, strict=True):
        for category, asked in questions.items():
            probes, images = [pair.probe for pair in asked], pictures[category]
            queries = [detectors.query(*each) for each in zip(probes, images, strict=True)]
            seen = score_pictures(detectors, category, images, queries)
            both = [
                (pair.governed.present, judged.present, pair.probe.prompt)
                for pair, judged in zip(asked, seen, strict=True)
                if pair.governed.present is not None and judged.present is not None
            ]
            names = [prompt for _, _, prompt in both]
            found.append(Derivative(
                category=category, derivative=change.name, unscored=len(asked) - len(both),
                governed=estimate([before for before, _, _ in both], names),
                derived=estimate([after for _, after, _ in both], names),
                p_value=mcnemar([(before, after) for before, after, _ in both]),
            ))
        advance(1)
    return found


def _questions(pairs: Sequence[Pair], category: str) -> list[Pair]:
    """Probes by name and synonym that the base answers, one a prompt, spread over all of them."""
    own: dict[str, Pair] = {}
    for pair in pairs:
        suits = pair.probe.category == category and pair.probe.suite in (Suite.DIRECT, Suite.SYNONYM)
        if suits and pair.base.present:
            own.setdefault(pair.probe.prompt, pair)
    found = list(own.values())
    return [found[i * len(found) // PROMPTS] for i in range(PROMPTS)] if len(found) > PROMPTS else found


def _changes(
    pairs: Sequence[Pair], pictures: Mapping[Wanted, Picture], out: Path, loras: Sequence[Path]
) -> Iterator[Change]:
    yield from map(Change, PLAIN)
    for path in loras:
        yield Change(f"LoRA {path.name} merged", lora=path)
    kept = list(dict.fromkeys(
        (p.probe.prompt, p.probe.seed) for p in pairs if p.probe.suite is Suite.UNRELATED and p.base.present
    ))[:LESSONS]
    if kept:
        yield Change(f"fine-tuned on {len(kept)} unrelated pictures, {STEPS} steps", steps=STEPS,
                     pictures=[out / pictures[want].name for want in kept], prompts=[prompt for prompt, _ in kept])
