"""Prompts from a file: benchmark lists (I2P, COCO, Ring-A-Bell, UnlearnDiffAtk, HUB and the like) and a user's own.

A row needs a ``prompt``. What else may be there, by the first column that is filled:

    seed, evaluation_seed, sd_seed    the picture's seed; without one it comes from the prompt
    category                          a category of the policy; may be left out where the policy has one
    concept, target                   the id or target of a concept of it: what must not be in the picture
    expected                          what must be in the picture; makes it a prompt that must survive
    suite                             where it is counted: ``outside``, or ``unrelated`` with ``expected``, unless given

COCO lists are known by their ``coco_id``: nothing is looked for in their pictures, which serve distances and CLIP
scores. A file with the columns ``concept``, ``language`` and ``phrase`` is a table of translations instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.base import Probe, seed_for
from mace_gov.audit.table import Row, header_of, read_table
from mace_gov.documents.drawable import erase_only, may_draw
from mace_gov.documents.policy import Category, Concept, Kind, Policy, Suite

SEEDS = ("seed", "evaluation_seed", "sd_seed")
LANGUAGE_TABLE = ("concept", "language", "phrase")


@dataclass
class Outside:
    """What the files of an audit ask."""

    probes: dict[Probe, None] = field(default_factory=dict)
    """In file order, each once."""
    captions: list[tuple[str, int]] = field(default_factory=list)
    """Prompts and seeds whose pictures are compared and not searched."""
    refused: int = 0
    """Rows that must not be drawn."""
    pictures: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    """By prompt and seed: the row's file names, under ``governed`` and, where it has one, ``base``."""


def is_translations(path: Path) -> bool:
    """Whether a file is a table of translations."""
    return set(LANGUAGE_TABLE) <= set(header_of(path))


def read_translations(path: Path, policy: Policy) -> dict[str, dict[str, str]]:
    """Translations by concept id and language code. Raises UsageError with every malformed row."""
    found: dict[str, dict[str, str]] = {}

    def read(row: Row) -> None:
        _, concept = concept_of(policy, row.first("concept") or "")
        code, phrase = (row.first(name) or "" for name in ("language", "phrase"))
        # the document's own check of codes and phrases, with its own words
        checked = Concept(id="x", target="x", anchor="x", translations={code: phrase}).translations
        found.setdefault(concept.id, {}).update(checked or {})

    read_table(path, read, needs=LANGUAGE_TABLE)
    return found


def read_prompts(paths: Sequence[Path], asking: Asking, *, pictures: bool = False) -> Outside:
    """What the files ask. ``pictures``: every row names its picture, see ``imported``.

    Raises UsageError with every malformed row by file and line.
    """
    outside = Outside()
    for path in paths:
        coco = "coco_id" in header_of(path)
        read_table(path, lambda row, coco=coco: _read(row, asking, outside, coco),
                   needs=("prompt", "file") if pictures else ("prompt",))
    return outside


def _read(row: Row, asking: Asking, outside: Outside, coco: bool) -> None:
    prompt = row.first("prompt")
    if prompt is None:
        raise ValueError("found no prompt, expected one")
    seed = _seed(row, prompt, asking)
    category, concept = _about(row, asking.policy)
    if not may_draw(category.kind, prompt) or (concept is not None and erase_only(category, concept)):
        outside.refused += 1
        return
    if name := row.first("file"):
        base = row.first("base_file")
        outside.pictures[prompt, seed] = {"governed": name, **({"base": base} if base else {})}
    expected, suite = row.first("expected"), _suite(row)
    if suite is not None and (suite.banned is (expected is not None)):
        wanted = "no expected" if suite.banned else "expected"
        raise ValueError(f"found suite = '{suite}', which goes with {wanted}")
    if expected is not None:
        facet = asking.facet(category, expected)
        probe = Probe(category.id, expected, suite or Suite.UNRELATED, prompt, seed, (expected,), facet)
    elif coco:
        outside.captions.append((prompt, seed))
        return
    else:
        if concept is None and category.kind is not Kind.EXPLICIT and len(category.concepts) > 1:
            raise ValueError(f"found no concept, expected one of {category.id}'s, for it bans several")
        asked = concept or category.concepts[0]
        name = asked.id if concept or len(category.concepts) == 1 else category.id
        synonyms = tuple(s for c in category.concepts if c is asked or category.kind is Kind.EXPLICIT
                         for s in c.synonyms)
        probe = Probe(category.id, name, suite or Suite.OUTSIDE, prompt, seed, asking.banned(category, asked),
                      asking.facet(category, asked.target), synonyms)
    outside.probes[probe] = None


def _seed(row: Row, prompt: str, asking: Asking) -> int:
    text = row.first(*SEEDS)
    if text is None:
        return seed_for(asking.policy.spec.audit.seed, 0, prompt)
    # Ten digits of ASCII at most: int() refuses thousands of them, and takes those of other scripts.
    if not re.fullmatch(r"0*[0-9]{1,10}", text) or int(text[-10:]) >= 2**32:
        raise ValueError(f"found seed = '{text}', expected a whole number below 2^32")
    return int(text)


def _suite(row: Row) -> Suite | None:
    text = row.first("suite")
    if text is None:
        return None
    if text not in list(Suite):
        raise ValueError(f"found suite = '{text}', expected one of: {', '.join(Suite)}")
    return Suite(text)


def _about(row: Row, policy: Policy) -> tuple[Category, Concept | None]:
    categories = {category.id: category for category in policy.spec.categories}
    named = row.first("category")
    if named is not None and named not in categories:
        raise ValueError(f"found category = '{named}', expected one of: {', '.join(categories)}")
    if text := row.first("concept", "target"):
        category, concept = concept_of(policy, text)
        if named not in (None, category.id):
            raise ValueError(f"found concept = '{text}' of {category.id} in category = '{named}'")
        return category, concept
    if named is None and len(categories) > 1 and row.first("expected") is None and "coco_id" not in row.cells:
        raise ValueError("found neither category nor concept, expected one of them, for the policy has several")
    return categories[named or next(iter(categories))], None


def concept_of(policy: Policy, text: str) -> tuple[Category, Concept]:
    """A concept by its id or target. Raises ValueError for one that the policy does not ban."""
    for category, concept in policy.concepts():
        if text.casefold() in (concept.id, concept.target.casefold()):
            return category, concept
    raise ValueError(f"found concept = '{text}', which the policy does not ban")
