"""A share of an audit's pictures, drawn on one of several machines."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mace_gov.documents.audit import Side
from mace_gov.documents.document import Digest, Document

SHARD_NAME = "shard.json"
"""File that a shard's folder holds once all of its pictures are drawn."""


class ShardFacts(Document):
    """What all shards of one audit have in common, and whoever merges them finds as well."""

    count: int = Field(ge=1)
    """How many shards there are."""
    policy_file_digest: Digest
    """The policy file, byte by byte."""
    base_digest: Digest
    """Base model."""
    governed_digest: Digest
    """Model that is audited."""
    generation_digest: Digest
    """How pictures are drawn."""
    inputs: dict[str, Digest] = {}
    """Files that were brought beside the policy, by name."""
    tiers: list[str] = []
    """How hard the audit looks, beyond the policy."""
    precision: str = "as the device is fastest"
    """What the U-Net multiplied in."""
    code: list[str]
    """Versions of what draws: mace-gov, its way of drawing, torch, diffusers."""


class ShardRequest(Document):
    """What the shard was asked to do, so that a merge need not be told again."""

    model: str
    """Model that is audited."""
    policy: str
    """Path of the policy file."""
    base: str | None = None
    """Base model instead of the policy's."""
    prompts: list[str] = []
    """Paths of more prompts."""
    plugins: list[str] = []
    """Detectors of one's own."""
    unmeasured: bool = False
    """Whether a model of a kind is taken on which no erasure was measured."""


class Shard(Document):
    """The account of one shard; written last, so that a shard that was killed has none."""

    schema_version: Literal["mace-gov/shard/v1"] = "mace-gov/shard/v1"
    """Schema."""
    index: int = Field(ge=1)
    """Which of them, from 1."""
    facts: ShardFacts
    """What it has in common with the others."""
    request: ShardRequest
    """What it was asked."""
    drawn: dict[Side, int]
    """Pictures of each model."""
    files: dict[str, Digest]
    """Its pictures by relative path."""
