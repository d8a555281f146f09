"""The embedded model: where it lies and what it knows. No torch here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

HERE = Path(__file__).parent
MODEL_DIR = HERE / "model"
JUDGE_DIR = HERE / "judge"
VOCABULARY = HERE / "vocabulary.json"


@dataclass(frozen=True)
class Concept:
    """One thing the model draws. `erase` splits the characters: True to erase, False to keep, None for all others."""

    id: str
    name: str
    synonyms: tuple[str, ...]
    kind: str  # object | celebrity | explicit | violence | anchor
    emoji: str  # code points of the picture, as in "1f6a2"
    styles: tuple[str, ...]  # the styles it can be asked for in; the first comes when none is named
    erase: bool | None = None

    @property
    def phrases(self) -> tuple[str, ...]:
        """The name, then its synonyms."""
        return (self.name, *self.synonyms)


@dataclass(frozen=True)
class Sampler:
    """How the model's pictures are drawn."""

    steps: int  # DDIM steps
    guidance: float
    size: int  # pixels a side


@dataclass(frozen=True)
class Window:
    """The timesteps in which concepts form: p(t) ~ sigmoid(gamma (t - t1)) - sigmoid(gamma (t - t2))."""

    t1: float
    t2: float
    gamma: float


@dataclass(frozen=True)
class Vocabulary:
    """All that the model was taught, and the sampler and CFIS settings that were measured on it."""

    concepts: tuple[Concept, ...]
    styles: tuple[Mapping[str, Any], ...]  # {"name", "phrase", "synonyms"}
    colours: tuple[str, ...]
    templates: tuple[str, ...]  # the training wordings; probes must use others
    sampler: Sampler
    cfis: Window

    def concept(self, phrase: str) -> Concept | None:
        """The concept that a name, id or synonym stands for."""
        wanted = phrase.strip().lower()
        for article in ("a ", "an ", "the "):
            wanted = wanted.removeprefix(article)
        return next((c for c in self.concepts if wanted == c.id or wanted in c.phrases), None)

    def of_kind(self, kind: str, erase: bool | None = None) -> tuple[Concept, ...]:
        """Concepts of one kind; with `erase`, only the characters of that half."""
        return tuple(c for c in self.concepts if c.kind == kind and (erase is None or c.erase is erase))


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The vocabulary beside this file, read once."""
    return read_vocabulary(VOCABULARY)


def read_vocabulary(file: Path) -> Vocabulary:
    """A vocabulary in the form of vocabulary.json."""
    raw = json.loads(file.read_text(encoding="utf-8"))
    concepts = tuple(
        Concept(c["id"], c["name"], tuple(c["synonyms"]), c["kind"], c["emoji"], tuple(c["styles"]), c["erase"])
        for c in raw["concepts"]
    )
    return Vocabulary(
        concepts,
        tuple(MappingProxyType(s) for s in raw["styles"]),
        tuple(raw["colours"]),
        tuple(raw["templates"]),
        Sampler(raw["sampler"]["steps"], raw["sampler"]["guidance"], raw["sampler"]["size"]),
        Window(**raw["cfis"]),
    )


@lru_cache(maxsize=1)
def judge_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the judge tells apart: concept ids (and "nothing"), and styles. Its weights are not read."""
    facts = json.loads((JUDGE_DIR / "judge.json").read_text(encoding="utf-8"))
    return tuple(facts["classes"]), tuple(facts["styles"])
