"""Detectors from outside: packages by entry point, modules and files by ``--plugin``, plain callables among them."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import UsageError
from mace_gov.core.lazy import lookup
from mace_gov.documents.detector import DetectorCard

if TYPE_CHECKING:
    from PIL.Image import Image

    from mace_gov.audit.detectors.detector_protocol import Query

GROUP = "mace_gov.detectors"
"""Entry points of this group are detectors by name."""

Look = Callable[[Sequence["Image"], Sequence["Query"]], Sequence[float]]
"""What a plain callable must be: pictures and their queries in, one score in 0..1 for each out."""


class CallableDetector:
    """A plain callable as a detector: it looks for everything, at a threshold of 0.5 unless the policy says."""

    def __init__(
        self, name: str, look: Look, *, threshold: float | None = None, classes: list[str] | None = None
    ) -> None:
        self.name, self.look, self.classes = name, look, classes
        self.threshold = 0.5 if threshold is None else threshold

    def looks_for(self, query: Query) -> bool:
        """True: the callable is asked about every picture."""
        return True

    def score(self, images: Sequence[Image], queries: Sequence[Query]) -> list[float]:
        """The callable's scores, one for each picture."""
        return list(self.look(images, queries))

    def card(self) -> DetectorCard:
        """The source file that it comes from, by digest."""
        source = inspect.getsourcefile(inspect.unwrap(self.look)) if inspect.isroutine(self.look) else None
        digest = sha256_file(Path(source)) if source and Path(source).is_file() else None
        return DetectorCard(name=self.name, version="plugin", weights_digest=digest, threshold=self.threshold,
                            classes=self.classes)


def installed() -> list[tuple[str, str]]:
    """Name and ``module:attr`` of the detectors that installed packages offer; two packages may offer one name."""
    return [(point.name, point.value) for point in entry_points(group=GROUP)]


def parse(plugins: Iterable[str]) -> dict[str, str]:
    """``NAME=module:attr`` or ``NAME=file.py:attr``, as given on a command line, by name. Raises UsageError."""
    found: dict[str, str] = {}
    for text in plugins:
        match = re.fullmatch(r"([a-z0-9][a-z0-9._-]{0,63})=(.+):([A-Za-z_]\w*)", text)
        if match is None:
            raise UsageError(f"--plugin: found '{text}', expected NAME=module:attr or NAME=file.py:attr")
        target = f"{match[2]}:{match[3]}"
        if found.setdefault(match[1], target) != target:
            raise UsageError(f"--plugin: found '{match[1]}' for {found[match[1]]} and for {target}, expected one each")
    return found


def sources(plugins: Iterable[str]) -> list[Path]:
    """The file that each ``--plugin`` argument's code comes from, where it is one. Raises UsageError as ``parse``."""
    found: dict[Path, None] = {}
    for target in parse(plugins).values():
        place = target.rpartition(":")[0]
        if not place.endswith(".py"):
            try:
                spec = importlib.util.find_spec(place)
            except (ImportError, ValueError):  # load says what is wrong with it
                spec = None
            place = spec.origin if spec and spec.has_location and spec.origin else ""
        if place and Path(place).is_file():
            found[Path(place)] = None
    return list(found)


def load(target: str) -> Any:
    """What a target names. Raises UsageError when there is no such file, module or attribute."""
    place, _, attribute = target.rpartition(":")
    try:
        if not place.endswith(".py"):
            return lookup(target)
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        return getattr(module, attribute)
    except (ImportError, AttributeError, OSError) as error:
        raise UsageError(f"plugin {target} does not load: {type(error).__name__}: {error}") from error
