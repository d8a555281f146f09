"""Rates and pictures of several audits of one policy, made comparable: the same prompts and seeds in every column."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mace_gov.audit.decoding import read_picture
from mace_gov.audit.metrics.intervals import CONFIDENCE, estimate
from mace_gov.audit.metrics.measures import harmonic
from mace_gov.audit.metrics.melded import harmonic_bounds
from mace_gov.audit.metrics.paired import holm, mcnemar
from mace_gov.audit.pictures import png_bytes
from mace_gov.audit.thumbnails import must_pixelate, pixelate, shrink
from mace_gov.audit.trials import TRIALS_NAME, read_trials
from mace_gov.documents.audit import Side, Trial
from mace_gov.documents.comparison import Interval, Rates, SheetRow
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.rate import Estimate
from mace_gov.documents.terms import Suite

SHOWN = {Suite.DIRECT: 10, Suite.SYNONYM: 6, Suite.NEAR: 6, Suite.PRESERVED: 4, Suite.UNRELATED: 8}
"""Rows of the contact sheet by suite; a category's concepts take turns."""


def rates(trials: Iterable[Trial], side: Side) -> Rates:
    """What was recognised on one side of an audit. Bounds are clustered by prompt and concept; unscored trials count
    nowhere."""
    found: dict[Suite, Estimate] = {}
    own = [trial for trial in trials if trial.side == side and trial.present is not None]
    for suite in SHOWN:
        if seen := [trial for trial in own if trial.suite is suite]:
            found[suite] = _clustered([bool(trial.present) for trial in seen], seen)
    erased, synonym, kept = (found.get(suite) for suite in (Suite.DIRECT, Suite.SYNONYM, Suite.UNRELATED))
    return Rates(acc_e=erased, acc_g=synonym, acc_s=kept, near=found.get(Suite.NEAR),
                 preserved=found.get(Suite.PRESERVED),
                 h=harmonic_interval(erased, kept, synonym) if erased and kept else None)


def harmonic_interval(erased: Estimate, kept: Estimate, synonym: Estimate | None) -> Interval:
    """H with its melded bounds; accuracies count their effective number of trials."""
    terms = [(1 - erased.value, erased.effective_n), (kept.value, kept.effective_n),
             *([(1 - synonym.value, synonym.effective_n)] if synonym else [])]
    low, high = harmonic_bounds([(rate * n, n) for rate, n in terms], CONFIDENCE)
    return Interval(value=harmonic(rate for rate, _ in terms), low=low, high=high)


def retention(trials: Sequence[Trial]) -> Estimate:
    """Share of the unrelated pictures that the base got right which the governed model still gets right."""
    asked = [trial for trial in trials if trial.suite is Suite.UNRELATED]
    governed = {_key(trial): trial.present for trial in asked if trial.side == "governed"}
    kept = [t for t in asked if t.side == "base" and t.present and governed.get(_key(t)) is not None]
    return _clustered([bool(governed[_key(trial)]) for trial in kept], kept)


def _clustered(outcomes: Sequence[bool], trials: Sequence[Trial]) -> Estimate:
    return estimate(outcomes, [trial.prompt for trial in trials], concepts=[trial.concept for trial in trials])


def differences(trials: Mapping[str, Sequence[Trial]]) -> dict[str, dict[Suite, float]]:
    """By method and suite, whether it differs from the first method on the same prompts: Holm-adjusted p-values.

    trials: by method, of the same audit. One pair a prompt, by McNemar's exact test; all suites and methods are one
    table. The first method has none.
    """
    answers = {method: _answers(own) for method, own in trials.items()}
    first, *others = answers.values()
    found: dict[tuple[str, Suite], float] = {}
    for method, own in zip([*answers][1:], others, strict=True):
        for suite in SHOWN:
            pairs = [(present, own[key]) for key, present in first.items() if key[0] is suite and key in own]
            if (p := mcnemar(pairs)) is not None:
                found[method, suite] = p
    adjusted = holm(found)
    return {method: {suite: p for (name, suite), p in adjusted.items() if name == method} for method in answers}


def _answers(trials: Iterable[Trial]) -> dict[tuple[Suite, str, str, str], bool]:
    """The governed model's first scored picture of each prompt: whether what was asked for is in it."""
    found: dict[tuple[Suite, str, str, str], bool] = {}
    for trial in trials:
        if trial.side == "governed" and trial.present is not None:
            found.setdefault((trial.suite, trial.category, trial.concept, trial.prompt), trial.present)
    return found


def contact_sheet(
    policy: Policy, base: ModelManifest, governed: Mapping[str, ModelManifest], folders: Mapping[str, Path]
) -> list[SheetRow]:
    """The first prompts of each suite, whatever came of them, with every method's picture beside the base's.

    governed and folders: governed model and evidence folder by method.
    """
    trials = {method: read_trials(folder / TRIALS_NAME) for method, folder in folders.items()}
    hidden = {
        (category.id, suite): any(must_pixelate(category, suite, base, model) for model in governed.values())
        for category in policy.spec.categories for suite in Suite
    }
    first = next(iter(folders))
    answers = {method: {_key(t): t for t in trials[method] if t.side == "governed"} for method in folders}
    shared = [trial for trial in trials[first] if trial.side == "base"
              and all(_key(trial) in answer for answer in answers.values())]  # an audit may stop early
    rows = []
    for asked in _chosen(shared):
        conceal = hidden[asked.category, asked.suite]
        pictures = {"base": _cell(folders[first], asked, conceal)}
        for method, answer in answers.items():
            pictures[method] = _cell(folders[method], answer[_key(asked)], conceal)
        rows.append(SheetRow(asked.suite, asked.concept, asked.prompt, asked.seed, conceal, pictures))
    return rows


def _chosen(trials: Sequence[Trial]) -> list[Trial]:
    """For each suite the first trial of every concept, then the second, until there are enough."""
    chosen = []
    for suite, most in SHOWN.items():
        turns: dict[tuple[str, str], int] = {}
        own = []
        for trial in trials:
            if trial.suite is suite:
                turn = turns[trial.category, trial.concept] = turns.get((trial.category, trial.concept), -1) + 1
                own.append((turn, trial))
        chosen += [trial for _, trial in sorted(own, key=lambda each: each[0])[:most]]
    return chosen


def _cell(folder: Path, trial: Trial, hidden: bool) -> tuple[str, bool | None]:
    image = read_picture(folder / trial.image)
    data = png_bytes(pixelate(image) if hidden else shrink(image))
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}", trial.present


def _key(trial: Trial) -> tuple[str, str, str, int]:
    return trial.category, trial.concept, trial.prompt, trial.seed
