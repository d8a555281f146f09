"""CSV tables from outside: rows by column name, each with its line, and every error named by file and line."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from mace_gov.core.errors import UsageError
from mace_gov.core.files import open_file
from mace_gov.core.memory import uncollected
from mace_gov.documents.document import control

Value = TypeVar("Value")
MAX_BYTES = 500_000_000
"""Larger files are no lists of prompts: five hundred bytes for each of a million rows."""
SHOWN = 20
"""Malformed rows that are named; the rest is counted."""


@dataclass(slots=True)
class Row:
    """One row of a table."""

    table: Path
    """The file."""
    line: int
    """Line of the file that it ends on, from 1."""
    cells: dict[str, str]
    """By column name, lower case, without blanks around; empty cells are left out."""
    problem: str | None = None
    """Why it is no row of this table."""

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.table}:{self.line}"

    def first(self, *names: str) -> str | None:
        """The first of some columns that is filled."""
        for name in names:  # a file may have a million rows
            if name in self.cells:
                return self.cells[name]
        return None


def read_table(path: Path, read: Callable[[Row], Value], *, needs: Sequence[str]) -> list[Value]:
    """What ``read`` makes of each row. ``read`` raises ValueError for a malformed one.

    Raises UsageError that names the file, and every malformed row by its line.
    """
    found, problems = [], []
    with uncollected():
        for row in _rows(path, needs):
            try:
                if row.problem:
                    raise ValueError(row.problem)
                found.append(read(row))
            except ValueError as error:
                problems.append(f"{row.where}: {error}")
    if problems:
        said = [f"{path}: found {len(problems)} malformed rows, expected none", *problems[:SHOWN]]
        said += [f"and {len(problems) - SHOWN} rows more"] if len(problems) > SHOWN else []
        raise UsageError("\n".join(said),
                         hint="Mend the rows named above; docs/audit.md lists the columns.")
    if not found:
        raise UsageError(f"{path}: found no row below the header, expected at least one")
    return found


def header_of(path: Path) -> list[str]:
    """A table's column names, lower case. Raises UsageError for a file that is no text."""
    with _lines(path) as lines:
        return [name.strip().casefold() for name in next(csv.reader(lines), [])]


@contextmanager
def _lines(path: Path) -> Iterator[TextIO]:
    """A table as text, read as it is needed. Raises UsageError, also inside the block, for a file that is no text."""
    try:
        with open_file(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
                raise UsageError(f"{path}: is larger than {MAX_BYTES:,} bytes: found {size:,}")
            with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
                yield lines
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not readable as UTF-8 text: {error}") from error


def _rows(path: Path, needs: Sequence[str]) -> Iterator[Row]:
    with _lines(path) as lines:
        reader = csv.reader(lines, strict=True)
        try:
            header = [name.strip().casefold() for name in next(reader, [])]
            if missing := [name for name in needs if name not in header]:
                raise UsageError(f"{path}:1: found columns {', '.join(filter(None, header)) or 'none'}, "
                                 f"expected {', '.join(missing)} among them")
            if doubled := sorted({name for name in header if name and header.count(name) > 1}):
                raise UsageError(f"{path}:1: found column {doubled[0]} twice, expected each once")
            for cells in reader:
                texts = [*map(str.strip, cells)]
                if not any(texts):
                    continue
                odd = None if len(cells) == len(header) else (
                    f"found {len(cells)} cells, expected {len(header)}; a cell with a comma in it needs quotes")
                named = {name: text for name, text in zip(header, texts, strict=False) if text and name}
                if not "".join(texts).isprintable():
                    odd = odd or next((f"{name}: {problem}" for name, text in named.items()
                                       if (problem := control(text, "\n\t\r"))), None)
                yield Row(path, reader.line_num, named, odd)
        except csv.Error as error:
            raise UsageError(f"{path}:{reader.line_num}: not readable as CSV: {error}") from error
