"""What would end the work late, found before it. Nothing is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mace_gov.audit.detectors.by_name import DETECTORS, known_detectors, setting_problem
from mace_gov.audit.detectors.plugin import load
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for, plain_style, style_classes, subject_classes
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.suites import build_probes
from mace_gov.core.errors import IncompleteError, MissingExtraError, PolicyError, UsageError
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.detector_info import CLIP, INFOS, SMALL_SIDE
from mace_gov.documents.document import Location
from mace_gov.documents.family_info import family_info, untried
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Category, DetectorSpec, Policy
from mace_gov.documents.sampling import near_phrases, preserved_phrases
from mace_gov.documents.terms import Kind, Suite
from mace_gov.embedded import judge_classes, vocabulary
from mace_gov.policy import preflight
from mace_gov.policy.load import LoadedPolicy
from mace_gov.policy.reading import Problem, fail

REFERENCE_FILES = (".png", ".jpg", ".jpeg", ".webp")
"""What the detector face reads."""
FACE_NETWORKS = ("detection.onnx", "embedding.onnx")
"""Files of a folder that the detector face reads its networks from."""
JUDGE = "mace_gov.audit.detectors.judge:JudgeDetector"
"""The judge that ships; a planted one knows other words."""


@dataclass(frozen=True)
class Ahead:
    """What follows a plan, so that all that would stop it is found before the work. An apply does all three."""

    asks: bool = True
    """The audit asks the policy's own questions."""
    judges: bool = True
    """Detectors look at the answers."""
    erases: bool = True
    """The method runs."""


APPLY = Ahead()


def check_policy(loaded: LoadedPolicy, plugins: Sequence[str] = ()) -> None:
    """What needs no model. Raises PolicyError with every problem, UsageError for a plugin that cannot be, or load."""
    known = known_detectors(plugins)
    brought = {name: target for name, target in known.items() if name not in DETECTORS}
    found = [*preflight.problems(loaded.policy, brought), *_files(loaded.policy), *_plugins(loaded.policy, brought)]
    if found:
        raise fail(loaded.path, loaded.source, found)


def check_sight(loaded: LoadedPolicy, side: int) -> None:
    """That every rule has a detector that can look at pictures of this side, in pixels, for it.

    Raises PolicyError that names every rule that has none, and what to add.
    """
    if found := preflight.unseen(loaded.policy, side):
        raise fail(loaded.path, loaded.source, found)


def check_plan(loaded: LoadedPolicy, plan: ErasurePlan, ahead: Ahead = APPLY) -> list[Probe]:
    """What needs the base model's files. Returns what the audit will ask. Raises PolicyError with every problem."""
    from mace_gov.diffusion.lengths import too_long

    policy = loaded.policy
    found: list[tuple[Location, str]] = []
    probes: list[Probe] = []
    try:
        probes = build_probes(Asking(policy, lexicon_for(plan.base), plan.templates)) if ahead.asks else []
    except PolicyError as error:
        found.append((("spec", "audit"), "; ".join(
            line.removeprefix("spec.audit: ") for line in error.message.splitlines())))
    found += too_long(plan, policy, [probe.prompt for probe in probes if probe.suite is not Suite.OBFUSCATION])
    if ahead.judges:
        found += _judge(policy, plan)
    if ahead.erases:
        found += _method(policy, plan)
    if found:
        raise fail(loaded.path, loaded.source, found)
    return probes


def plan_notes(policy: Policy, plan: ErasurePlan) -> list[str]:
    """Warnings for the plan: rules that cannot pass on this model, and packages that are missing on this machine."""
    found = [f"warning: {message}" for where, message in preflight.warnings(policy) if "erase-only by" not in message]
    missing = [error.message for error in _missing_packages(policy)]
    found += [f"audit: {said}" for said in [untried(plan.base.family)] if said]
    return list(dict.fromkeys([*found, *(f"warning: {message}" for message in missing)]))


def _missing_packages(policy: Policy) -> list[MissingExtraError]:
    """An error for every extra that the policy's detectors need and that is not installed."""
    needed = {INFOS[spec.name].package for category in policy.spec.categories for spec in category.detectors
              if spec.name in INFOS}
    return [
        MissingExtraError(f"the package '{module}' is not installed; it comes with mace-gov[{extra}]",
                          hint=f"pip install 'mace-gov[{extra}]'")
        for module, extra in sorted(each for each in needed if each) if find_spec(module) is None
    ]


def check_machine(policy: Policy | None, *folders: Path, needs: int = 0) -> None:
    """That the work can begin here: the packages of the policy's detectors, folders that can be written, room.

    needs: bytes that the work will write.

    Raises MissingExtraError, UsageError or IncompleteError.
    """
    if policy and (missing := _missing_packages(policy)):
        raise MissingExtraError("; ".join(error.message for error in missing), hint=missing[0].hint)
    for folder in folders:
        place = next((each for each in (folder, *folder.absolute().parents) if each.exists()), Path("/"))
        if not place.is_dir():
            raise UsageError(f"{place} is a file, expected a folder, or none yet", hint="Give another folder.")
        if not os.access(place, os.W_OK | os.X_OK):
            raise UsageError(f"{folder} cannot be written, expected a folder that can", hint="Give another folder.")
        free = shutil.disk_usage(place).free
        if free < needs:
            raise IncompleteError(
                f"{folder}: found {free / 1e6:,.0f} MB free, expected {needs / 1e6:,.0f} MB for the model, its "
                "pictures and the cache",
                hint="Free some space, or give folders on another disk with --registry and --reports.")


