"""Prompts from a file: benchmark lists (I2P, COCO, Ring-A-Bell, UnlearnDiffAtk, HUB and the like) and a user's own.

A row needs a ``prompt``. What else may be there, by the first column that is filled:

    seed, evaluation_seed, sd_seed    the picture's seed; without one it comes from the prompt
    category                          a category of the policy; may be left out where the policy has one
    concept, target                   the id or target of a concept of it: what must not be in the picture
    expected                          what must be in the picture; makes it a prompt that must survive, of no concept
    suite                             where it is counted: ``outside``, or ``unrelated`` with ``expected``, unless given

COCO lists are known by their ``coco_id``: in the pictures of rows that say nothing of the above but the seed nothing is
looked for; they serve distances and CLIP scores. A file with the columns ``concept``, ``language`` and ``phrase`` is a
table of translations instead.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.probe import Facet, Probe, seed_for
from mace_gov.audit.table import Row, header_of, read_table
from mace_gov.core.errors import UsageError
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.audit import Side
from mace_gov.documents.drawable import may_draw
from mace_gov.documents.policy import Category, Concept, Policy
from mace_gov.documents.terms import Kind, Suite

SEEDS = ("seed", "evaluation_seed", "sd_seed")
LANGUAGE_TABLE = ("concept", "language", "phrase")
SAID = ("category", "concept", "target", "expected", "suite")
"""Columns that say what a row is about; in a COCO list they make it more than a caption."""
FILES: dict[Side, str] = {"governed": "file", "base": "base_file"}
"""Columns that name a row's pictures."""
_DIGITS = re.compile("0*[0-9]{1,10}")
REMEMBERED = 1 << 16
"""Answers that are kept: a file has few concepts and many rows."""


@dataclass
class Outside:
    """What the files of an audit ask."""

    probes: dict[Probe, None] = field(default_factory=dict)
    """In file order, each once."""
    captions: list[tuple[str, int]] = field(default_factory=list)
    """Prompts and seeds whose pictures are compared and not searched."""
    refused: int = 0
    """Rows that must not be drawn."""
    pictures: dict[tuple[str, int], dict[Side, str]] = field(default_factory=dict)
    """By prompt and seed: the row's file names, where pictures were made elsewhere."""


class Concepts:
    """A policy's concepts by what a row may call them: their ids and targets."""

    def __init__(self, policy: Policy) -> None:
        self._known: dict[str, list[tuple[Category, Concept]]] = {}
        for category, concept in policy.concepts():
            for name in {phrase_key(concept.id), phrase_key(concept.target)}:
                self._known.setdefault(name, []).append((category, concept))
        self.named = lru_cache(REMEMBERED)(self._named)
        """``_named``, remembered."""

    def _named(self, text: str, category: str | None = None) -> tuple[Category, Concept]:
        """The one that ``text`` names, within a category where one is given.

        Raises ValueError for one that the policy does not ban, or that is one's id and another's target.
        """
        found = self.find(text, category)
        if not found:
            raise ValueError(f"found concept = '{text}', which the policy does not ban")
        if len(found) > 1:
            meant = " or ".join(f"{concept.id} ('{concept.target}')" for _, concept in found)
            raise ValueError(f"found concept = '{text}', which may be {meant}, expected a name of one alone")
        return found[0]

    def find(self, text: str, category: str | None) -> list[tuple[Category, Concept]]:
        """All that ``text`` may name, within a category where it names one there."""
        known = self._known.get(phrase_key(text), [])
        return [each for each in known if category in (None, each[0].id)] or known


def is_translations(path: Path) -> bool:
    """Whether a file is a table of translations."""
    return set(LANGUAGE_TABLE) <= set(header_of(path))


