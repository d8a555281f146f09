"""What an audit will ask and cost, as far as that is known before it."""

from __future__ import annotations

from mace_gov.documents.base import Document


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
