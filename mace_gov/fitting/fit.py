"""The verb ``fit``: from a plan to the same plan with the settings that suit its base model."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

from PIL import Image

from mace_gov.audit.detectors.base import Detector
from mace_gov.audit.detectors.registry import known_detectors, make_detector
from mace_gov.audit.probes.asking import Asking, carriers_in
from mace_gov.audit.probes.base import Probe, seed_for
from mace_gov.audit.probes.lexicon import Lexicon, lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.tuning import tuning_policy
from mace_gov.audit.scoring import Detectors, score_pictures
from mace_gov.core.errors import MaceGovError, NumericalError
from mace_gov.core.progress import Progress, Silent, working
from mace_gov.core.resources import asked
from mace_gov.diffusion.exact import exact_files
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import pooled_projection
from mace_gov.documents.drawable import ban_of, may_draw
from mace_gov.documents.fit import Fit, FitRound, FitShift, FitTrial, Weighing
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import DetectorSpec, Policy
from mace_gov.documents.terms import Kind, Suite
from mace_gov.erase.preserve import held_out_captions
from mace_gov.erase.texts import kept_reader
from mace_gov.fitting.handed import Edit, Edited, drawn_by
from mace_gov.fitting.line import RIDGES, WEIGHTS, Line, line
from mace_gov.fitting.search import (
    LEFT_UNSEEN,
    RESERVE,
    balanced,
    bisect,
    gentler,
    nearest,
    weigh,
    with_margin,
    worth,
)
from mace_gov.fitting.shift import shift
from mace_gov.plan.fitting import (
    OTHERS,
    ROUNDS,
    TRIALS,
    fitted,
    keep_fit,
    kept_fit,
    minutes,
    pictures,
    searched,
    shares,
)

SHIFT_SEED = 555_000_000
"""Added to the plan's seed for pictures of what was not given to the erasure."""
ROUND_SEED = 444_000_000
"""Added to the plan's seed for pictures of rounds in which concepts are weighed."""
HARMLESS = 0.03
"""Harm of the closed form up to which nothing is gained by weighing concepts one by one: what was not given to the
erasure is drawn as before."""


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
            asked = _Asked([], f"no detector could be loaded: {error.message}")
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


@dataclass(frozen=True)
class _Asked:
    """Who looks at which pictures of what is banned; without detectors the closed form decides alone."""

    probes: list[Probe]
    """In wordings and with seeds that no audit has."""
    why: str | None = None
    """Why there are none."""
    detectors: Detectors | None = None
    more: list[Probe] = field(default_factory=list)
    """``probes`` and those that there was no room for."""


