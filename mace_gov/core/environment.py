"""Facts about the machine and the code that did the work."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

PACKAGES = (
    "mace-gov", "torch", "diffusers", "transformers", "peft", "safetensors", "numpy", "scipy",
    "mlflow", "nudenet", "onnxruntime", "pydantic", "cryptography",
)


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
