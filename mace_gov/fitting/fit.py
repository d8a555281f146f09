"""The verb ``fit``: from a plan to the same plan with the settings that suit its base model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mace_gov.audit.detectors.base import Detector
from mace_gov.audit.detectors.registry import known_detectors, make_detector
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe
from mace_gov.audit.probes.lexicon import Lexicon, lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.tuning import tuning_policy
from mace_gov.audit.scoring import Panels, query_of, sights
from mace_gov.core.canonical import canonical_json, digest_of
from mace_gov.core.errors import MaceGovError
from mace_gov.core.progress import Progress, Silent, working
from mace_gov.core.store import Store
from mace_gov.diffusion.families import JOINT
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.documents.fit import Fit, FitPoint
from mace_gov.documents.method import FitBudget, Method
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import DetectorSpec, Kind, Policy, Suite
from mace_gov.erase.texts import kept_reader
from mace_gov.fitting.line import RIDGES, WEIGHTS, Line, at, line
from mace_gov.fitting.search import LEFT_UNSEEN, bisect, nearest, with_margin

PICTURES, MINUTES = 120, 10.0
"""Budget of a policy that names none."""
SHARE = 5
"""One trial takes at most this part of the pictures: one of the base, and four trials that halve a line."""
VERSION = 1
"""Raised whenever the same plan would be fitted otherwise."""


def needs_fit(policy: Policy, plan: ErasurePlan) -> bool:
    """Whether a plan has settings that the policy leaves to the model at hand."""
    method = policy.spec.method
    open_to = len(_weights(method, plan)) > 1 or len(_ridges(method)) > 1
    return (open_to and plan.method == "mace" and plan.base.family not in JOINT.values()
            and bool(plan.preserve.relative) and plan.preserve.prior != "none")


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
    if not needs_fit(policy, plan):
        return plan
    progress = progress or Silent()
    budget = policy.spec.method.fit or FitBudget()
    make = detector or partial(make_detector, known=known_detectors(plugins))
    asked, why = _asked(policy, plan, lexicon, PICTURES if budget.pictures is None else budget.pictures)
    panels: Panels | None = None
    if asked:
        try:
            with working(progress, "loading detectors"):
                panels = Panels(policy, make)
        except MaceGovError as error:
            asked, why = [], f"no detector could be loaded: {error.message}"
    store, name = Store(cache), f"fits/{_key(policy, plan, asked, panels)}.json"
    if (data := store.get(name)) is not None:
        progress.note("the settings that suit this model were found before")
        return fitted(plan, Fit.from_json(json.loads(data)))
    store.tell(progress)
    with working(progress, "loading the base model"):
        pipe = load_pipeline(plan.base.path, device=device)
    with kept_reader(pipe, plan, cache, progress) as reader:
        found = line(reader, plan, cache, progress, weights=_weights(policy.spec.method, plan),
                     ridges=_ridges(policy.spec.method))
    made = _search(pipe, plan, found, asked, why, panels, 60 * (budget.minutes or MINUTES), progress)
    store.put(name, canonical_json(made.to_json()))
    return fitted(plan, made)


def fitted(plan: ErasurePlan, made: Fit) -> ErasurePlan:
    """The plan with the settings of a fit's chosen point."""
    point = made.line[made.chosen]
    return at(plan, point.weight, point.relative_ridge).model_copy(update={"fit": made})


