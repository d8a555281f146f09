"""LoRAs kept by the digests of everything they depend on, so that an unchanged concept is not trained again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mace_gov.core.atomic import new_folder, write_bytes
from mace_gov.core.canonical import canonical_json
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.files import read_json
from mace_gov.documents.erasure import LoraRecord
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.documents.reuse import lora_inputs, lora_key, refinement_key, refinement_targets
from mace_gov.erase.lora import FILE_NAME, Training


@dataclass(frozen=True)
class TrainedLora:
    """One concept's LoRA, trained now or before."""

    concept: str
    """Concept id."""
    key: str
    """See ``documents.reuse.lora_key``."""
    refinement: str
    """See ``documents.reuse.refinement_key``: what it was trained on, not what it is used with."""
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
            concept=self.concept, key=self.key, refinement=self.refinement, file=f"loras/{self.concept}/{FILE_NAME}",
            digest=sha256_bytes(self.weights), first_loss=self.first_loss, last_loss=self.last_loss,
            mask_coverage=self.coverage, reused=self.reused,
        )


def finished(plan: ErasurePlan, target: Target, training: Training) -> TrainedLora:
    """A LoRA that was just trained."""
    tenth = max(1, len(training.losses) // 10)
    return TrainedLora(
        target.id, lora_key(plan, target), refinement_key(plan), training.weights,
        first_loss=sum(training.losses[:tenth]) / tenth, last_loss=sum(training.losses[-tenth:]) / tenth,
        coverage=training.coverage, reused=False,
    )


def keep(lora: TrainedLora, plan: ErasurePlan, target: Target, cache: Path | None) -> None:
    """Put a LoRA into the cache; another process that was faster is left its place."""
    if cache is None:
        return
    folder = cache / "loras" / lora.key / lora.refinement
    if folder.exists():
        return
    about = {"concept": lora.concept, "digest": sha256_bytes(lora.weights), "firstLoss": lora.first_loss,
             "lastLoss": lora.last_loss, "coverage": lora.coverage, "inputs": lora_inputs(plan, target),
             "refinedFor": refinement_targets(plan)}
    try:
        with new_folder(folder) as scratch:
            write_bytes(scratch / FILE_NAME, lora.weights)
            write_bytes(scratch / "training.json", canonical_json(about))
    except OSError:
        if not folder.exists():
            raise


def recall(plan: ErasurePlan, target: Target, cache: Path | None) -> TrainedLora | None:
    """A LoRA from the cache: one trained on the very same refinement, else, unless the plan is exact, the latest.

    None when there is none, or when its bytes are not the ones that were kept.
    """
    if cache is None:
        return None
    home, same = cache / "loras" / lora_key(plan, target), refinement_key(plan)
    if found := _read(home / same, target):
        return found
    others = [] if plan.exact or not home.is_dir() else [p for p in home.iterdir() if not p.name.startswith(".")]
    for folder in sorted(others, key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True):
        if found := _read(folder, target):
            return found
    return None


def _read(folder: Path, target: Target) -> TrainedLora | None:
    try:
        weights = (folder / FILE_NAME).read_bytes()
        about = read_json(folder / "training.json")
        if sha256_bytes(weights) != about["digest"]:
            return None
        return TrainedLora(
            target.id, folder.parent.name, folder.name, weights, first_loss=about["firstLoss"],
            last_loss=about["lastLoss"], coverage=about["coverage"], reused=True,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
