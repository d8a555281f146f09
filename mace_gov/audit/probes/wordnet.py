"""Other words for a phrase from WordNet's own files (index.* and data.*, as Debian's wordnet-base installs them).

The format is wndb(5WN): an index line names the byte offsets of a lemma's synsets in the data file, most frequent sense
first; a data line names a synset's words and, after the bar, its gloss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mace_gov.core.errors import IncompleteError, UsageError

FOLDER = Path("/usr/share/wordnet")
"""Where Debian's wordnet-base puts the files."""
PARTS = {"n": "noun", "a": "adj"}
"""Parts of speech that banned phrases have."""


@dataclass(frozen=True)
class Sense:
    """One meaning of a phrase."""

    key: str
    """Part of speech and offset, ``n02121620``: what pins it within a release of WordNet."""
    words: tuple[str, ...]
    """Its words beside the phrase itself, lower case."""
    gloss: str
    """What it means."""


class WordNet:
    """A folder of WordNet's files, read where they are asked about."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Raises IncompleteError when a file is missing."""
        self._folder = folder
        missing = [f"{kind}.{part}" for part in PARTS.values() for kind in ("index", "data")
                   if not (folder / f"{kind}.{part}").is_file()]
        if missing:
            raise IncompleteError(
                f"WordNet: found no {', '.join(missing)} in {folder}, expected WordNet's own files",
                hint="Install Debian's wordnet-base, or give the folder of another copy with --wordnet.",
            )
        self._index: dict[str, dict[str, list[int]]] = {}

    def senses(self, phrase: str) -> list[Sense]:
        """Every sense of a phrase as noun and as adjective, the most frequent first; none where it is unknown.

        Raises UsageError when the files contradict each other.
        """
        lemma = "_".join(phrase.casefold().split())
        return [self._sense(letter, offset, lemma) for letter in PARTS
                for offset in self._offsets(letter).get(lemma, [])]

    def _offsets(self, letter: str) -> dict[str, list[int]]:
        if letter not in self._index:
            path = self._folder / f"index.{PARTS[letter]}"
            self._index[letter] = dict(_index_lines(path))
        return self._index[letter]

    def _sense(self, letter: str, offset: int, lemma: str) -> Sense:
        path = self._folder / f"data.{PARTS[letter]}"
        with path.open("rb") as file:
            file.seek(offset)
            line = file.readline().decode("utf-8", "replace")
        fields, _, gloss = line.partition("|")
        parts = fields.split()
        if len(parts) < 4 or parts[0] != f"{offset:08d}":
            raise UsageError(f"{path}: found no synset at byte {offset}, where its index says that one is")
        # word and lexical id in turns; adjectives may carry their place, as in "naked(p)"
        spoken = [word.partition("(")[0].casefold() for word in parts[4:4 + 2 * int(parts[3], 16):2]]
        words = tuple(dict.fromkeys(word.replace("_", " ") for word in spoken if word != lemma))
        return Sense(f"{letter}{offset:08d}", words, gloss.partition(";")[0].strip())


def _index_lines(path: Path) -> Iterator[tuple[str, list[int]]]:
    for line in path.read_text("utf-8", "replace").splitlines():
        if not line.startswith(" "):  # the licence
            fields = line.split()
            yield fields[0], [int(offset) for offset in fields[-int(fields[2]):]]
