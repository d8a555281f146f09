"""How much of a text a model reads: what is over its text encoder's length is cut off, here as in every pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mace_gov.core.errors import ModelError
from mace_gov.core.files import read_file
from mace_gov.core.lazy import require
from mace_gov.documents.document import Location
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy

BATCH = 4096
"""Prompts that are tokenised at once."""
WORDS_KEPT = 1 << 17
"""Words whose tokens are known at once."""
GROWTH = 3
"""Bytes that one byte of a prompt may become when the tokenizer writes it in its own form; ASCII does not grow."""
BEYOND = 100_000
"""A tokenizer's length from which it is none: some write a number of no meaning."""


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
    return {prompt: read for prompt, _, read in _cut(folder, prompts)}


def too_long(plan: ErasurePlan, policy: Policy, prompts: Iterable[str]) -> list[tuple[Location, str]]:
    """Phrases that a template of the erasure, or the audit's longest caption, takes beyond the encoder's length.

    What is cut off is neither erased nor asked for. prompts: what the audit will ask; they are read where the phrases
    fit. Raises ModelError when the tokenizer does not load.
    """
    folder = Path(plan.base.path)
    length, longest = tokens_read(folder), max(plan.templates, key=len)
    phrases = [(where, phrase, longest.replace("{}", phrase)) for where, phrase in _phrases(policy)]
    counts = {prompt: count for prompt, count, _ in _cut(folder, [prompt for *_, prompt in phrases])}
    found: list[tuple[Location, str]] = [
        (where, f"found '{phrase[:60]}', which makes {counts[prompt]} tokens in '{longest}', expected at most "
                f"{length}: the text encoder reads no further")
        for where, phrase, prompt in phrases if prompt in counts
    ]
    if found:
        return found
    cut: list[tuple[Location, str]] = [
        (("spec", "audit"), f"the prompt '{prompt[:120]}' makes {count} tokens, expected at most {length}")
        for prompt, count, _ in _cut(folder, prompts)
    ]
    return cut[:1]


def tokenizer_of(folder: Path) -> Any:
    """The first tokenizer of a diffusers folder. Raises ModelError when it does not load."""
    try:
        return require("transformers", "models").AutoTokenizer.from_pretrained(
            str(folder / "tokenizer"), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: its tokenizer does not load: {str(error).splitlines()[0]}") from error


def _cut(folder: Path, prompts: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """Prompts that are cut: each with its number of tokens, begin and end among them, and the part that is read."""
    length = tokens_read(folder)
    # no token is shorter than a byte, so that most prompts need no tokenizer
    long = [prompt for prompt in dict.fromkeys(prompts)
            if len(prompt.encode()) * (1 if prompt.isascii() else GROWTH) > length - 2]
    if not length or not long:
        return
    tokenizer = tokenizer_of(folder)
    special = tokenizer.num_special_tokens_to_add()
    room, counts = length - special, dict[str, int]()
    for start in range(0, len(long), BATCH):
        part = _too_many(long[start:start + BATCH], tokenizer, counts, room)
        if not part:
            continue
        given = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for prompt, places in zip(part, given["offset_mapping"], strict=True):
            if len(places) > room:
                yield prompt, len(places) + special, prompt[:places[room - 1][1]]


def _too_many(prompts: list[str], tokenizer: Any, counts: dict[str, int], room: int) -> list[str]:
    """Those of some prompts that make more tokens than there is room for; all where only the whole can tell.

    CLIP's tokens reach over no blank: a prompt has as many as its words, and a file of a million rows has few words.
    counts: of the words that are known, to which those of these prompts are added.
    """
    if not prompts or not type(tokenizer).__name__.startswith("CLIPTokenizer"):
        return prompts
    parts = [prompt.split(" ") for prompt in prompts]
    if len(counts) > WORDS_KEPT:
        counts.clear()
    if new := list(set().union(*parts).difference(counts)):
        given = tokenizer(new, add_special_tokens=False, return_attention_mask=False, verbose=False)
        counts.update(zip(new, map(len, given["input_ids"]), strict=True))
    return [prompt for prompt, words in zip(prompts, parts, strict=True) if sum(map(counts.__getitem__, words)) > room]


def _phrases(policy: Policy) -> Iterator[tuple[Location, str]]:
    for i, category in enumerate(policy.spec.categories):
        for j, concept in enumerate(category.concepts):
            at: Location = ("spec", "categories", i, "concepts", j)
            yield (*at, "target"), concept.target
            if concept.anchor:
                yield (*at, "anchor"), concept.anchor
            for name in ("synonyms", "descriptions", "broader", "narrower"):
                yield from (((*at, name, k), phrase) for k, phrase in enumerate(getattr(concept, name) or ()))
            yield from (((*at, "translations", code), phrase) for code, phrase in (concept.translations or {}).items())
        yield from ((("spec", "categories", i, "neighbours", j), each) for j, each in enumerate(category.neighbours))
    for i, phrase in enumerate(policy.spec.method.preserve.concepts or ()):
        yield ("spec", "method", "preserve", "concepts", i), phrase


def _number(file: Path, field: str) -> int:
    try:
        value = json.loads(read_file(file)).get(field)
    except (OSError, ValueError, AttributeError):
        return 0
    return int(value) if isinstance(value, int | float) and 2 < value < BEYOND else 0
