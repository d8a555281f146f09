"""The verb ``audit``: ask both models the same, look at every picture, and write down what was seen."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mace_gov.audit.calibrate import load_all
from mace_gov.audit.detectors.by_name import known_detectors, make_detector
from mace_gov.audit.detectors.plugin import sources
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.limits import drawn_limits, limitations
from mace_gov.audit.looking import score_probes
from mace_gov.audit.measuring import all_measurements, all_measures, all_power, retention_rate, unscored
from mace_gov.audit.metrics.broken import broken_check
from mace_gov.audit.metrics.disagreement import disagreements
from mace_gov.audit.picture_measures import picture_measures
from mace_gov.audit.pictures import Picture, Wanted, diffusion_drawer, draw_side, open_picture
from mace_gov.audit.prepare import Prepared, check_tiers, prepare
from mace_gov.audit.scoring import Detectors
from mace_gov.audit.stopping import decided, rounds, standing
from mace_gov.audit.thumbnails import write_thumbnails
from mace_gov.audit.trials import TRIALS_NAME, Observed, Pair, trials_of, write_trials
from mace_gov.core.digest import folder_files, sha256_file
from mace_gov.core.errors import UsageError
from mace_gov.core.progress import working
from mace_gov.documents.attack import AttackResult, Derivative
from mace_gov.documents.audit import AuditResult, BrokenModelCheck, Side
from mace_gov.documents.plan import GenerationSettings, ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.terms import Suite

SIDES: tuple[Side, ...] = ("base", "governed")


def check_detectors(policy: Policy, inputs: Inputs) -> None:
    """Make every detector of the policy and let it go: what does not load is better known before the work.

    Raises as ``audit`` does.
    """
    Detectors(policy, partial(make_detector, known=known_detectors(inputs.plugins)))


def audit(
    policy: Policy, base: ModelManifest, governed: ModelManifest, generation: GenerationSettings, out: Path,
    run: AuditRun, *, asked: Prepared | None = None,
) -> AuditResult:
    """Audit ``governed`` against ``base`` and write pictures, thumbnails and trials.jsonl into the folder ``out``.

    asked: what ``prepare`` made of the same policy, base and run, where it was asked before the work.
    Raises UsageError when ``out`` is not empty, a file has malformed rows or a tier cannot run on a model, PolicyError
    when probes cannot be made or a detector is unknown, IncompleteError when a model or a detector does not load or
    pictures are missing.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"evidence folder {out} is not empty, expected a new one")
    progress, inputs = run.progress, run.inputs
    check_tiers(governed, inputs)
    asked = asked or prepare(policy, base, run)
    drawer = asked.drawer(run.drawer or diffusion_drawer(run.device))
    if inputs.images is not None and governed.files != asked.pictures:
        raise UsageError(f"--images {inputs.images}: found other pictures than those of {governed.ref}, expected just "
                         "those that are judged")
    for said in drawn_limits(asked):
        progress.note(said)
    digest, policy = policy.content_digest(), asked.policy
    brought = asked.brought | {
        path.name: sha256_file(path) for path in (*inputs.loras, *sources(inputs.plugins))}
    known = known_detectors(inputs.plugins)
    places = None if run.detector else {
        spec.name: known[spec.name] for category in policy.spec.categories for spec in category.detectors
        if spec.name in known}  # what is not known is refused as it is made
    with working(progress, "loading detectors"):
        detectors = Detectors(policy, run.detector or partial(make_detector, known=known),
                              load_all(inputs.calibrations) if inputs.calibrations else (), places)
    pictures: dict[Side, dict[Wanted, Picture]] = {side: {} for side in SIDES}
    pairs: list[Pair] = []
    seconds = {"draw": 0.0, "detect": 0.0}
    wanted = asked.beside
    # pictures that are there already are all judged: those that are signed are just those
    looks = 1 if inputs.images is not None else policy.spec.audit.looks or 1
    for part in rounds(asked.probes, looks):
        done = decided(policy, pairs) if pairs else set()
        probes = [probe for probe in part if (probe.category, probe.suite) not in done]
        wanted = [*((probe.prompt, probe.seed) for probe in probes), *wanted]
        started = time.monotonic()
        for side, model in zip(SIDES, (base, governed), strict=True):
            pictures[side] |= draw_side(
                side, model, wanted, generation, out,
                replace(run, cache=None if side in asked.imported else run.cache, drawer=drawer),
            )
        drawn = time.monotonic()
        advance = progress.start("looking at pictures", 2 * len(probes))
        judged = [score_probes(probes, pictures[side], detectors, out, advance=advance) for side in SIDES]
        pairs += [Pair(*each) for each in zip(probes, *judged, strict=True)]
        seconds["draw"] += drawn - started
        seconds["detect"] += time.monotonic() - drawn
        wanted = []
        progress.table(standing(policy, pairs))
    with working(progress, "comparing harmless pictures"):
        broken = _broken(out, pictures, asked.harmless, pairs)
    seen = Observed(policy, pairs, pictures["base"], detectors, generation, out)
    attacks: list[AttackResult] = []
    if inputs.attacks:
        from mace_gov.audit.attacks.run import attack_all

        attacks = attack_all(seen, {"base": base, "governed": governed}, run)
    derived: list[Derivative] = []
    if "deep" in inputs.tiers:
        from mace_gov.audit.derivatives import derivatives

        derived = derivatives(seen, governed, run)
    trials = write_trials(out / TRIALS_NAME, trials_of(pairs, pictures))
    with working(progress, "writing thumbnails"):
        thumbnails = write_thumbnails(policy, pairs, pictures, out, base=base, governed=governed)
    with working(progress, "measuring pictures"):
        comparisons = picture_measures(
            policy, [pair.probe for pair in pairs], asked.captions, pictures, detectors, out)
    thresholds = {category.id: detectors.thresholds(category.id) for category in policy.spec.categories}
    return AuditResult(
        policy_digest=digest,
        base_digest=base.digest,
        governed_digest=governed.digest,
        measurements=all_measurements(policy, pairs, detectors.cards()),
        power=all_power(policy, pairs, thresholds),
        broken=broken,
        detectors=[configured.card() for configured in detectors.all()],
        measures=all_measures(policy, pairs),
        trials=trials,
        unscored=unscored(pairs),
        files=folder_files(out),
        thumbnails=thumbnails,
        sampling=_sampling(policy, generation, pictures["base"]),
        seconds={name: round(value, 3) for name, value in seconds.items()},
        limitations=[*drawn_limits(asked), *limitations(
            policy, base, pairs, detectors.all(), refused=asked.refused, attacks=attacks, planned=len(asked.probes)
        )],
        disagreements=disagreements(pairs, thresholds),
        attacks=attacks,
        derivatives=derived,
        comparisons=comparisons,
        inputs=brought,
    )


def _broken(
    out: Path, pictures: Mapping[Side, Mapping[Wanted, Picture]], harmless: Sequence[Wanted], pairs: Sequence[Pair]
) -> BrokenModelCheck:
    base, governed = ([open_picture(out, pictures[side][want]) for want in harmless] for side in SIDES)
    recognised = retention_rate([pair for pair in pairs if pair.probe.suite is Suite.UNRELATED])
    return broken_check(base, governed, recognised)


def _sampling(policy: Policy, generation: GenerationSettings, drawn: Collection[Wanted]) -> dict[str, float]:
    audit = policy.spec.audit
    return {
        "steps": float(generation.steps), "guidance": generation.guidance, "size": float(generation.size),
        "seeds": float(audit.seeds), "first_seed": float(audit.seed), "prompts": float(len({p for p, _ in drawn})),
        "pictures": float(len(drawn)),
    }