def _search(
    pipe, plan: ErasurePlan, found: Line, asked: list[Probe], why: str | None, panels: Panels | None, seconds: float,
    progress: Progress,
) -> Fit:
    started, points = time.monotonic(), found.points
    if not asked or panels is None:
        return Fit(by="closed form", why=why, line=points, trials=[], chosen=nearest(points, LEFT_UNSEEN))
    layers = projections(pipe.unet)
    pristine = {name: layer.weight.detach().cpu().clone() for name, layer in layers.items()}
    advance = progress.start("looking for the mildest setting that erases (pictures)", SHARE * len(asked))
    last = 0.0

    def present(point: FitPoint | None) -> list[Probe] | None:
        """The probes whose picture shows what is banned, of the base or at a point; None where time is up."""
        nonlocal last
        begun = time.monotonic()
        if point is not None and begun - started + last > seconds:
            return None
        matrix = None if point is None else found.matrix(point)
        for name, layer in layers.items():
            weight = pristine[name] if matrix is None else (pristine[name].double() @ matrix).to(layer.weight.dtype)
            layer.weight.data.copy_(weight)
        probes = asked if point is None else shown
        images = list(draw(pipe, [p.prompt for p in probes], [p.seed for p in probes], plan.generation))
        seen = []
        for category in dict.fromkeys(p.category for p in probes):
            own = [n for n, p in enumerate(probes) if p.category == category]
            looked = sights(panels, category, [images[n] for n in own], [query_of(probes[n], images[n]) for n in own])
            seen += [probes[n] for n, sight in zip(own, looked, strict=True) if sight.present]
        advance(len(probes))
        last = time.monotonic() - begun
        return seen

    shown = present(None) or []
    if not shown:
        return Fit(by="closed form", why="no detector found a banned concept in the base's pictures", line=points,
                   trials=[], detectors=_names(panels), base_asked=len(asked), chosen=nearest(points, LEFT_UNSEEN))

    def drawn(index: int) -> tuple[int, int] | None:
        seen = present(points[index])
        return None if seen is None else (len(seen), len(shown))

    clean, trials = bisect(points, drawn)
    # None was clean among those that there was time for: the strongest, and LoRAs and the audit have the word.
    chosen = len(points) - 1 if clean is None else with_margin(points, clean)
    return Fit(by="pictures", line=points, trials=trials, detectors=_names(panels), base_asked=len(asked),
               base_drawn=len(shown), chosen=chosen)


def _asked(
    policy: Policy, plan: ErasurePlan, lexicon: Lexicon | None, pictures: int
) -> tuple[list[Probe], str | None]:
    """Prompts for what is banned, in wordings and with seeds that no audit has, and why there are none."""
    if pictures < SHARE:
        return [], f"method.fit.pictures is {pictures}"
    if any(category.kind is Kind.STYLE for category in policy.spec.categories):
        return [], "styles are asked for on carriers, and every wording of those is the audit's"
    asking = Asking(tuning_policy(policy), lexicon or lexicon_for(plan.base), plan.templates)
    probes = [probe for probe in build_probes(asking) if probe.suite is Suite.DIRECT]
    if not probes:
        return [], "nothing that is banned may be drawn"
    by_concept: dict[str, list[Probe]] = {}
    for probe in probes:
        by_concept.setdefault(probe.concept, []).append(probe)
    turns = [own[n] for n in range(max(map(len, by_concept.values()))) for own in by_concept.values() if n < len(own)]
    return turns[:pictures // SHARE], None


def _weights(method: Method, plan: ErasurePlan) -> tuple[float, ...]:
    return WEIGHTS if method.preserve.weight is None else (plan.preserve.scale,)


def _ridges(method: Method) -> tuple[float | None, ...]:
    given = [block.ridge is not None or block.relative_ridge is not None for block in (method.refine, method.fuse)]
    return (None,) if any(given) else RIDGES


def _names(panels: Panels) -> list[str]:
    return sorted({seat.detector.name for seat in panels.seats()})


def _key(policy: Policy, plan: ErasurePlan, asked: list[Probe], panels: Panels | None) -> str:
    """Digest of all that a fit depends on."""
    bare = plan.model_copy(update={"notes": [], "fit": None}).to_json()
    del bare["base"], bare["policyDigest"]
    cards = [] if panels is None else [seat.card().to_json() for seat in panels.seats()]
    budget = policy.spec.method.fit
    return digest_of({
        "what": f"fit/v{VERSION}", "base": plan.base.digest, "plan": bare, "detectors": cards,
        "asked": [[probe.prompt, probe.seed, list(probe.expected)] for probe in asked],
        "budget": budget.to_json() if budget else {}, "weights": list(WEIGHTS), "ridges": list(RIDGES),
    })


