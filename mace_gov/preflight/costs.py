"""What an apply will ask, how much room it needs, and how long it takes: counted work by measured units."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.probe import Probe, seed_for
from mace_gov.audit.probes.unrelated import general_prompts
from mace_gov.core.files import read_file
from mace_gov.documents.costs import ApplyCosts, AuditCosts, Timing
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy
from mace_gov.documents.registry import Layout
from mace_gov.documents.reuse import Reuse
from mace_gov.documents.terms import Suite
from mace_gov.preflight.checks import model_bytes

HARMLESS = 32
"""Pictures of the broken-model check, see ``audit.prepare``."""
PNG_SHARE = 0.6
"""Bytes of a PNG file for each byte of its pixels: 0.58 of the embedded model's pictures (n = 408)."""
SAMPLE = 200
"""Cached pictures whose size is looked at."""
READINGS = 5
"""How often an apply reads a model's files: the base before and after planning, the governed one to sign, to record
and to verify it."""
LAST = 5
"""Earlier audits that are looked at."""


def audit_costs(policy: Policy, plan: ErasurePlan, probes: Sequence[Probe], registry: Path) -> AuditCosts:
    """Count what ``probes`` ask. Reads file names and sizes in the registry, and the last audits' own account."""
    suites: dict[str, set[tuple[str, int]]] = {}
    for probe in probes:
        suites.setdefault(probe.suite, set()).add((probe.prompt, probe.seed))
    wanted = set().union(*suites.values())
    if len(suites.get(Suite.UNRELATED, ())) < HARMLESS:
        first = policy.spec.audit.seed
        asking = Asking(policy, lexicon_for(plan.base), plan.templates)
        wanted |= {(prompt, seed_for(first, 0, prompt)) for prompt in general_prompts(asking, HARMLESS)}
    store = Layout(registry).pictures
    sizes = [path.stat().st_size for path in islice(store.glob("*.png"), SAMPLE)]
    each = round(mean(sizes)) if sizes else round(PNG_SHARE * 3 * plan.generation.size ** 2)
    cached = _cached(plan, wanted, store)
    seconds = max(_seconds(plan, registry), default=None)
    pictures = 2 * len(wanted)
    room = (2 * pictures - (cached or 0)) * each + erasure_bytes(plan, Layout(registry).cache)
    return AuditCosts(
        suites={suite: len(asked) for suite, asked in suites.items()}, pictures=pictures, cached=cached,
        picture_bytes=each, measured_bytes=bool(sizes), disk_bytes=room,
        seconds_each=None if seconds is None else round(seconds, 4),
        seconds=None if seconds is None else round(seconds * (pictures - (cached or 0)), 1),
    )


def erasure_bytes(plan: ErasurePlan, cache: Path) -> int:
    """Room that an erasure will take: the governed model, text states, and what a guard changes, which is kept in full
    and written in half precision."""
    guard = 3 * model_bytes(plan) // 2 if plan.guard else 0
    return model_bytes(plan) + states_bytes(plan, cache) + guard


def states_bytes(plan: ErasurePlan, cache: Path) -> int:
    """Room that moments of text states will take beside what the cache holds of them: all that is there is counted as
    this plan's. Three matrices for each name, and some for what is preserved."""
    from mace_gov.erase.second_moments import names_of

    names = sum(len(names_of(plan, target)) for target in plan.targets)
    kept = sum(path.stat().st_size for path in (cache / "states").glob("*.safetensors"))
    return max(0, (3 * names + 4) * 8 * plan.base.text_width ** 2 - kept)


