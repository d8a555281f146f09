"""Model governance for text-to-image models: erase banned concepts, prove it, sign it, gate the release.

The map, which is also the order of work; each arrow is a document in ``mace_gov.documents``::

    policy -> plan -> erase -> audit -> record -> attest -> gate -> report

``workflow`` joins the stages, and nothing else does; ``cli`` is the terminal; ``diffusion`` is
the only door to diffusers; ``core`` knows no word of the domain. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.core.lazy import lookup
from mace_gov.core.version import __version__

if TYPE_CHECKING:
    import torch

    from mace_gov.diffusion.pipeline import Pipeline

__all__ = ["__version__", "load"]


def load(
    version: str | Path, *, key: str | Path | None = None, registry: str | Path = "registry",
    device: str | None = None, dtype: torch.dtype | None = None,
) -> Pipeline:
    """Verify a governed version, then load it: a ready diffusers pipeline, or an error and nothing loaded.

    version   ``NAME/N`` in the registry, ``models:/NAME@compliant``, a version's folder, or a copy of its model folder
    key       the pinned public key (PEM) or trust file; without it the registry's own, which proves less
    device    cuda, mps or cpu; the best there is by default
    dtype     float32 by default

    Raises ``core.errors.IntegrityError`` when a signature, a digest or a file does not hold, ``NotReleasedError`` when
    the signed verdict does not let it through, ``RecalledError`` when it was called back.
    """
    guarded: Callable[..., Pipeline] = lookup("mace_gov.workflow.loading:load")
    return guarded(version, key=Path(key) if key else None, registry=Path(registry), device=device, dtype=dtype)
