"""Facts about the machine and the code that did the work."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from mace_gov.core.digest import folder_digest, sha256_file

PACKAGES = (
    "mace-gov", "torch", "diffusers", "transformers", "peft", "safetensors", "numpy", "scipy",
    "mlflow", "nudenet", "onnxruntime", "pydantic", "cryptography",
)


@cache
def version_of(package: str) -> str | None:
    """Installed version of a distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment_facts() -> dict[str, str]:
    """Python, platform, core count and package versions, as flat strings."""
    facts = {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "cpus": str(os.cpu_count()),
    }
    facts.update({name: version for name in PACKAGES if (version := version_of(name))})
    return facts


@cache
def source_digest() -> str:
    """One digest for this package's own Python files, as ``core.digest.folder_digest`` has it."""
    package = Path(__file__).parents[1]
    return folder_digest({p.relative_to(package).as_posix(): sha256_file(p) for p in package.rglob("*.py")})
