"""How a policy builds on another one: a parent pinned by digest, which the child may tighten."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from mace_gov.documents.document import Digest, Slug, Written
from mace_gov.documents.waiver import Waiver

RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f]+$")]
"""A file, relative to the file that names it."""


class Extends(Written):
    """The parent policy. What the child leaves out is the parent's; what it repeats, it may tighten."""

    file: RelativePath
    """The parent's file."""
    sha256: Digest
    """Digest of the parent's file, byte by byte, as `sha256sum` prints it."""
    waivers: RelativePath | None = None
    """Waivers file for what the child loosens; without it the child loosens nothing."""


class Ancestor(Written):
    """A policy that went into a joined one."""

    name: Slug
    """Its name."""
    version: str
    """Its version."""
    sha256: Digest
    """Digest of its file."""
    waivers: list[Waiver] = []
    """What the child loosened of it, and who allowed that until when."""
