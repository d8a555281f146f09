"""Fetch a model from the hub, or say at once why that cannot be done."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from mace_gov.core.errors import ModelError
from mace_gov.core.lazy import require
from mace_gov.diffusion.contents import PICKLES

FILES = ["*.json", "*.txt", "*/*.model", "*/*.safetensors"]
IGNORED = ["*.fp16.safetensors", "*.non_ema.safetensors", "*.msgpack", *(f"*{suffix}" for suffix in PICKLES)]
"""What is fetched: text and component weights, never a pickle."""

PATIENCE = 5.0
"""Seconds within which the hub must answer a first question; the client's own retries take half a minute."""


def fetch(ref: str, revision: str | None, files: list[str] | None = None) -> Path:
    """The folder of the hub model ``ref``: from the hub where it answers, else from what was fetched before.

    Raises ModelError that says what was tried when there is neither.
    """
    hub = require("huggingface_hub", "models")
    constants = require("huggingface_hub.constants", "models")
    silent = _why_silent(hub, constants, ref, revision)
    # Told to stay offline, the client asks nobody by itself.
    options = {"local_files_only": True} if silent and not constants.HF_HUB_OFFLINE else {}
    what = f"model '{ref}'" + (f" at revision {revision}" if revision else "")
    try:
        folder = hub.snapshot_download(ref, revision=revision, allow_patterns=files or FILES, ignore_patterns=IGNORED,
                                       **options)
        return Path(folder)
    except Exception as error:  # the hub client's transports raise their own families: none may cross the border
        if silent is None and not isinstance(error, hub.errors.LocalEntryNotFoundError):
            why = f"the hub says: {(str(error).strip() or 'nothing').splitlines()[0]}"
        else:
            why = f"{silent or 'the hub stopped answering'}, and it is not in the cache {constants.HF_HUB_CACHE}"
        raise ModelError(
            f"{what} is no folder here and cannot be fetched from the model hub: {why}",
            hint="Check the name and the network, or fetch it where there is one (`hf download`) and give its folder.",
        ) from error


def _why_silent(hub: ModuleType, constants: ModuleType, ref: str, revision: str | None) -> str | None:
    """Why the hub cannot be asked, in words; None when it answers, be it with a refusal."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to ask the hub"
    try:
        hub.HfApi().model_info(ref, revision=revision, timeout=PATIENCE)
    except (hub.errors.HfHubHTTPError, ValueError):
        return None
    except Exception:  # as above
        return f"{constants.ENDPOINT} does not answer"
    return None