def read_translations(paths: Sequence[Path], policy: Policy) -> dict[str, dict[str, str]]:
    """Translations by concept id and language code. Raises UsageError with every malformed row.

    Two phrases for one concept and language are malformed, and so is one beside another of the policy's.
    """
    concepts = Concepts(policy)
    found: dict[str, dict[str, str]] = {}
    known = {(concept.id, code.casefold()): ("the policy", phrase)
             for _, concept in policy.concepts() for code, phrase in (concept.translations or {}).items()}

    def read(row: Row) -> None:
        _, concept = concepts.named(row.first("concept") or "")
        code, phrase = (row.first(name) or "" for name in ("language", "phrase"))
        # the document's own check of codes and phrases, with its own words
        checked = Concept(id="x", target="x", anchor="x", translations={code: phrase}).translations or {}
        where, other = known.setdefault((concept.id, code.casefold()), (row.where, phrase))
        if phrase_key(other) != phrase_key(phrase):
            raise ValueError(f"found phrase = '{phrase}' for {concept.id} in {code}, which {where} calls '{other}', "
                             "expected one phrase for each language")
        found.setdefault(concept.id, {}).update(checked)

    for path in paths:
        read_table(path, read, needs=LANGUAGE_TABLE)
    return found


def read_prompts(paths: Sequence[Path], asking: Asking, *, pictures: bool = False) -> Outside:
    """What the files ask. ``pictures``: every row names its picture, see ``imported``.

    Raises UsageError with every malformed row by file and line.
    """
    reader = _Reader(asking, pictures)
    for path in paths:
        coco = "coco_id" in header_of(path)
        read_table(path, partial(reader.read, coco=coco), needs=("prompt", "file") if pictures else ("prompt",))
    given = reader.found.pictures.values()
    based = sum("base" in names for names in given)
    if 0 < based < len(given):
        lacking = next(names["governed"] for names in given if "base" not in names)
        raise UsageError(f"--images: found a base_file for {based} of {len(given)} pictures, expected one for all of "
                         f"them or for none; '{lacking}' has none")
    return reader.found