def apply_costs(
    plan: ErasurePlan, audit: AuditCosts, reuse: Sequence[Reuse], timing: Timing, *, fit_pictures: int = 0
) -> ApplyCosts:
    """What an apply will take where ``timing`` was measured.

    reuse: what becomes of each target's LoRA. fit_pictures: those that a fit may draw before the erasure.
    """
    from mace_gov.diffusion.learnt_words import BATCH, all_steps
    from mace_gov.diffusion.lengths import tokenizer_of
    from mace_gov.erase.guard_lessons import ANCHORS, CONTROLS, ERASED, KEPT, STARTS
    from mace_gov.erase.preserve import weighted_captions

    picture = plan.generation.steps * timing.step
    fates = {each.concept: each for each in reuse}
    trained = [target for target in plan.targets if target.id in fates and fates[target.id].lora == "trained"]
    undrawn = sum(target.lora.images for target in trained if not fates[target.id].pictures)
    training = sum(target.lora.steps for target in trained) * (timing.train or 0.0)
    if plan.esd is not None:  # each sample is half drawn, then seen twice as it was and once forwards and backwards
        training = plan.esd.steps * len(plan.targets) * (0.5 * picture + 5 * timing.step)
    # A draw of a word's search or of a guard is seen forwards and backwards; a sampler's step sees one twice.
    harden = guard = 0.0
    if plan.harden:
        searches = plan.harden.rounds * plan.harden.searches * len(plan.targets)
        harden = searches * plan.harden.steps * BATCH * 2 * timing.step
    if plan.guard:
        searched = plan.guard.rounds * all_steps(plan.guard.search_steps, STARTS) * len(plan.targets) * BATCH
        seen = plan.guard.steps * (ERASED + KEPT) + searched
        kept = plan.guard.pictures + CONTROLS // 4 + ANCHORS * len({target.anchor for target in plan.targets})
        guard = seen * 2 * timing.step + kept * picture
    prompts = 2 * len(plan.targets) * len(plan.templates)
    prompts += sum(len(captions) for _, captions in weighted_captions(plan, tokenizer_of(Path(plan.base.path))))
    return ApplyCosts(timing=timing, seconds={name: round(seconds, 1) for name, seconds in {
        "load": 3 * timing.load,  # to erase, and each model to audit
        "text": prompts * timing.prompt,
        "fit": fit_pictures * (picture + timing.decode),
        "pictures": undrawn * picture,
        "lora": training,
        "harden": harden,
        "guard": guard,
        "draw": (audit.pictures - (audit.cached or 0)) * (picture + timing.decode),
        "files": READINGS * model_bytes(plan) * timing.read,
    }.items()})


def told_apply(costs: ApplyCosts) -> list[str]:
    """The same in lines for people."""
    timing, names = costs.timing, {
        "fit": "the fit", "pictures": "training pictures", "lora": "training",
        "harden": "all rounds of search", "guard": "the guard", "draw": "the audit's pictures",
    }
    shares = ", ".join(f"{_duration(costs.seconds[name])} {said}" for name, said in names.items()
                       if costs.seconds[name])
    passes = f"{timing.pictures} pictures" + (f" or {timing.loras} LoRAs" if timing.loras else "") + " in a pass"
    return [f"about {_duration(sum(costs.seconds.values()))} on {timing.device}: {shares}; detectors not counted",
            f"{_size(timing.memory_bytes)} of memory with {passes}"]


def told(costs: AuditCosts) -> list[str]:
    """The costs in lines for people."""
    asked = ", ".join(f"{suite} {count}" for suite, count in costs.suites.items())
    cached = f", {costs.cached} of the base model's in the cache" if costs.cached is not None else ""
    how = "as pictures here are" if costs.measured_bytes else "estimated from their size"
    if costs.seconds is None:
        time = "time not known on this machine until a first audit of this model here"
    else:
        time = f"up to {_duration(costs.seconds)} at {costs.seconds_each:.2g} s a picture, as the last audits here took"
    return [f"{asked} for each model", f"{costs.pictures} pictures of both models{cached}; {time}",
            f"{_size(costs.disk_bytes)} of disk with the governed model; {_size(costs.picture_bytes)} a picture, {how}"]


def _cached(plan: ErasurePlan, wanted: set[tuple[str, int]], folder: Path) -> int | None:
    try:
        from mace_gov.audit.pictures import picture_key
    except ImportError:  # the plain install draws nothing
        return None
    return sum((folder / f"{picture_key(plan.base.digest, *each, plan.generation)}.png").is_file() for each in wanted)


def _seconds(plan: ErasurePlan, registry: Path) -> Iterator[float]:
    """Seconds for a picture in the last audits of this base with this sampler. Not verified: they are but a guess."""
    for path in sorted(Layout(registry).envelopes(), key=lambda path: path.stat().st_mtime, reverse=True)[:LAST]:
        try:
            evidence: Any = json.loads(base64.b64decode(json.loads(read_file(path))["payload"]))["predicate"]
            audit = evidence["audit"]
            sampler = (audit["sampling"]["steps"], audit["sampling"]["size"])
            took = sum(float(audit["seconds"][part]) for part in ("draw", "detect"))
            if audit["baseDigest"] == plan.base.digest and sampler == (plan.generation.steps, plan.generation.size):
                yield took / (2 * audit["sampling"]["pictures"])
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            continue


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
