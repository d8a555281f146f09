"""Which words of a policy are longer than the text encoder reads: what it cuts off is neither erased nor asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from mace_gov.core.errors import ModelError
from mace_gov.documents.base import Location
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy

BEYOND = 100_000
"""A tokenizer's length from which it is none: some write a number of no meaning."""


def too_long(plan: ErasurePlan, policy: Policy, prompts: Iterable[str]) -> list[tuple[Location, str]]:
    """Phrases that a template of the erasure, or the audit's longest caption, takes beyond the encoder's length.

    prompts: what the audit will ask. A byte makes one token at most, so that the tokenizer is loaded only where a text
    could be too long. Raises ModelError when it does not load.
    """
    folder = Path(plan.base.path)
    length = _length(folder)
    if length is None:
        return []
    longest = max(plan.templates, key=len)
    found = []
    for where, phrase in _phrases(policy):
        if count := _over(folder, longest.replace("{}", phrase), length):
            found.append((where, f"found '{phrase[:60]}', which makes {count} tokens in '{longest}', expected at most "
                                 f"{length}: the text encoder reads no further"))
    for prompt in prompts if not found else ():
        if count := _over(folder, prompt, length):
            return [(("spec", "audit"), f"the prompt '{prompt[:120]}' makes {count} tokens, expected at most {length}")]
    return found


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


def _over(folder: Path, text: str, length: int) -> int:
    """How many tokens a text makes with begin and end, if they are more than ``length``; else 0."""
    if len(text.encode()) + 2 <= length:
        return 0
    count = len(_tokenizer(folder)(text, add_special_tokens=False).input_ids) + 2
    return count if count > length else 0


def _length(folder: Path) -> int | None:
    """Tokens that the first text encoder reads; None where its files do not say."""
    lengths = [_read(folder / "tokenizer/tokenizer_config.json").get("model_max_length"),
               _read(folder / "text_encoder/config.json").get("max_position_embeddings")]
    known = [each for each in lengths if isinstance(each, int) and 2 < each < BEYOND]
    return min(known, default=None)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@lru_cache(maxsize=2)
def _tokenizer(folder: Path):
    from mace_gov.core.lazy import require

    kind = require("transformers", "models").CLIPTokenizer
    try:
        return kind.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder}: its tokenizer does not load: {type(error).__name__}: {error}") from error
