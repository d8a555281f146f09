"""A model's files, each as its manifest says, for the time that they are used: what was hashed is what is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mace_gov.core.errors import ModelError
from mace_gov.core.private import held_open, private_copy
from mace_gov.diffusion.contents import INDEX_NAME, loaded_files, read_json
from mace_gov.diffusion.save import remarks
from mace_gov.documents.plan import ModelManifest

Unchanged = Callable[[], None]
"""Raises ModelError when a file was written to since it was hashed."""


@contextmanager
def exact_copy(manifest: ModelManifest) -> Iterator[Path]:
    """A private copy of a model's files. Raises ModelError when one is not as the manifest says, or is gone."""
    with ExitStack() as stack:
        with _errors_of(manifest):
            copy, found = stack.enter_context(private_copy(_sources(manifest)))
        _refuse_other(manifest, found)
        yield copy


@contextmanager
def exact_files(manifest: ModelManifest, *, texts: bool = False) -> Iterator[tuple[Path, Unchanged]]:
    """A model's files, held open, in a folder for the block; and a check to make before what was read is believed.

    texts: with the remarks that lie beside them, whatever those say. The check, and the block's begin, raise ModelError
    for a file that is not as the manifest says, is gone, or was written to since.
    """
    with ExitStack() as stack:
        with _errors_of(manifest):
            held = stack.enter_context(held_open(_sources(manifest)))
        _refuse_other(manifest, held.digests)
        if texts:
            for name, path in remarks(Path(manifest.path), read_json(held.folder / INDEX_NAME)).items():
                if name not in manifest.files:
                    (held.folder / name).symlink_to(path.resolve())
            # A text that has come since may be one that is loaded.
            _refuse_other(manifest, dict.fromkeys(loaded_files(held.folder), "") | held.digests)

        def unchanged() -> None:
            with _errors_of(manifest):
                held.refuse_changes()

        try:
            yield held.folder, unchanged
        except ModelError as error:  # people know the model by its own place
            raise ModelError(error.message.replace(str(held.folder), manifest.path), hint=error.hint) from error


def _sources(manifest: ModelManifest) -> dict[str, Path]:
    return {name: Path(manifest.path, name) for name in manifest.files}


@contextmanager
def _errors_of(manifest: ModelManifest) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(f"model {manifest.path}: {error.filename}: {error.strerror}",
                         hint="Run the command again when nobody writes there.") from error


def _refuse_other(manifest: ModelManifest, found: Mapping[str, str]) -> None:
    if changed := sorted(name for name, digest in found.items() if manifest.files.get(name) != digest):
        raise ModelError(f"model {manifest.path} changed since it was planned: {', '.join(changed[:5])}",
                         hint="Plan again from the model as it is now, or restore its files.")
