"""One derivative of the governed model: what is done to it, and what it draws then, here or by the run's workers."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace_gov.audit.decoding import decode, read_bytes, read_picture
from mace_gov.audit.pictures import Wanted, png_bytes
from mace_gov.core.workers import Job, Late, Model, Place, Unit, Work, Workers
from mace_gov.diffusion.variants import Variant, eight_bits, guided, half, merged, sampler, smaller, trained_on
from mace_gov.documents.plan import GenerationSettings, ModelManifest

if TYPE_CHECKING:
    from PIL.Image import Image

PLAIN: Mapping[str, Variant] = {
    "weights in float16": half,
    "weights in 8 bits": eight_bits,
    "sampler Euler": sampler("EulerDiscreteScheduler"),
    "sampler DPM-Solver++": sampler("DPMSolverMultistepScheduler"),
    "half the guidance": guided(0.5),
    "twice the guidance": guided(2.0),
    "smaller pictures": smaller,
}
"""Derivatives that need nothing but the model."""
RATE = 1e-5
"""Of more training: that of common fine-tuning recipes for Stable Diffusion."""

Questions = Mapping[str, Sequence[Wanted]]
"""Prompts with their seeds, by category."""


@dataclass(frozen=True)
class Change:
    """What happens to a model after its release: one of ``PLAIN`` by its name, a LoRA, or more training."""

    name: str
    """As the report has it."""
    lora: Path | None = None
    """A user's LoRA, to be merged."""
    pictures: Sequence[Path] = ()
    """Files of what it is trained on."""
    prompts: Sequence[str] = ()
    """Of each of those."""
    steps: int = 0
    """Of that training."""

    def variant(self) -> Variant:
        """What does it."""
        if self.lora is not None:
            return merged(self.lora)
        if self.pictures:
            return trained_on([read_picture(file) for file in self.pictures], self.prompts, steps=self.steps, rate=RATE)
        return PLAIN[self.name]


def drawn(
    governed: ModelManifest, change: Change, questions: Questions, settings: GenerationSettings, device: str | None
) -> dict[str, list[Image]]:
    """What the changed model draws, by category. It is loaded for this change alone, which may touch every weight."""
    from mace_gov.diffusion.exact import exact_files
    from mace_gov.diffusion.generate import draw
    from mace_gov.diffusion.load import load_pipeline

    with exact_files(governed) as (folder, unchanged):
        pipe = load_pipeline(folder, device=device)
        changed = change.variant()(pipe, settings)
        found = {
            category: list(draw(pipe, [prompt for prompt, _ in wanted], [seed for _, seed in wanted], changed))
            for category, wanted in questions.items()
        }
        unchanged()
        del pipe
        gc.collect()
    return found


def drawn_by(
    workers: Workers, governed: ModelManifest, changes: Sequence[Change], questions: Questions,
    settings: GenerationSettings, device: str | None,
) -> Iterator[dict[str, list[Image]]]:
    """What ``drawn`` draws for each change, in order."""
    job = Job(f"{__name__}:open_deriving", {
        "model": governed.to_json(), "settings": settings.to_json(), "device": device,
        "questions": {category: list(map(list, wanted)) for category, wanted in questions.items()},
    }, models=[Model(governed.path, governed.files)])
    units = [Unit({"name": change.name, "lora": change.lora and change.lora.name, "prompts": list(change.prompts),
                   "steps": change.steps}, Late(_files(change))) for change in changes]
    for made in workers.run(job, units):
        yield {category: [decode(made[f"{category} {n}"]) for n in range(len(wanted))]
               for category, wanted in questions.items()}


def _files(change: Change) -> dict[str, partial[bytes]]:
    """What a change reads from this machine, by the names that ``open_deriving`` gives the files."""
    lora = {} if change.lora is None else {change.lora.name: partial(Path.read_bytes, change.lora)}
    return lora | {f"{n}.png": partial(read_bytes, file) for n, file in enumerate(change.pictures)}


@contextmanager
def open_deriving(setup: Any, _blobs: Mapping[str, bytes], place: Place) -> Iterator[Work]:
    """What a worker opens to draw derivatives' pictures: see ``core.workers.Opener``. A unit is a change."""
    governed = ModelManifest.from_json(setup["model"])
    governed = governed.model_copy(update={"path": str(place(governed.files))})
    settings = GenerationSettings.from_json(setup["settings"])
    questions = {category: [(prompt, seed) for prompt, seed in wanted]
                 for category, wanted in setup["questions"].items()}

    def work(about: Any, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory(prefix="mace-gov-") as name:
            for file, data in blobs.items():
                Path(name, file).write_bytes(data)
            change = Change(about["name"], lora=Path(name, about["lora"]) if about["lora"] else None,
                            pictures=[Path(name, f"{n}.png") for n in range(len(about["prompts"]))],
                            prompts=about["prompts"], steps=about["steps"])
            made = drawn(governed, change, questions, settings, setup["device"])
        return {f"{category} {n}": png_bytes(picture)
                for category, pictures in made.items() for n, picture in enumerate(pictures)}

    yield work
