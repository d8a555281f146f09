"""The registry's layout: its folders, the names of its files, and how a version in it is referred to.

    versions/NAME/N/     a governed version: model/ delta/ loras/ evidence/ report/, the policy and the envelopes
    audits/NAME/N/       an audit of a model made elsewhere
    releases/NAME/       the signed chain of releases
    decisions/MODEL/     reviewers' sign-offs, by the digests of model and verdict
    keys/  pinned.json   the pipeline's keys, and what is pinned
    mlflow.db  mlruns/       lineage
    cache/  calibrations/    what saves time, and detectors' measured errors
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mace_gov.core.errors import UsageError

Shelf = Literal["versions", "audits"]
"""Governed models made here, or audits of models made elsewhere."""
SHELVES: tuple[Shelf, ...] = get_args(Shelf)

EVIDENCE_NAME = "evidence.dsse.json"
VERDICT_NAME = "verdict.dsse.json"
REPORT_NAME = "report.dsse.json"
PROVENANCE_NAME = "provenance.dsse.json"
TEST_RESULT_NAME = "test-result.dsse.json"
MODEL_SIGNATURE_NAME = "model.sig"
BILL_NAME = "mlbom.cdx.json"
DATABASE = "mlflow.db"
POLICY_NAME = "policy.yaml"
MODEL_PREFIX = "model/"
SIGN_OFFS = "sign-offs"
DELTA_NAME = "delta/erasure.safetensors"

SIGNED_PLACES = (*SHELVES, "keys", "releases", "decisions", "reviews", "pinned.json", DATABASE)
"""What of a registry only its own commands write."""

NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
"""Pattern of a model's name."""
NUMBER = r"[1-9][0-9]{0,8}"
"""Pattern of a version's number."""
_REFERENCE = re.compile(rf"(?:registry:)?({NAME})/v?({NUMBER})")
_MEANT = re.compile(r"registry:.*|[^/]+/\s*(?:v?[0-9]+|latest|compliant)\s*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Layout:
    """Where everything of a registry lies.

        Layout(Path("registry")).version("nsfw", 1)    # registry/versions/nsfw/1
    """

    root: Path
    """The registry's folder, as the user gave it."""

    @property
    def versions(self) -> Path:
        """Governed versions."""
        return self.shelf("versions")

    @property
    def keys(self) -> Path:
        """The registry's own keys and its trust file."""
        return self.root / "keys"

    @property
    def pinned(self) -> Path:
        """The keys that the trust file held when it was last read."""
        return self.root / "pinned.json"

    @property
    def cache(self) -> Path:
        """Pictures, LoRAs and text states that later runs reuse; it may be deleted."""
        return self.root / "cache"

    @property
    def models(self) -> Path:
        """Single-file models, unpacked."""
        return self.cache / "models"

    @property
    def pictures(self) -> Path:
        """Pictures that audits drew."""
        return self.cache / "pictures"

    @property
    def calibrations(self) -> Path:
        """Detectors' errors as measured here."""
        return self.root / "calibrations"

    @property
    def database(self) -> Path:
        """MLflow's database."""
        return self.root / DATABASE

    @property
    def database_lock(self) -> Path:
        """Held while the database is made or upgraded."""
        return self.root / f".{DATABASE}.lock"

    @property
    def artifacts(self) -> Path:
        """MLflow's files."""
        return self.root / "mlruns"

    def shelf(self, shelf: Shelf) -> Path:
        """The folder of all versions, or of all audits."""
        return self.root / shelf

    def version(self, name: str, number: int, shelf: Shelf = "versions") -> Path:
        """Where version ``number`` of ``name`` lies, or will lie."""
        return self.shelf(shelf) / name / str(number)

    def envelopes(self) -> Iterator[Path]:
        """Evidence of all versions and audits that are complete."""
        for shelf in SHELVES:
            yield from self.shelf(shelf).glob(f"*/*/{EVIDENCE_NAME}")

    def chain(self, name: str) -> Path:
        """The chain of releases of ``name``."""
        return self.root / "releases" / name

    def released_names(self) -> list[str]:
        """Models that have a chain of releases."""
        return sorted(folder.name for folder in (self.root / "releases").glob("[!.]*"))

    def decisions(self, governed_digest: str) -> Path:
        """Sign-offs on a model, in a folder for each verdict."""
        return self.root / "decisions" / governed_digest


def version_in(reference: str) -> tuple[str, int] | None:
    """Name and number in ``NAME/N`` (``registry:NAME/N``, ``NAME/vN``); None for anything else."""
    match = _REFERENCE.fullmatch(reference)
    return (match[1], int(match[2])) if match else None


def names_version(reference: str) -> bool:
    """Whether ``reference`` is meant for a version; there may be none, or it is misspelt (``Nsfw/1``, ``nsfw/01``).

    None of these is a hub id: whoever mistypes a governed model must not be given a stranger's.
    """
    return _MEANT.fullmatch(reference) is not None


def parse_reference(reference: str) -> tuple[str, int]:
    """``version_in``. Raises UsageError for anything else."""
    if (found := version_in(reference)) is None:
        raise UsageError(f"'{reference}' is no version, expected NAME/N", hint="See `mace-gov registry list`.")
    return found
