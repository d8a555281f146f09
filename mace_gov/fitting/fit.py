"""The verb ``fit``: from a plan to the same plan with the settings that suit its base model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

from mace_gov.audit.detectors.by_name import known_detectors, make_detector
from mace_gov.audit.detectors.detector_protocol import Detector
from mace_gov.audit.probes.asking import Asking, carriers_in
from mace_gov.audit.probes.lexicon import Lexicon, lexicon_for
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.tuning_probes import tuning_policy
from mace_gov.audit.scoring import Detectors
from mace_gov.core.errors import MaceGovError
from mace_gov.core.progress import Progress, Silent, working
from mace_gov.diffusion.exact import exact_files
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import pooled_projection
from mace_gov.documents.drawable import ban_of, may_draw
from mace_gov.documents.fit import Fit
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import DetectorSpec, Policy
from mace_gov.documents.terms import Kind, Suite
from mace_gov.erase.preserve import FREE_HARM, evenly, held_out_captions
from mace_gov.erase.texts import kept_reader
from mace_gov.fitting.line import RIDGES, WEIGHTS, line
from mace_gov.fitting.looks import Asked, Looks
from mace_gov.fitting.search import LEFT_UNSEEN, balanced, bisect, nearest, with_margin
from mace_gov.plan.fitting import fitted, keep_fit, kept_fit, minutes, pictures, searched, shares


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
    asked = _asked(policy, plan, lexicon)
    if asked.probes:
        try:
            with working(progress, "loading detectors"):
                asked = replace(asked, detectors=Detectors(policy, make))
        except MaceGovError as error:
            asked = Asked([], f"no detector could be loaded: {error.message}")
    with ExitStack() as stack:
        with working(progress, "loading the base model"):
            folder, unchanged = stack.enter_context(exact_files(plan.base, texts=True))
            pipe = load_pipeline(folder, device=device)
        made = _found(pipe, policy, plan, settings, asked, cache, progress)
        unchanged()
    if policy.spec.method.lora.steps is not None:  # a number that the policy gives is not moved
        made = made.model_copy(update={"loras": None})
    keep_fit(plan, made, cache)
    return fitted(plan, made)


def _found(
    pipe: Pipeline, policy: Policy, plan: ErasurePlan, settings: Sequence[str], asked: Asked, cache: Path,
    progress: Progress,
) -> Fit:
    """The line of settings of a loaded base model, and the search along it."""
    with kept_reader(pipe, plan, cache, progress) as reader:
        found = line(
            reader, plan, cache, progress,
            weights=WEIGHTS if "preserve.weight" in settings else (plan.preserve.scale,),
            ridges=RIDGES if "refine.relativeRidge" in settings else (None,),
            pooled=bool(pooled_projection(pipe.unet)))
        others = [[caption for caption in part if all(may_draw(kind, caption, ban_of(policy)) for kind in Kind)]
                  for part in held_out_captions(plan, reader.tokenizer)]
        few = shares(policy, plan)[1]
        return _looked(policy, plan, asked, Looks(
            pipe, plan, found, asked, evenly(others, few), pictures(policy, plan),
            60 * minutes(policy), progress))


def _looked(policy: Policy, plan: ErasurePlan, asked: Asked, looks: Looks) -> Fit:
    """The search along a line of settings, and where what it chose harms, one of weights."""
    points = looks.line.points
    if asked.detectors is None:
        return Fit(by="closed form", why=asked.why, line=points, trials=[], chosen=nearest(points, LEFT_UNSEEN))
    names = sorted({configured.detector.name for configured in asked.detectors.all()})
    shown = looks.shown = looks.banned(None, asked.probes) or []
    if not shown:
        return Fit(by="closed form", why="no detector found a banned concept in the base's pictures", line=points,
                   trials=[], detectors=names, base_asked=len(asked.probes), chosen=nearest(points, LEFT_UNSEEN))
    weighing = None
    erases, trials = bisect(points, looks.trial)
    if erases is None:
        # Not within the time, or not without LoRAs: those of all concepts are trained on what the closed form asks for.
        chosen, loras = nearest(points, LEFT_UNSEEN), None
    else:
        strong = with_margin(points, erases)
        chosen = balanced(strong, trials, looks.moved)
        # What is stronger was clean of what the mildest that erases was clean of.
        near = max((trial for trial in trials if trial.point <= chosen), key=lambda trial: trial.point)
        seen = {probe.concept for probe in asked.probes}
        unasked = {target.id for target in plan.targets} - seen
        if points[strong].harm > FREE_HARM and len(plan.targets) > 1:
            weighing = looks.weighing(strong, chosen, near, {t.id for t in plan.targets} - {p.concept for p in shown})
        still = near.concepts if weighing is None or not weighing.taken else weighing.rounds[-1].concepts
        loras = sorted({*still, *(target.id for target in plan.targets if target.lora.steps and target.id in unasked)})
    return Fit(by="pictures", line=points, trials=trials, detectors=names, base_asked=len(asked.probes),
               base_drawn=len(shown), shifts=looks.shifts, chosen=chosen, weighing=weighing, loras=loras)


def _asked(policy: Policy, plan: ErasurePlan, lexicon: Lexicon | None) -> Asked:
    """Prompts for what is banned, in wordings and with seeds that no audit has, and why there are none."""
    each = shares(policy, plan)[0]
    if not each:
        return Asked([], f"method.fit.pictures is {pictures(policy, plan)}")
    if len({category.kind is Kind.STYLE for category in policy.spec.categories}) > 1:
        return Asked([], "styles are asked for on carriers, and other kinds are not")
    lexicon = lexicon or lexicon_for(plan.base)
    tuned = tuning_policy(policy, synonyms=plan.refine_names is not None, carriers=carriers_in(lexicon))
    asking = Asking(tuned, lexicon, plan.templates)
    probes = [probe for probe in build_probes(asking) if probe.suite in (Suite.DIRECT, Suite.SYNONYM)]
    if not probes:
        return Asked([], "nothing that is banned may be drawn")
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
    return Asked(turns[:each], more=turns)