def _found(
    pipe: Pipeline, policy: Policy, plan: ErasurePlan, settings: Sequence[str], asked: _Asked, cache: Path,
    progress: Progress,
) -> Fit:
    """The line of settings of a loaded base model, and the search along it."""
    with kept_reader(pipe, plan, cache, progress) as reader:
        found = line(
            reader, plan, cache, progress,
            weights=WEIGHTS if "preserve.weight" in settings else (plan.preserve.scale,),
            ridges=RIDGES if "refine.relativeRidge" in settings else (None,),
            pooled=bool(pooled_projection(pipe.unet)))
        others = [caption for caption in held_out_captions(plan, reader.tokenizer)
                  if all(may_draw(kind, caption, ban_of(policy)) for kind in Kind)]
        few = shares(policy, plan)[1]
        return _looked(policy, plan, asked, _Looks(
            pipe, plan, found, asked, others[::max(1, len(others) // max(1, few))][:few], pictures(policy, plan),
            60 * minutes(policy), progress))


def _looked(policy: Policy, plan: ErasurePlan, asked: _Asked, looks: _Looks) -> Fit:
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
        chosen = balanced(with_margin(points, erases), trials, looks.moved)
        # What is stronger was clean of what the mildest that erases was clean of.
        near = max((trial for trial in trials if trial.point <= chosen), key=lambda trial: trial.point)
        seen = {probe.concept for probe in asked.probes}
        unasked = {target.id for target in plan.targets} - seen
        if points[chosen].harm > HARMLESS and len(plan.targets) > 1:
            weighing = looks.weighing(chosen, near, unasked)
        still = near.concepts if weighing is None or not weighing.taken else weighing.rounds[-1].concepts
        loras = sorted({*still, *(target.id for target in plan.targets if target.lora.steps and target.id in unasked)})
    return Fit(by="pictures", line=points, trials=trials, detectors=names, base_asked=len(asked.probes),
               base_drawn=len(shown), shifts=looks.shifts, chosen=chosen, weighing=weighing, loras=loras)


@dataclass
class _Looks:
    """Pictures of a model whose projections are edited as a point of the line asks, and put back by nobody.

    Where a look might end after ``seconds``, as long as the one before it took, there is none: None.
    """

    pipe: Pipeline
    plan: ErasurePlan
    line: Line
    asked: _Asked
    others: list[str]
    """Captions of what was not given to the erasure."""
    most: int
    """Pictures that may be drawn for rounds to go on."""
    seconds: float
    progress: Progress
    shown: list[Probe] = field(default_factory=list)
    """Those asked by which the base draws what is banned."""
    shifts: list[FitShift] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._edited = Edited(self.pipe)
        self._advance = self.progress.start("looking for the mildest setting that erases (pictures)",
                                            TRIALS * (len(self.asked.probes) + OTHERS))
        self._started, self._last, self._count = time.monotonic(), 0.0, 0
        self._before: list[Image.Image] = []

    def trial(self, index: int) -> FitTrial | None:
        """What is banned at a point."""
        seen = self.banned(self.line.at(self.line.points[index], {})[0], self.shown)
        return None if seen is None else FitTrial(
            point=index, drawn=len(seen), asked=len(self.shown), concepts=sorted({probe.concept for probe in seen}))

    def banned(self, edit: Edit | None, probes: Sequence[Probe]) -> list[Probe] | None:
        """The probes whose picture shows what is banned, of the base (None) or an edit of it."""
        images = self._drawn(edit, [p.prompt for p in probes], [p.seed for p in probes])
        if images is None or self.asked.detectors is None:
            return None
        seen = []
        for category in dict.fromkeys(p.category for p in probes):
            own = [n for n, p in enumerate(probes) if p.category == category]
            queries = [self.asked.detectors.query(probes[n], images[n]) for n in own]
            looked = score_pictures(self.asked.detectors, category, [images[n] for n in own], queries)
            seen += [probes[n] for n, judged in zip(own, looked, strict=True) if judged.present]
        return seen

    def moved(self, index: int) -> float | None:
        """How far pictures of what was not given move at a point, see ``shift``."""
        away = self._away(self.line.at(self.line.points[index], {})[0])
        if away is not None and self.others:
            self.shifts.append(FitShift(point=index, moved=away, asked=len(self.others)))
        return away

    def weighing(self, chosen: int, near: FitTrial, unasked: Collection[str]) -> Weighing | None:
        """Rounds of weighing from a point that is gentler than ``chosen``, taken where they are worth more.

        near: the trial that tells what ``chosen`` draws. unasked: concepts that nobody drew. They come to count as at
        the chosen point, or as the concept that counts most. Returns None when the budget is spent before a round.
        """
        points = self.line.points
        start = gentler(points, chosen)
        count, every = len(self.asked.probes), self.asked.more
        turn = iter(range(ROUNDS))

        def look(weights: Mapping[str, float]) -> FitRound | None:
            number = next(turn)
            probes = [every[(number * count + n) % len(every)] for n in range(count)]
            probes = [replace(p, seed=seed_for(self.plan.seed + ROUND_SEED, number, p.prompt)) for p in probes]
            if self._count + count + len(self.others) > self.most:
                return None
            try:
                edit, point = self.line.at(points[start], weights)
            except NumericalError:
                return None
            seen = self.banned(edit, probes)
            return None if seen is None else FitRound(
                drawn=len(seen), asked=count, concepts=sorted({probe.concept for probe in seen}), left=point.left,
                harm=point.harm)

        rounds, weights = weigh(look, ROUNDS)
        if not rounds:
            return None
        if unasked:
            count_most = max([points[start].weight / points[chosen].weight, 1.0, *weights.values()])
            weights |= dict.fromkeys(unasked, count_most)
        weights = {target.id: RESERVE * weights.get(target.id, 1.0) for target in self.plan.targets}
        try:
            edit, last = self.line.at(points[start], weights)
        except NumericalError:
            return None
        away = self._away(edit)
        before = next((each.moved for each in self.shifts if each.point == chosen), 0.0)
        gentle = rounds[-1].erases and last.harm < points[chosen].harm
        taken = gentle or (away is not None and worth(rounds[-1], away) > worth(near, before))
        return Weighing(point=start, rounds=rounds, left=last.left, harm=last.harm, moved=away, taken=taken,
                        weights=dict(sorted(weights.items())))

    def _away(self, edit: Edit) -> float | None:
        if len(self.others) < 2:
            return 0.0  # nothing to compare: what is erased decides alone
        seeds = [(self.plan.seed + SHIFT_SEED) % 2**32] * len(self.others)
        self._before = self._before or self._drawn(None, self.others, seeds) or []
        after = self._drawn(edit, self.others, seeds)
        return None if after is None else round(shift(self._before, after), 4)

    def _drawn(self, edit: Edit | None, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image] | None:
        begun = time.monotonic()
        if edit is not None and begun - self._started + self._last > self.seconds:
            return None
        workers = asked().workers
        images = list(self._edited.draw(edit or {}, prompts, seeds, self.plan.generation) if workers is None else
                      drawn_by(workers, self.plan, edit or {}, prompts, seeds))
        self._advance(len(prompts))
        self._count += len(prompts)
        self._last = time.monotonic() - begun
        return images


def _asked(policy: Policy, plan: ErasurePlan, lexicon: Lexicon | None) -> _Asked:
    """Prompts for what is banned, in wordings and with seeds that no audit has, and why there are none."""
    each = shares(policy, plan)[0]
    if not each:
        return _Asked([], f"method.fit.pictures is {pictures(policy, plan)}")
    if len({category.kind is Kind.STYLE for category in policy.spec.categories}) > 1:
        return _Asked([], "styles are asked for on carriers, and other kinds are not")
    lexicon = lexicon or lexicon_for(plan.base)
    tuned = tuning_policy(policy, synonyms=plan.refine_names is not None, carriers=carriers_in(lexicon))
    asking = Asking(tuned, lexicon, plan.templates)
    probes = [probe for probe in build_probes(asking) if probe.suite in (Suite.DIRECT, Suite.SYNONYM)]
    if not probes:
        return _Asked([], "nothing that is banned may be drawn")
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
    return _Asked(turns[:each], more=turns)

