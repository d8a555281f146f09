"""Late imports: plugins by ``module:attr``, and a clear word when an optional extra is missing."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from mace_gov.core.errors import MissingExtraError


def lookup(target: str) -> Any:
    """The object that ``module:attr`` names; imports that one module and nothing else."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of mace-gov brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"the package '{module}' cannot be imported ({error}); it comes with mace-gov[{extra}]",
            hint=f"pip install 'mace-gov[{extra}]'",
        ) from error
