"""What an apply would take from the cache, and why the rest must be made: said before anything runs. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from mace_gov.core.store import Store
from mace_gov.documents.drawable import MINORS
from mace_gov.documents.method_info import method_info
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.documents.reuse import (
    Reuse,
    drawable,
    lora_inputs,
    lora_key,
    pictures_key,
    refinement_key,
    refinement_targets,
)

SHOWN = 3
"""Names in a list before "and so many more"."""


def foresee(plan: ErasurePlan, cache: Path) -> list[Reuse]:
    """One entry for each target of a plan that trains LoRAs; empty for methods that train none.

    Reads the cache's small descriptions, not its weights: a file spoilt since is found when it is used.
    """
    if method_info(plan.method).trains != "loras":
        return []
    kept = list(_kept(cache))
    return [_of(plan, target, cache, kept) for target in plan.targets]


def _of(plan: ErasurePlan, target: Target, cache: Path, kept: list[tuple[str, str, dict[str, Any]]]) -> Reuse:
    lora, why = _fate(plan, target, kept)
    pictures = cache / "pictures" / f"{pictures_key(plan, target)}.safetensors"
    return Reuse(concept=target.id, lora=lora, pictures=pictures.is_file(), why=why)


def _fate(
    plan: ErasurePlan, target: Target, kept: list[tuple[str, str, dict[str, Any]]]
) -> tuple[Literal["reused", "trained", "none"], str]:
    if not drawable(plan, target):
        return "none", f"no picture of it may ever be made ({target.erase_only or MINORS})"
    if target.lora.steps == 0:
        return "none", "lora.steps is 0: refinement alone"
    key, refinement = lora_key(plan, target), refinement_key(plan)
    own = [(trained_on, about) for found, trained_on, about in kept if found == key]
    if any(trained_on == refinement for trained_on, _ in own):
        return "reused", "trained before on this very refinement"
    if own:
        change = _targets_changed(own[0][1].get("refinedFor", []), refinement_targets(plan))
        if plan.exact:
            return "trained", f"the refinement changed: {change}"
        return "reused", f"trained before on another refinement: {change}"
    earlier = [about for _, _, about in kept if about.get("concept") == target.id]
    if not earlier:
        return "trained", "never trained here"
    asked = lora_inputs(plan, target)
    nearest = min((sorted(_changed(about.get("inputs", {}), asked)) for about in earlier), key=len)
    return "trained", f"trained before with other {_some(nearest)}"


def _kept(cache: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Key, refinement and description of every LoRA in the cache, the latest first; spoilt ones are not there."""
    store = Store(cache)
    files = [(path.stat().st_mtime_ns, path) for path in (cache / "loras").glob("*/[!.]*/training.json")]
    for _, path in sorted(files, reverse=True):
        if (description := store.get(path.relative_to(cache).as_posix())) is not None:
            yield path.parent.parent.name, path.parent.name, json.loads(description)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Dotted names of the values that differ."""
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _changed(one, other, f"{within}{name}.")
        elif one != other:
            yield f"{within}{name}"


def _targets_changed(before: list[list[str]], after: list[list[str]]) -> str:
    old, new = {tuple(each) for each in before}, {tuple(each) for each in after}
    parts = [f"{word} {_some([target for target, _ in sorted(names)])}"
             for word, names in (("with", new - old), ("without", old - new)) if names]
    return " and ".join(parts) or "other settings"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
