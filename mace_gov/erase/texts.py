"""Text states, and what is made of them, read once and kept on disk.

At full size the text encoder's forward passes are nearly all of a closed form's time (benchmarks/closed_form.py), and
one phrase's states are a few megabytes. So what is needed again is read from a folder: nothing is encoded twice, one
more concept costs its own passes, and no more than one concept's states are in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from mace_gov.core.canonical import digest_of
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.store import Store
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import TextReader, Tokens
from mace_gov.documents.plan import ErasurePlan, ModelManifest

TEXT_FILES = ("text_encoder", "tokenizer")
"""How the names begin of the files that a prompt's states depend on."""


class KeptReader(TextReader):
    """A reader that keeps the states of the prompts that it is given together, by content."""

    folder: Path
    """Where they are kept."""
    store: Store
    """What keeps them there."""
    progress: Progress
    """Is told of files that are not what was kept."""
    depends: list[str]
    """What states depend on besides the prompts."""

    def together(self, prompts: Sequence[Tokens]) -> torch.Tensor:
        """See TextReader.together."""
        # prompts as one, since a product's last digits depend on the batch that it is taken in
        what = {"what": "states/v1", "prompts": [list(p.ids) for p in prompts]}
        return self.kept(what, lambda: {"states": TextReader.together(self, prompts)})["states"]

    def kept(
        self, what: Mapping[str, Any], make: Callable[[], dict[str, torch.Tensor]]
    ) -> dict[str, torch.Tensor]:
        """See TextReader.kept. A file that is not what was kept is made anew."""
        name = f"states/{digest_of({**what, 'of': self.depends})}.safetensors"
        if (data := self.store.get(name)) is not None:
            return load(data)
        self.store.tell(self.progress)
        tensors = make()
        self.store.put(name, save(tensors))
        return tensors


@contextmanager
def kept_reader(
    pipe: Pipeline, plan: ErasurePlan, cache: Path | None, progress: Progress | None = None
) -> Iterator[KeptReader]:
    """The pipeline's reader; it keeps states in ``cache``, or without one until the end of the block."""
    with ExitStack() as stack:
        reader = KeptReader.of(pipe)
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="mace-gov-")) if cache is None else cache
        reader.folder, reader.store = Path(scratch) / "states", Store(Path(scratch))
        reader.progress = progress or Silent()
        reader.depends = [encoder_digest(plan.base), str(reader.encoder.dtype), reader.encoder.device.type]
        yield reader


def encoder_digest(base: ModelManifest) -> str:
    """Digest of the text encoder's and the tokenizer's files."""
    return digest_of({name: digest for name, digest in base.files.items() if name.startswith(TEXT_FILES)})
