"""Every trial as a line of JSON: what was asked, which file shows it, what each detector made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mace_gov.audit.pictures import Picture, Wanted
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.scoring import Detectors, Scored
from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import canonical_json
from mace_gov.documents.audit import Side, Trial
from mace_gov.documents.plan import GenerationSettings
from mace_gov.documents.policy import Policy

TRIALS_NAME = "trials.jsonl"


@dataclass(frozen=True)
class Pair:
    """One probe as both models answered it."""

    probe: Probe
    """What was asked."""
    base: Scored
    """Base model."""
    governed: Scored
    """Governed model."""


@dataclass(frozen=True)
class Observed:
    """What an audit has drawn and seen before it attacks: what attacks and derivatives begin with."""

    policy: Policy
    """What is banned, and how detectors look."""
    pairs: Sequence[Pair]
    """All trials, scored."""
    pictures: Mapping[Wanted, Picture]
    """The base's."""
    detectors: Detectors
    """The detectors."""
    generation: GenerationSettings
    """How pictures are drawn."""
    out: Path
    """The evidence folder."""


def trials_of(pairs: Iterable[Pair], pictures: Mapping[Side, Mapping[Wanted, Picture]]) -> Iterator[Trial]:
    """Two trials for each pair, the base's first."""
    for pair in pairs:
        probe = pair.probe
        sides: tuple[tuple[Side, Scored], ...] = (("base", pair.base), ("governed", pair.governed))
        for side, judged in sides:
            picture = pictures[side][probe.prompt, probe.seed]
            yield Trial(
                category=probe.category, concept=probe.concept, suite=probe.suite, prompt=probe.prompt, seed=probe.seed,
                side=side, image=picture.name, image_digest=picture.digest, scores=judged.scores,
                present=judged.present,
            )


def write_trials(path: Path, trials: Iterable[Trial]) -> int:
    """Write one canonical JSON object a line, with null where a trial is unscored. Returns the number of lines."""
    lines = [canonical_json(trial.model_dump(mode="json", by_alias=True)) for trial in trials]
    write_bytes(path, b"".join(line + b"\n" for line in lines))
    return len(lines)


def read_trials(path: Path) -> list[Trial]:
    """The trials of a file that ``write_trials`` wrote."""
    return [Trial.model_validate_json(line) for line in path.read_bytes().splitlines()]
