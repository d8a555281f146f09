"""Synonyms that the policy does not name: proposed from WordNet, ranked by the model, reviewed by a person, then asked.

WordNet's senses are noisy (gun gives accelerator pedal), so its words are ranked by how near the model's own text
encoder puts them to the target, and the table is a lock: rows count only once somebody has put a name into the column
``reviewer``. Its digest goes into the evidence with the other files of the audit.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.audit.probes.everyday import NOUNS
from mace_gov.audit.probes.outside import Concepts
from mace_gov.audit.probes.wordnet import Sense, WordNet
from mace_gov.audit.table import Row, header_of, read_table
from mace_gov.core.atomic import write_bytes
from mace_gov.core.errors import UsageError
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.drawable import Ban, ban_of, erase_only, may_draw
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Category, Concept, Policy

if TYPE_CHECKING:
    import torch

    from mace_gov.diffusion.text import TextReader

COLUMNS = ("concept", "synonym", "sense", "meaning", "closeness", "reviewer")
CAPTION = "a picture of {}"


def is_synonyms(path: Path) -> bool:
    """Whether a file is a table of synonyms."""
    return {"concept", "synonym", "reviewer"} <= set(header_of(path))


def with_synonyms(policy: Policy, paths: Sequence[Path]) -> Policy:
    """The policy with the reviewed synonyms of tables beside its own. Raises UsageError with every malformed row."""
    found: dict[str, list[str]] = {}
    concepts, ban = Concepts(policy), ban_of(policy)
    for path in paths:
        read_table(path, lambda row: _read(row, concepts, ban, found), needs=("concept", "synonym", "reviewer"))
    if not found:
        return policy
    categories = [
        category.model_copy(update={"concepts": [
            concept.model_copy(update={"synonyms": list(dict.fromkeys([*concept.synonyms, *found[concept.id]]))})
            if concept.id in found else concept for concept in category.concepts
        ]}) for category in policy.spec.categories
    ]
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"categories": categories})})


def _read(row: Row, concepts: Concepts, ban: Ban, found: dict[str, list[str]]) -> None:
    category, concept = concepts.named(row.first("concept") or "")
    word = row.first("synonym") or ""
    # the document's own check of a phrase, with its own words
    (checked,) = Concept(id="x", target="x", anchor="x", synonyms=[word]).synonyms
    if row.first("reviewer") is None:
        raise ValueError(f"found synonym = '{word}' without a reviewer, expected the name of who has looked at it")
    if not may_draw(category.kind, checked, ban) or erase_only(category, concept, ban):
        raise ValueError(f"found synonym = '{word}', which must not be drawn")
    found.setdefault(concept.id, []).append(checked)


def propose(
    path: Path, policy: Policy, base: ModelManifest, words: WordNet, *, senses: Iterable[str] = (), most: int = 8,
    closest: float = 0.0,
) -> dict[str, int]:
    """Write a table of WordNet's words for every concept, nearest first; returns how many each concept got.

    senses: keys that pin what a phrase means; a phrase with a pinned sense gets that sense's words alone. most: words
    of a concept. closest: cosine to the target below which a word is left out.
    Raises UsageError for a pinned sense that no concept has, or when the file exists: somebody may have reviewed it.
    """
    if path.exists():
        raise UsageError(f"{path} exists, expected a new file: a reviewed table is not overwritten",
                         hint="Give another --out and compare the two.")
    meanings = {concept.id: words.senses(concept.target) for _, concept in policy.concepts()}
    wanted = set(senses)
    if unknown := sorted(wanted - {sense.key for each in meanings.values() for sense in each}):
        known = {name: [f"{s.key} {s.gloss}" for s in each] for name, each in meanings.items()}
        listed = "; ".join(f"{name}: {', '.join(each) or 'none'}" for name, each in known.items())
        raise UsageError(f"--sense: found {', '.join(unknown)}, expected one of the concepts' ({listed})")
    rows, counts = [], {}
    nearness, ban = _Nearness(base), ban_of(policy)
    for category, concept in policy.concepts():
        own = [s for s in meanings[concept.id] if s.key in wanted] or meanings[concept.id]
        banned = erase_only(category, concept, ban)
        ranked = [] if banned else _ranked(category, concept, own, nearness, closest)[:most]
        rows += [[concept.id, word, sense.key, sense.gloss, f"{close:.3f}", ""] for close, word, sense in ranked]
        counts[concept.id] = len(ranked)
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    write_bytes(path, text.getvalue().encode())
    return counts


def _ranked(
    category: Category, concept: Concept, senses: Sequence[Sense], nearness: _Nearness, closest: float
) -> list[tuple[float, str, Sense]]:
    known = {phrase_key(phrase) for phrase in concept.phrases}
    first: dict[str, Sense] = {}
    for sense in senses:
        for word in sense.words:
            if phrase_key(word) not in known and may_draw(category.kind, word):
                first.setdefault(word, sense)
    close = nearness(concept.target, first)
    return sorted(((close[word], word, sense) for word, sense in first.items() if close[word] >= closest),
                  key=lambda row: (-row[0], row[1]))


class _Nearness:
    """Cosine of prompts' states at the end of text, less what all prompts have in common."""

    def __init__(self, base: ModelManifest) -> None:
        self._base = base
        self._loaded: tuple[TextReader, torch.Tensor] | None = None

    def __call__(self, target: str, words: Collection[str]) -> Mapping[str, float]:
        if not words:
            return {}
        import torch

        if self._loaded is None:
            from mace_gov.diffusion.load import load_text

            reader = load_text(self._base.path)
            self._loaded = reader, _ends(reader, NOUNS[:64]).mean(0)
        reader, common = self._loaded
        own, *others = _ends(reader, [target, *words]) - common
        return {word: float(torch.cosine_similarity(own, other, dim=0))
                for word, other in zip(words, others, strict=True)}


def _ends(reader: TextReader, phrases: Sequence[str]) -> torch.Tensor:
    """States at the end of text, [n, d]."""
    import torch

    tokens = [reader.tokens(CAPTION.format(phrase)) for phrase in phrases]
    return torch.stack([states[each.used - 1] for each, states in zip(tokens, reader.states(tokens), strict=True)])