def model_bytes(plan: ErasurePlan) -> int:
    """Size of the base model's folder: the governed model takes as much."""
    return sum(path.stat().st_size for path in Path(plan.base.path).rglob("*") if path.is_file())


def _files(policy: Policy) -> Iterator[Problem]:
    """What the policy names on this machine."""
    for i, category in enumerate(policy.spec.categories):
        for j, spec in enumerate(category.detectors):
            at: Location = ("spec", "categories", i, "detectors", j)
            if spec.name == "face":
                yield from _face(policy, category, spec, at)
            elif spec.name == "clip" and spec.model and spec.model.startswith(("/", "./", "../", "~")):
                folder = Path(spec.model).expanduser()
                if not (folder / "config.json").is_file():
                    yield (*at, "model"), f"found no CLIP model in {folder}, expected a folder with config.json"


def _plugins(policy: Policy, brought: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with the detectors from outside that the policy names; they are loaded, and not made."""
    targets = {spec.name: load(brought[spec.name]) for category in policy.spec.categories
               for spec in category.detectors if spec.name in brought}
    for i, category in enumerate(policy.spec.categories):
        for j, spec in enumerate(category.detectors):
            if spec.name in targets and (problem := setting_problem(spec, targets[spec.name])):
                yield ("spec", "categories", i, "detectors", j), f"detector {spec.name}: {problem}"


def _face(policy: Policy, category: Category, spec: DetectorSpec, at: Location) -> Iterator[Problem]:
    place = Path(spec.model or ".").expanduser()
    if place.is_dir() and (gone := [name for name in FACE_NETWORKS if not (place / name).is_file()]):
        yield (*at, "model"), f"found no {', no '.join(gone)} in {place}, expected {' and '.join(FACE_NETWORKS)}"
    elif spec.model and not place.exists():
        yield (*at, "model"), (f"found no {spec.model}, expected the ONNX file of a face-embedding network, or a "
                               f"folder with {' and '.join(FACE_NETWORKS)}")
    if not spec.references:
        return
    folder = Path(spec.references).expanduser()
    names = {phrase_key(path.parent.name) for path in folder.glob("*/*") if path.suffix.lower() in REFERENCE_FILES}
    lacking = [concept.target for concept in category.concepts if phrase_key(concept.target) not in names]
    if lacking and category.kind is not Kind.STYLE:
        yield (*at, "references"), (f"found no pictures of {_some(lacking)} in {folder}, expected a folder of that "
                                    f"name with {', '.join(REFERENCE_FILES)} for every concept")
    asked = {Suite.NEAR: near_phrases(policy, category), Suite.PRESERVED: preserved_phrases(policy)}
    kept = [rule.id for rule in category.rules if rule.suite in asked
            and names.isdisjoint(map(phrase_key, asked[rule.suite]))]
    alone = all(each.name == "face" or each.only == "bans" for each in category.detectors)
    if kept and alone:
        yield (*at, "references"), (f"{kept[0]}: found no pictures of any neighbour in {folder}, expected some, or "
                                    f"another detector of what must stay, as {CLIP}")


def _method(policy: Policy, plan: ErasurePlan) -> Iterator[Problem]:
    """A method that does not run on the base model's family."""
    info = family_info(plan.base.family)
    if plan.method not in info.methods:
        given = "method" in policy.spec.model_fields_set and "name" in policy.spec.method.model_fields_set
        yield ("spec", "method", "name") if given else ("spec",), (
            f"the method {plan.method} does not run on {plan.base.ref}, which is of the family {plan.base.family}, "
            f"expected method: {{name: {info.methods[0]}}}: {info.why}")


def _judge(policy: Policy, plan: ErasurePlan) -> Iterator[Problem]:
    """Words that the judge does not know: their trials would have no score, and their rules no way to pass."""
    if plan.base.image_size > SMALL_SIDE or DETECTORS["judge"] != JUDGE:
        return
    classes, styles = judge_classes()
    subjects, known_styles = subject_classes(classes, vocabulary()), style_classes(styles, vocabulary())
    kept, others = policy.spec.method.preserve.concepts or [], policy.spec.audit.subjects or []
    for i, category in enumerate(policy.spec.categories):
        if all(spec.name != "judge" for spec in category.detectors):
            continue
        at: Location = ("spec", "categories", i)
        asked: list[tuple[Location, str, Suite | None]] = [
            *(((*at, "concepts", j, "target"), each.target, None) for j, each in enumerate(category.concepts)),
            *(((*at, "neighbours", j), phrase, Suite.NEAR) for j, phrase in enumerate(category.neighbours)),
            *((("spec", "method", "preserve", "concepts", j), each, Suite.PRESERVED) for j, each in enumerate(kept)),
            *((("spec", "audit", "subjects", j), each, Suite.UNRELATED) for j, each in enumerate(others)),
        ]
        for where, phrase, suite in asked:
            styled = category.kind is Kind.STYLE and suite is not Suite.UNRELATED
            if (styled and plain_style(phrase) in known_styles) or phrase_key(phrase) in subjects:
                continue
            rules = [rule.id for rule in category.rules
                     if (rule.suite.banned if suite is None else rule.suite is suite)]
            told = f"{_some(rules)} cannot pass" if rules else "its pictures have no score"
            yield where, (f"the judge does not know '{phrase}', so {told}: expected one of the phrases that the "
                          f"embedded model draws, or in the judge's place another detector, as {CLIP}")


def _some(names: Collection[str], most: int = 5) -> str:
    shown = list(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
