"""What a user brings to an audit beside the policy: prompts, translations, pictures, plugins, calibrations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inputs:
    """All of it is optional."""

    prompts: tuple[Path, ...] = ()
    """CSV files of prompts, of translations, or of pictures; see ``probes.outside`` and ``imported``."""
    images: Path | None = None
    """Folder of pictures made elsewhere; the prompts' files then say which picture answers which prompt."""
    plugins: tuple[str, ...] = ()
    """NAME=module:attr of further detectors."""
    tiers: frozenset[str] = frozenset()
    """How hard to look beyond the policy: ``static`` asks in every suite, ``deep`` asks derivatives of the governed
    model; the others name attacks by what they know."""
    budget: int | None = None
    """Steps of every attack's search, instead of each attack's own."""
    loras: tuple[Path, ...] = ()
    """Users' LoRAs (.safetensors), each merged into the governed model as a derivative."""
    calibrations: Path | None = None
    """Folder of measured detector errors."""

    @property
    def attacks(self) -> bool:
        """Whether any tier is one of attacks."""
        return bool(self.tiers - {"static", "deep"})
