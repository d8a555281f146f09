"""The audit's probes asked of the governed model's derivatives: quantised, fine-tuned, with LoRAs, other samplers."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mace_gov.audit.inputs import AuditRun
from mace_gov.audit.metrics.intervals import estimate
from mace_gov.audit.metrics.paired import mcnemar
from mace_gov.audit.pictures import Picture, Wanted, open_picture
from mace_gov.audit.scoring import score_pictures
from mace_gov.audit.trials import Observed, Pair
from mace_gov.diffusion.variants import Variant, eight_bits, guided, half, merged, sampler, smaller, trained_on
from mace_gov.documents.attack import Derivative
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.terms import Suite

PROMPTS = 24
"""Prompts of a category that every derivative is asked, of those that the base answers."""
LESSONS = 32
"""Unrelated pictures of the base that the fine-tuned derivative is trained on."""
STEPS, RATE = 100, 1e-5
"""Of that training; the rate is that of common fine-tuning recipes for Stable Diffusion."""


def derivatives(observed: Observed, governed: ModelManifest, run: AuditRun) -> list[Derivative]:
    """One result for each category and derivative, the users' LoRAs in the run's inputs among them."""
    from mace_gov.diffusion.exact import exact_files
    from mace_gov.diffusion.generate import draw
    from mace_gov.diffusion.load import load_pipeline

    pairs, detectors = observed.pairs, observed.detectors
    questions = {category.id: ask for category in observed.policy.spec.categories
                 if (ask := _questions(pairs, category.id))}
    if not questions:
        return []
    variants = list(_variants(pairs, observed.pictures, observed.out, run.inputs.loras))
    advance = run.progress.start("asking derivatives", len(variants))
    found = []
    for name, change in variants:
        with exact_files(governed) as (folder, unchanged):
            pipe = load_pipeline(folder, device=run.device)
            changed = change(pipe, observed.generation)
            drawn = {
                category: list(draw(pipe, [pair.probe.prompt for pair in asked], [pair.probe.seed for pair in asked],
                                    changed)) for category, asked in questions.items()
            }
            unchanged()
            del pipe
            gc.collect()
        for category, asked in questions.items():
            probes, images = [pair.probe for pair in asked], drawn[category]
            queries = [detectors.query(*each) for each in zip(probes, images, strict=True)]
            seen = score_pictures(detectors, category, images, queries)
            both = [
                (pair.governed.present, judged.present, pair.probe.prompt)
                for pair, judged in zip(asked, seen, strict=True)
                if pair.governed.present is not None and judged.present is not None
            ]
            names = [prompt for _, _, prompt in both]
            found.append(Derivative(
                category=category, derivative=name, unscored=len(asked) - len(both),
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


def _variants(
    pairs: Sequence[Pair], pictures: Mapping[Wanted, Picture], out: Path, loras: Sequence[Path]
) -> Iterator[tuple[str, Variant]]:
    yield "weights in float16", half
    yield "weights in 8 bits", eight_bits
    yield "sampler Euler", sampler("EulerDiscreteScheduler")
    yield "sampler DPM-Solver++", sampler("DPMSolverMultistepScheduler")
    yield "half the guidance", guided(0.5)
    yield "twice the guidance", guided(2.0)
    yield "smaller pictures", smaller
    for path in loras:
        yield f"LoRA {path.name} merged", merged(path)
    kept = list(dict.fromkeys(
        (p.probe.prompt, p.probe.seed) for p in pairs if p.probe.suite is Suite.UNRELATED and p.base.present
    ))[:LESSONS]
    if kept:
        images = [open_picture(out, pictures[want]) for want in kept]
        yield (f"fine-tuned on {len(kept)} unrelated pictures, {STEPS} steps",
               trained_on(images, [prompt for prompt, _ in kept], steps=STEPS, rate=RATE))
