"""LoRAs kept by the digest of everything they depend on, so that an unchanged concept is not trained again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mace_gov.core.atomic import new_folder, write_bytes
from mace_gov.core.canonical import canonical_json, digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.documents.erasure import LoraRecord
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.erase.lora import FILE_NAME, Training
from mace_gov.erase.pictures import pictures_key

LORA_VERSION = 2
"""Raised whenever the same plan would train other weights."""


@dataclass(frozen=True)
class TrainedLora:
    """One concept's LoRA, trained now or before."""

    concept: str
    """Concept id."""
    key: str
    """See ``lora_key``."""
    weights: bytes
    """The safetensors file."""
    first_loss: float
    """Mean of the first tenth of the steps."""
    last_loss: float
    """Mean of the last tenth of the steps."""
    coverage: float | None
    """Mean share of the picture inside the mask."""
    reused: bool
    """Whether it came from the cache."""

    @property
    def record(self) -> LoraRecord:
        """As it stands in the erasure's record."""
        return LoraRecord(
            concept=self.concept, key=self.key, file=f"loras/{self.concept}/{FILE_NAME}",
            digest=sha256_bytes(self.weights), first_loss=self.first_loss, last_loss=self.last_loss,
            mask_coverage=self.coverage, reused=self.reused,
        )


def lora_key(plan: ErasurePlan, target: Target) -> str:
    """Digest of all that a LoRA depends on; every target is among it, since each changes the refined model."""
    return digest_of({
        "what": f"lora/v{LORA_VERSION}",
        "pictures": pictures_key(plan, target),  # base, seed, phrase, templates, sampler
        "refine": plan.refine.to_json(),
        "preserve": plan.preserve.to_json(),
        "templates": plan.templates,
        "targets": sorted([t.id, t.target, t.anchor] for t in plan.targets),
        "lora": target.lora.to_json(),
    })


def finished(key: str, target: Target, training: Training) -> TrainedLora:
    """A LoRA that was just trained."""
    tenth = max(1, len(training.losses) // 10)
    return TrainedLora(
        target.id, key, training.weights,
        first_loss=sum(training.losses[:tenth]) / tenth, last_loss=sum(training.losses[-tenth:]) / tenth,
        coverage=training.coverage, reused=False,
    )


def keep(lora: TrainedLora, cache: Path | None) -> None:
    """Put a LoRA into the cache; another process that was faster is left its place."""
    folder = _folder(lora.key, cache)
    if folder is None or folder.exists():
        return
    about = {"digest": sha256_bytes(lora.weights), "firstLoss": lora.first_loss, "lastLoss": lora.last_loss,
             "coverage": lora.coverage}
    try:
        with new_folder(folder) as scratch:
            write_bytes(scratch / FILE_NAME, lora.weights)
            write_bytes(scratch / "training.json", canonical_json(about))
    except OSError:
        if not folder.exists():
            raise


def recall(key: str, target: Target, cache: Path | None) -> TrainedLora | None:
    """A LoRA from the cache, or None when there is none or its bytes are not the ones that were kept."""
    folder = _folder(key, cache)
    if folder is None or not folder.is_dir():
        return None
    try:
        weights = (folder / FILE_NAME).read_bytes()
        about = json.loads((folder / "training.json").read_text("utf-8"))
        if sha256_bytes(weights) != about["digest"]:
            return None
        return TrainedLora(
            target.id, key, weights, first_loss=about["firstLoss"], last_loss=about["lastLoss"],
            coverage=about["coverage"], reused=True,
        )
    except (OSError, ValueError, KeyError):
        return None


def _folder(key: str, cache: Path | None) -> Path | None:
    return cache / "loras" / key if cache is not None else None
