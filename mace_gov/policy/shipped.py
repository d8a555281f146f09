"""The policies that ship: in a wheel beside the code, in a checkout in the folder ``policies/`` beside the package."""

from __future__ import annotations

from pathlib import Path

from mace_gov.core.atomic import write_new
from mace_gov.core.errors import UsageError

_PACKAGE = Path(__file__).parents[1]


def shipped_policies() -> dict[str, Path]:
    """By name, as ``nsfw`` or ``stable-diffusion/explicit``: the file of each policy that ships."""
    folder = next((place for place in (_PACKAGE / "policies", _PACKAGE.parent / "policies") if place.is_dir()), None)
    if folder is None:
        return {}
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def copy_policy(name: str, out: Path | None = None) -> Path:
    """Copy a shipped policy to ``out``, by default ``policies/NAME.yaml`` here; the file that was written.

    Raises UsageError for a name that no shipped policy has, and for a file that exists or cannot be written.
    """
    found = shipped_policies()
    if name not in found:
        raise UsageError(f"no policy named '{name}' ships, expected one of {', '.join(found) or 'none'}",
                         hint="`mace-gov policy init` lists them.")
    place = out or Path("policies", f"{name}.yaml")
    if place.exists():
        raise UsageError(f"{place} exists already, and is not written over", hint="Name another file with --out.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_new(place, found[name].read_bytes())
    except OSError as error:
        raise UsageError(f"{place} cannot be written: {error.strerror}") from error
    return place
