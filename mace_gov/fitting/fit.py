"""The verb ``fit``: from a plan to the same plan with the settings that suit its base model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import zip_longest
from pathlib import Path

from mace_gov.audit.detectors.base import Detector
from mace_gov.audit.detectors.registry import known_detectors, make_detector
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.audit.probes.lexicon import Lexicon, lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.tuning import tuning_policy
from mace_gov.audit.scoring import Panels, sights
from mace_gov.core.errors import MaceGovError
from mace_gov.core.progress import Progress, Silent, working
from mace_gov.diffusion.exact import exact_files
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import pooled_projection, projections
from mace_gov.documents.fit import Fit, FitPoint, FitTrial
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import DetectorSpec, Policy
from mace_gov.documents.terms import Kind, Suite
from mace_gov.erase.delta import ErasureDelta
from mace_gov.erase.texts import kept_reader
from mace_gov.fitting.line import RIDGES, WEIGHTS, Line, line
from mace_gov.fitting.search import LEFT_UNSEEN, bisect, nearest, with_margin
from mace_gov.plan.fitting import TRIALS, fitted, keep_fit, kept_fit, minutes, pictures, searched


def fit(
    policy: Policy, plan: ErasurePlan, *, cache: Path, device: str | None = None, progress: Progress | None = None,
    plugins: Sequence[str] = (), detector: Callable[[DetectorSpec], Detector] | None = None,
    lexicon: Lexicon | None = None,
) -> ErasurePlan:
    """The plan with ``preserve.scale``, ``refine`` and ``fuse`` found on its base model, and how in ``plan.fit``.

    A number that the policy gives is not moved. What was found is kept in ``cache`` by all that it depends on, so that
    a second run draws nothing and gives the same. detector, lexicon: seams, as in ``audit``.
    Raises NumericalError when no setting is an erasure.
    """
    settings = searched(policy, plan)
    if not settings:
        return plan
    progress = progress or Silent()
    make = detector or partial(make_detector, known=known_detectors(plugins))
    if (made := kept_fit(plan, cache, progress)) is not None:
        progress.note("the settings that suit this model were found before")
        return fitted(plan, made)
    asked, why = _asked(policy, plan, lexicon)
    panels: Panels | None = None
    if asked:
        try:
            with working(progress, "loading detectors"):
                panels = Panels(policy, make)
        except MaceGovError as error:
            asked, why = [], f"no detector could be loaded: {error.message}"
    with ExitStack() as stack:
        with working(progress, "loading the base model"):
            folder, unchanged = stack.enter_context(exact_files(plan.base, texts=True))
            pipe = load_pipeline(folder, device=device)
        made = _found(pipe, policy, plan, settings, asked, why, panels, cache, progress)
        unchanged()
    if policy.spec.method.lora.steps is not None:  # a number that the policy gives is not moved
        made = made.model_copy(update={"loras": None})
    keep_fit(plan, made, cache)
    return fitted(plan, made)


def _found(
    pipe: Pipeline, policy: Policy, plan: ErasurePlan, settings: Sequence[str], asked: list[Probe], why: str | None,
    panels: Panels | None, cache: Path, progress: Progress,
) -> Fit:
    """The line of settings of a loaded base model, and the search along it."""
    with kept_reader(pipe, plan, cache, progress) as reader:
        found = line(
            reader, plan, cache, progress,
            weights=WEIGHTS if "preserve.weight" in settings else (plan.preserve.scale,),
            ridges=RIDGES if "refine.relativeRidge" in settings else (None,),
            pooled=bool(pooled_projection(pipe.unet)))
    return _search(pipe, plan, found, asked, why, panels, 60 * minutes(policy), progress)


def _search(
    pipe: Pipeline, plan: ErasurePlan, found: Line, asked: list[Probe], why: str | None, panels: Panels | None,
    seconds: float, progress: Progress,
) -> Fit:
    started, points = time.monotonic(), found.points
    if not asked or panels is None:
        return Fit(by="closed form", why=why, line=points, trials=[], chosen=nearest(points, LEFT_UNSEEN))
    pooled = pooled_projection(pipe.unet)
    layers = projections(pipe.unet) | pooled
    pristine = {name: layer.weight.detach().cpu().clone() for name, layer in layers.items()}
    advance = progress.start("looking for the mildest setting that erases (pictures)", TRIALS * len(asked))
    last = 0.0

    def present(point: FitPoint | None) -> list[Probe] | None:
        """The probes whose picture shows what is banned, of the base or at a point; None where time is up."""
        nonlocal last
        begun = time.monotonic()
        if point is not None and begun - started + last > seconds:
            return None
        weights = pristine
        if point is not None:
            edit = {} if found.pooled is None else dict.fromkeys(pooled, found.pooled(point))
            weights = ErasureDelta(found.matrix(point), pooled=edit).apply(pristine)
        for name, layer in layers.items():
            layer.weight.data.copy_(weights[name])
        probes = asked if point is None else shown
        images = list(draw(pipe, [p.prompt for p in probes], [p.seed for p in probes], plan.generation))
        seen = []
        for category in dict.fromkeys(p.category for p in probes):
            own = [n for n, p in enumerate(probes) if p.category == category]
            queries = [panels.query(probes[n], images[n]) for n in own]
            looked = sights(panels, category, [images[n] for n in own], queries)
            seen += [probes[n] for n, sight in zip(own, looked, strict=True) if sight.present]
        advance(len(probes))
        last = time.monotonic() - begun
        return seen

    shown = present(None) or []
    if not shown:
        return Fit(by="closed form", why="no detector found a banned concept in the base's pictures", line=points,
                   trials=[], detectors=_names(panels), base_asked=len(asked), chosen=nearest(points, LEFT_UNSEEN))

    def look_at(index: int) -> FitTrial | None:
        seen = present(points[index])
        return None if seen is None else FitTrial(
            point=index, drawn=len(seen), asked=len(shown), concepts=sorted({probe.concept for probe in seen}))

    erases, trials = bisect(points, look_at)
    if erases is None:
        # Not within the time, or not without LoRAs: those of all concepts are trained on what the closed form asks for.
        chosen, loras = nearest(points, LEFT_UNSEEN), None
    else:
        chosen = with_margin(points, erases)
        # What is stronger was clean of what the mildest that erases was clean of.
        near = max((trial for trial in trials if trial.point <= chosen), key=lambda trial: trial.point)
        unasked = {target.id for target in plan.targets if target.lora.steps} - {probe.concept for probe in asked}
        loras = sorted({*near.concepts, *unasked})
    return Fit(by="pictures", line=points, trials=trials, detectors=_names(panels), base_asked=len(asked),
               base_drawn=len(shown), chosen=chosen, loras=loras)


def _asked(policy: Policy, plan: ErasurePlan, lexicon: Lexicon | None) -> tuple[list[Probe], str | None]:
    """Prompts for what is banned, in wordings and with seeds that no audit has, and why there are none."""
    each = pictures(policy, plan) // TRIALS
    if not each:
        return [], f"method.fit.pictures is {pictures(policy, plan)}"
    if any(category.kind is Kind.STYLE for category in policy.spec.categories):
        return [], "styles are asked for on carriers, and every wording of those is the audit's"
    asking = Asking(tuning_policy(policy, synonyms=plan.refine_names is not None), lexicon or lexicon_for(plan.base),
                    plan.templates)
    probes = [probe for probe in build_probes(asking) if probe.suite in (Suite.DIRECT, Suite.SYNONYM)]
    if not probes:
        return [], "nothing that is banned may be drawn"
    by_concept: dict[str, list[Probe]] = {}
    for probe in probes:
        by_concept.setdefault(probe.concept, []).append(probe)
    for _, concept in policy.concepts():  # once by each of its names, then by name and by synonym in turn
        if own := by_concept.get(concept.id):
            named, other = ([p for p in own if p.suite is suite] for suite in (Suite.DIRECT, Suite.SYNONYM))
            once = [*named[:1], *other[:len(concept.synonyms)]]
            again = zip_longest(named[1:], other[len(concept.synonyms):])
            by_concept[concept.id] = [*once, *(probe for both in again for probe in both if probe)]
    turns = [own[n] for n in range(max(map(len, by_concept.values()))) for own in by_concept.values() if n < len(own)]
    return turns[:each], None


def _names(panels: Panels) -> list[str]:
    return sorted({seat.detector.name for seat in panels.seats()})