class _Reader:
    """Reads rows, one after the other; what they share is looked up once."""

    def __init__(self, asking: Asking, pictures: bool) -> None:
        self.found = Outside()
        self._asking, self._pictures = asking, pictures
        self._concepts = Concepts(asking.policy)
        self._categories = {category.id: category for category in asking.policy.spec.categories}
        self._banned = {
            phrase_key(phrase): concept.id for _, concept in asking.policy.concepts()
            for phrase in (concept.target, *concept.synonyms, *(concept.narrower or ()),
                           *(concept.translations or {}).values())
        }
        self._answered: dict[tuple[str, int], str] = {}
        self._answers: dict[str, tuple[tuple[str, int], str]] = {}
        # A file may have a million rows, most of which differ in prompt and seed alone.
        self._about = lru_cache(REMEMBERED)(self._subject)
        self._asked = lru_cache(REMEMBERED)(self._question)

    def read(self, row: Row, coco: bool) -> None:
        """Take in one row. Raises ValueError for a malformed one."""
        cells = row.cells
        prompt = cells.get("prompt")
        if prompt is None:
            raise ValueError("found no prompt, expected one")
        seed = _seed(row, prompt, self._asking)
        said = tuple(map(cells.get, SAID))
        caption = coco and not any(said)
        category, concept, erasing = self._about(caption, *said)
        if erasing or not may_draw(category.kind, prompt, self._asking.ban):
            self.found.refused += 1
            return
        if self._pictures:
            self._picture(row, (prompt, seed))
        if caption:
            self.found.captions.append((prompt, seed))
            return
        name, suite, expected, facet, synonyms = self._asked(category.id, concept, *said[-2:])
        self.found.probes[Probe(category.id, name, suite, prompt, seed, expected, facet, synonyms)] = None

    def _subject(
        self, caption: bool, named: str | None, concept: str | None, target: str | None, expected: str | None,
        suite: str | None,
    ) -> tuple[Category, str | None, bool]:
        """Category and concept's id that a row is about, and whether that concept is erase-only."""
        if named is not None and named not in self._categories:
            raise ValueError(f"found category = '{named}', expected one of: {', '.join(self._categories)}")
        if texts := [text for text in (concept, target) if text is not None]:
            if expected is not None:
                raise ValueError(f"found concept = '{texts[0]}' and expected = '{expected}', expected one "
                                 "of them: what must be absent, or what must be there")
            category, meant = self._concepts.named(texts[0], named)
            for text in texts[1:]:
                other = self._concepts.find(text, named)
                if other and meant not in [each for _, each in other]:
                    raise ValueError(f"found concept = '{texts[0]}' and target = '{text}', which are two of the policy")
            if named not in (None, category.id):
                raise ValueError(f"found concept = '{texts[0]}' of {category.id} in category = '{named}'")
            return category, meant.id, not self._asking.drawn(category, meant)
        if named is None and len(self._categories) > 1 and expected is None and not caption:
            raise ValueError("found neither category nor concept, expected one of them, for the policy has several")
        return self._categories[named or next(iter(self._categories))], None, False

    def _question(
        self, category_id: str, concept_id: str | None, expected: str | None, suite_name: str | None
    ) -> tuple[str, Suite, tuple[str, ...], Facet, tuple[str, ...]]:
        """Name, suite, phrases to look for, facet and synonyms of a row."""
        suite = _suite(suite_name)
        if suite is not None and (suite.banned is (expected is not None)):
            wanted = "no expected" if suite.banned else "expected"
            raise ValueError(f"found suite = '{suite}', which goes with {wanted}")
        if expected is not None:
            return expected, suite or Suite.UNRELATED, (expected,), self._survivor(category_id, expected), ()
        name, banned, facet, synonyms = self._of_concept(category_id, concept_id)
        return name, suite or Suite.OUTSIDE, banned, facet, synonyms

    def _of_concept(
        self, category_id: str, concept_id: str | None
    ) -> tuple[str, tuple[str, ...], Facet, tuple[str, ...]]:
        """Name, phrases, facet and synonyms of a category's concept, or of all its concepts.

        Raises ValueError when none is named and the category bans several things apart.
        """
        category = self._categories[category_id]
        concept = next((each for each in category.concepts if each.id == concept_id), None)
        if concept is None and category.kind is not Kind.EXPLICIT and len(category.concepts) > 1:
            raise ValueError(f"found no concept, expected one of {category.id}'s, for it bans several")
        asked = concept or category.concepts[0]
        name = asked.id if concept or len(category.concepts) == 1 else category.id
        synonyms = tuple(s for c in category.concepts if c is asked or category.kind is Kind.EXPLICIT
                         for s in c.synonyms)
        return name, self._asking.banned(category, asked), self._asking.facet(category, asked.target), synonyms

    def _survivor(self, category_id: str, expected: str) -> Facet:
        """The facet of what must survive. Raises ValueError when the policy bans it."""
        if banned := self._banned.get(phrase_key(expected)):
            raise ValueError(f"found expected = '{expected}', which the policy bans as {banned}, expected something "
                             "that must survive")
        return self._asking.facet(self._categories[category_id], expected)

    def _picture(self, row: Row, want: tuple[str, int]) -> None:
        """Take down a row's pictures. Raises ValueError when another row gives others, or asks them something else."""
        names: dict[Side, str] = {
            side: posixpath.normpath(row.cells[column]) for side, column in FILES.items() if column in row.cells
        }
        if "governed" not in names:
            raise ValueError("found no file, expected the name of the row's picture")
        known = self.found.pictures.setdefault(want, names)
        where = self._answered.setdefault(want, row.where)
        if known != names:
            raise ValueError(f"found {_listed(names)} for the prompt and seed that {where} answers with "
                             f"{_listed(known)}, expected the same")
        # One picture of the base may stand for several wordings; of the model that is judged each is a sample.
        name = names["governed"]
        other, where = self._answers.setdefault(name, (want, row.where))
        if other != want:
            raise ValueError(f"found {FILES['governed']} = '{name}', which {where} names for another prompt or seed, "
                             "expected a picture of its own")


def _listed(names: dict[Side, str]) -> str:
    return " and ".join(f"{FILES[side]} = '{name}'" for side, name in names.items())


def _seed(row: Row, prompt: str, asking: Asking) -> int:
    text = row.first(*SEEDS)
    if text is None:
        return seed_for(asking.policy.spec.audit.seed, 0, prompt)
    # Ten digits of ASCII at most: int() refuses thousands of them, and takes those of other scripts.
    if text.isascii() and text.isdigit() and len(text) < 10:  # most of them
        return int(text)
    if not _DIGITS.fullmatch(text) or int(text[-10:]) >= 2**32:
        raise ValueError(f"found seed = '{text}', expected a whole number below 2^32")
    return int(text)


def _suite(text: str | None) -> Suite | None:
    if text is None:
        return None
    if text not in list(Suite):
        raise ValueError(f"found suite = '{text}', expected one of: {', '.join(Suite)}")
    return Suite(text)
