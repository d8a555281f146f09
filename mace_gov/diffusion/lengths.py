"""How much of a prompt a model reads: what is over its text encoder's length is cut off, here as in every pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from mace_gov.core.errors import ModelError

BATCH = 4096
"""Prompts that are tokenised at once."""
GROWTH = 3
"""Bytes that one byte of a prompt may become when the tokenizer writes it in its own form; ASCII does not grow."""


def tokens_read(folder: Path) -> int:
    """Tokens of a prompt that the first text encoder of a diffusers folder reads, begin and end among them; 0: unknown.
    """
    found = (("tokenizer/tokenizer_config.json", "model_max_length"),
             ("text_encoder/config.json", "max_position_embeddings"))
    lengths = [length for name, field in found if (length := _number(folder / name, field))]
    return min(lengths, default=0)


def cut_prompts(folder: Path, prompts: Iterable[str]) -> dict[str, str]:
    """Of these prompts those that are cut, each with the part that is read. Loads a tokenizer, never weights.

    Raises ModelError when the tokenizer does not load.
    """
    length = tokens_read(folder)
    # no token is shorter than a byte, so that most prompts need no tokenizer
    long = [prompt for prompt in dict.fromkeys(prompts)
            if len(prompt.encode()) * (1 if prompt.isascii() else GROWTH) > length - 2]
    if not length or not long:
        return {}
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: its tokenizer does not load: {str(error).splitlines()[0]}") from error
    room = length - tokenizer.num_special_tokens_to_add()
    cut = {}
    for start in range(0, len(long), BATCH):
        part = long[start:start + BATCH]
        given = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for prompt, places in zip(part, given["offset_mapping"], strict=True):
            if len(places) > room:
                cut[prompt] = prompt[:places[room - 1][1]]
    return cut


def _number(file: Path, field: str) -> int:
    try:
        value = json.loads(file.read_bytes()).get(field)
    except (OSError, ValueError, AttributeError):
        return 0
    return int(value) if isinstance(value, int | float) and value > 0 else 0
