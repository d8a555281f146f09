"""What an apply will ask and cost, as far as that is known before it."""

from __future__ import annotations

from mace_gov.documents.document import Document


class AuditCosts(Document):
    """The audit that would follow a plan. Every number is of both models together unless it says otherwise."""

    suites: dict[str, int]
    """Pictures of each model, by suite; one that several suites ask for is counted in each."""
    pictures: int
    """Pictures that both models draw in all; those of the broken-model check are among them."""
    cached: int | None = None
    """How many of the base model's are in the cache; absent where that is not known without the packages that draw."""
    picture_bytes: int
    """Size of one picture's PNG file."""
    measured_bytes: bool
    """Whether that is the mean of pictures of this registry, or three fifths of a byte for each of 3 x side x side."""
    disk_bytes: int
    """Room that the run needs: its pictures in cache and evidence, and the governed model beside its base."""
    seconds_each: float | None = None
    """To draw and judge one picture: the slowest of the last audits of this base here; absent without one."""
    seconds: float | None = None
    """The same for all that is not in the cache; the erasure comes on top."""


class Timing(Document):
    """What a unit of work takes on one device, measured with one model, in seconds."""

    device: str
    """The device."""
    load: float
    """To load the model."""
    prompt: float
    """To encode one prompt and count its states in."""
    step: float
    """One step of the sampler, for one picture, guidance and all."""
    decode: float
    """To decode one picture."""
    train: float | None = None
    """One training step of one LoRA; absent where the method trains none."""
    read: float
    """To read and hash one byte."""
    memory_bytes: int
    """The most that all of this held: of the device's memory, or, on the CPU, of the process's."""
    pictures: int
    """Pictures in a pass at that."""
    loras: int | None = None
    """LoRAs in a pass at that."""


class ApplyCosts(Document):
    """What an apply will take on one device: work that was counted, times a quick measurement of its units."""

    timing: Timing
    """The units."""
    seconds: dict[str, float]
    """By stage: load, text, pictures, lora, draw, files; detectors and reports come on top."""
