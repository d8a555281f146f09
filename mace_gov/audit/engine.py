"""The verb ``audit``: ask both models the same, look at every picture, and write down what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from mace_gov.audit.detectors.base import Detector
from mace_gov.audit.detectors.registry import make_detector
from mace_gov.audit.limits import limitations
from mace_gov.audit.measuring import all_measurements, all_measures, all_power, retention_rate, unscored
from mace_gov.audit.metrics.broken import broken_check
from mace_gov.audit.pictures import Drawer, Picture, Wanted, diffusion_drawer, draw_side, open_picture
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe, seed_for
from mace_gov.audit.probes.lexicon import Lexicon, lexicon_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.unrelated import general_prompts
from mace_gov.audit.scoring import Panels, look
from mace_gov.audit.thumbnails import write_thumbnails
from mace_gov.audit.trials import TRIALS_NAME, Pair, trials_of, write_trials
from mace_gov.core.digest import folder_files
from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Progress, Silent
from mace_gov.documents.audit import AuditResult, BrokenModelCheck, Side
from mace_gov.documents.plan import GenerationSettings, ModelManifest
from mace_gov.documents.policy import DetectorSpec, Kind, Policy, Suite

HARMLESS = 32
"""Pictures of harmless prompts that the broken-model check compares."""
SIDES: tuple[Side, ...] = ("base", "governed")


def audit(
    policy: Policy, base: ModelManifest, governed: ModelManifest, generation: GenerationSettings, out: Path, *,
    cache: Path | None, device: str | None = None, progress: Progress | None = None,
    trained_on: Collection[str] = (), drawer: Drawer | None = None,
    detector: Callable[[DetectorSpec], Detector] = make_detector, lexicon: Lexicon | None = None,
) -> AuditResult:
    """Audit ``governed`` against ``base`` and write pictures, thumbnails and trials.jsonl into the folder ``out``.

    trained_on: the erasure's templates, which probes avoid. drawer, detector and lexicon are seams: how pictures are
    drawn, detectors made, and what the model is known to draw.

    Raises UsageError when ``out`` is not empty, PolicyError when probes cannot be made or a detector is unknown,
    IncompleteError when a model or a detector does not load or pictures are missing.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"evidence folder {out} is not empty, expected a new one")
    progress = progress or Silent()
    asking = Asking(policy, lexicon or lexicon_for(base), trained_on)
    probes = build_probes(asking)
    panels = Panels(policy, detector)
    harmless = harmless_prompts(asking, probes)
    wanted = [(probe.prompt, probe.seed) for probe in probes] + harmless
    draw = drawer or diffusion_drawer(device)
    started = time.monotonic()
    pictures: dict[Side, Mapping[Wanted, Picture]] = {}
    for side, model in zip(SIDES, (base, governed), strict=True):
        pictures[side] = draw_side(side, model, wanted, generation, out, cache=cache, drawer=draw, progress=progress)
    drawn = time.monotonic()
    advance = progress.start("looking at pictures", 2 * len(probes))
    sights = {side: look(probes, pictures[side], panels, out, advance=advance) for side in SIDES}
    pairs = [Pair(*each) for each in zip(probes, sights["base"], sights["governed"], strict=True)]
    broken = _broken(out, pictures, harmless, pairs)
    looked = time.monotonic()
    trials = write_trials(out / TRIALS_NAME, trials_of(pairs, pictures))
    thumbnails = write_thumbnails(policy, pairs, pictures, out, base=base, governed=governed)
    thresholds = {category.id: panels.thresholds(category.id) for category in policy.spec.categories}
    return AuditResult(
        policy_digest=policy.content_digest(),
        base_digest=base.digest,
        governed_digest=governed.digest,
        measurements=all_measurements(policy, pairs),
        power=all_power(policy, pairs, thresholds),
        broken=broken,
        detectors=[seat.card() for seat in panels.seats()],
        measures=all_measures(policy, pairs),
        trials=trials,
        unscored=unscored(pairs),
        files=folder_files(out),
        thumbnails=thumbnails,
        sampling=_sampling(policy, generation, wanted),
        seconds={"draw": round(drawn - started, 3), "detect": round(looked - drawn, 3)},
        limitations=limitations(policy, base, pairs, panels.seats()),
    )


def harmless_prompts(asking: Asking, probes: Sequence[Probe]) -> list[Wanted]:
    """Prompts and seeds for the broken-model check: from the unrelated suite, or general objects where it has none.

    Celebrity policies ask for people in the unrelated suite, who may well grow alike; objects are asked instead.
    """
    people = {category.id for category in asking.policy.spec.categories if category.kind is Kind.CELEBRITY}
    asked = [p for p in probes if p.suite is Suite.UNRELATED and p.category not in people]
    found = list(dict.fromkeys((probe.prompt, probe.seed) for probe in asked))
    if len(found) < HARMLESS:
        first = asking.policy.spec.audit.seed
        more = [(prompt, seed_for(first, 0, prompt)) for prompt in general_prompts(asking, HARMLESS)]
        found = list(dict.fromkeys([*found, *more]))
    return [found[i * len(found) // HARMLESS] for i in range(HARMLESS)] if len(found) > HARMLESS else found


def _broken(
    out: Path, pictures: Mapping[Side, Mapping[Wanted, Picture]], harmless: Sequence[Wanted], pairs: Sequence[Pair]
) -> BrokenModelCheck:
    base, governed = ([open_picture(out, pictures[side][want]) for want in harmless] for side in SIDES)
    recognised = retention_rate([pair for pair in pairs if pair.probe.suite is Suite.UNRELATED])
    return broken_check(base, governed, recognised)


def _sampling(policy: Policy, generation: GenerationSettings, wanted: Sequence[Wanted]) -> dict[str, float]:
    audit = policy.spec.audit
    return {
        "steps": float(generation.steps), "guidance": generation.guidance, "size": float(generation.size),
        "seeds": float(audit.seeds), "first_seed": float(audit.seed), "prompts": float(len({p for p, _ in wanted})),
        "pictures": float(len(set(wanted))),
    }
