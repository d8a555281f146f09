"""What every detector offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mace_gov.audit.probes.probe import Facet
from mace_gov.documents.detector import DetectorCard

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Query:
    """What to look for in one picture."""

    phrases: tuple[str, ...]
    """Any of them counts."""
    facet: Facet
    """Whether they name a subject or a style."""
    banned: bool
    """Whether it is a ban that is checked, or something that must survive."""
    side: int
    """Longer side of the picture, in pixels."""
    synonyms: tuple[str, ...] = ()
    """Other words for a banned concept, for detectors that read words: a picture of them shows it too."""
    rivals: tuple[str, ...] = ()
    """What else of its kind the picture may show, for detectors that choose among words; empty: not known."""


class Detector(Protocol):
    """Scores pictures. Made with ``threshold`` and ``classes`` from the policy, None meaning the detector's default.

    A detector that cannot judge a picture raises DetectorError: the trial is then unscored, never "not present".
    """

    name: str
    """Name in the registry."""
    threshold: float
    """Score from which the concept counts as present."""

    def looks_for(self, query: Query) -> bool:
        """Whether this kind of question is one for this detector at all; False keeps it out of the trial."""
        ...

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """One score in 0..1 for each picture and its query, 1 = present."""
        ...

    def card(self) -> DetectorCard:
        """Version, weights and measured quality."""
        ...
