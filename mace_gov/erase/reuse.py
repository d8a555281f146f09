"""LoRAs kept by the digests of everything they depend on, so that an unchanged concept is not trained again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mace_gov.core.canonical import canonical_json
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import IncompleteError
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.store import Store
from mace_gov.documents.erasure import LoraRecord
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.documents.reuse import lora_inputs, lora_key, refinement_key, refinement_targets
from mace_gov.erase.lora import Training
from mace_gov.erase.lora_file import FILE_NAME


@dataclass(frozen=True)
class TrainedLora:
    """One concept's LoRA, trained now or before."""

    concept: str
    """Concept id."""
    key: str
    """See ``documents.reuse.lora_key``."""
    refinement: str
    """See ``documents.reuse.refinement_key``: what it was trained on, not what it is used with."""
    digest: str
    """Of its safetensors file."""
    read: Callable[[], bytes]
    """The file. Where there is a cache it is read from there: those of ten thousand concepts need not be in memory."""
    first_loss: float
    """Of the control draws before training."""
    last_loss: float
    """Of the same draws after it."""
    coverage: float | None
    """Mean share of the picture inside the mask."""
    steps: int
    """Optimiser steps that it took."""
    reused: bool
    """Whether it came from the cache."""
    kept: float | None = None
    """See ``erase.fuse.kept_shares``; of a fusion, so it is in no cache."""

    @property
    def record(self) -> LoraRecord:
        """As it stands in the erasure's record."""
        return LoraRecord(
            concept=self.concept, key=self.key, refinement=self.refinement, file=f"loras/{self.concept}/{FILE_NAME}",
            digest=self.digest, first_loss=self.first_loss, last_loss=self.last_loss,
            mask_coverage=self.coverage, steps=self.steps, kept=self.kept, reused=self.reused,
        )


def finished(plan: ErasurePlan, target: Target, training: Training, cache: Path | None) -> TrainedLora:
    """A LoRA that was just trained; where there is a cache, it is put there."""
    lora = TrainedLora(
        target.id, lora_key(plan, target), refinement_key(plan), sha256_bytes(training.weights),
        lambda: training.weights, first_loss=training.first_loss, last_loss=training.last_loss,
        coverage=training.coverage, steps=len(training.losses), reused=False,
    )
    if cache is None:
        return lora
    about = {"concept": lora.concept, "digest": lora.digest, "firstLoss": lora.first_loss,
             "lastLoss": lora.last_loss, "coverage": lora.coverage, "steps": lora.steps,
             "inputs": lora_inputs(plan, target), "refinedFor": refinement_targets(plan)}
    # the description last: without it nothing counts as kept
    store, name = Store(cache), f"loras/{lora.key}/{lora.refinement}"
    store.put(f"{name}/{FILE_NAME}", training.weights)
    store.put(f"{name}/training.json", canonical_json(about))
    return replace(lora, read=partial(_weights, store, lora.key, lora.refinement, lora.digest))


def load_lora(
    plan: ErasurePlan, target: Target, cache: Path | None, progress: Progress | None = None
) -> TrainedLora | None:
    """A LoRA from the cache: one trained on the very same refinement, else, unless the plan is exact, the latest.

    None when there is none, or when what lies there is not what was kept, which ``progress`` is told.
    """
    if cache is None:
        return None
    key, same = lora_key(plan, target), refinement_key(plan)
    home, store = cache / "loras" / key, Store(cache)
    found = _read(store, key, same, target)
    others = [] if found or plan.exact or not home.is_dir() else [
        p for p in home.iterdir() if p.name != same and not p.name.startswith(".")
    ]
    for folder in sorted(others, key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True):
        found = found or _read(store, key, folder.name, target)
    store.tell(progress or Silent())
    return found


def _read(store: Store, key: str, refinement: str, target: Target) -> TrainedLora | None:
    name = f"loras/{key}/{refinement}"
    description, weights = store.get(f"{name}/training.json"), store.get(f"{name}/{FILE_NAME}")
    if description is None or weights is None:
        return None
    about = json.loads(description)
    if sha256_bytes(weights) != about["digest"]:  # two processes that trained it at once
        return None
    return TrainedLora(
        target.id, key, refinement, about["digest"], partial(_weights, store, key, refinement, about["digest"]),
        first_loss=about["firstLoss"], last_loss=about["lastLoss"], coverage=about["coverage"], steps=about["steps"],
        reused=True,
    )


def _weights(store: Store, key: str, refinement: str, digest: str) -> bytes:
    """A LoRA's file, again. Raises IncompleteError when it is not there any more."""
    name = f"loras/{key}/{refinement}/{FILE_NAME}"
    if (data := store.get(name)) is None or sha256_bytes(data) != digest:
        raise IncompleteError(f"{store.folder / name} is gone or changed, expected the LoRA that was just kept there",
                              hint="Run the command again.")
    return data
