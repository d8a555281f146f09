"""What a user brings to an audit beside the policy, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.core.progress import Progress, Silent

if TYPE_CHECKING:
    from mace_gov.audit.detectors.detector_protocol import Detector
    from mace_gov.audit.pictures import Drawer
    from mace_gov.audit.probes.lexicon import Lexicon
    from mace_gov.audit.probes.probe import Probe
    from mace_gov.documents.policy import DetectorSpec


@dataclass(frozen=True)
class Inputs:
    """Prompts, pictures, tiers, LoRAs and plugins that a user gives beside the policy; each is optional."""

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
    searches: int = 3
    """Searches of every attack for each concept, from seeds of their own: how often one succeeds is what is counted."""
    loras: tuple[Path, ...] = ()
    """Users' LoRAs (.safetensors), each merged into the governed model as a derivative."""
    calibrations: Path | None = None
    """Folder of measured detector errors."""

    @property
    def attacks(self) -> bool:
        """Whether any tier is one of attacks."""
        return bool(self.tiers - {"static", "deep"})


@dataclass(frozen=True)
class AuditRun:
    """How an audit runs. The last three are seams: what is passed there takes the place of what ships.

        audit(policy, base, governed, plan.generation, folder, AuditRun(cache=cache, inputs=Inputs(prompts=files)))
    """

    cache: Path | None = None
    """Folder where pictures and searches are kept between runs; without it all are drawn anew."""
    device: str | None = None
    """cuda, mps or cpu; the best there is by default."""
    progress: Progress = field(default_factory=Silent)
    """Is told how far the work is."""
    inputs: Inputs = field(default_factory=Inputs)
    """What the user brings beside the policy."""
    trained_on: Collection[str] = ()
    """The erasure's templates, which probes avoid."""
    own: Sequence[Probe] = ()
    """The policy's own questions, where planning made them for this base and these templates; else they are made."""
    drawer: Drawer | None = None
    """How pictures are drawn."""
    detector: Callable[[DetectorSpec], Detector] | None = None
    """How detectors are made."""
    lexicon: Lexicon | None = None
    """What the model is known to draw."""
