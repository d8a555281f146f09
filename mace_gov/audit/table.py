"""CSV tables from outside: rows by column name, each with its line, and every error named by file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mace_gov.core.errors import UsageError
from mace_gov.core.files import read_file

Value = TypeVar("Value")
MAX_BYTES = 100_000_000
"""Larger files are no lists of prompts."""
SHOWN = 20
"""Malformed rows that are named; the rest is counted."""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    line: int
    """Line of the file that it ends on, from 1."""
    cells: dict[str, str]
    """By column name, lower case, without blanks around; empty cells are left out."""

    def first(self, *names: str) -> str | None:
        """The first of some columns that is filled."""
        return next((self.cells[name] for name in names if name in self.cells), None)


def read_table(path: Path, read: Callable[[Row], Value], *, needs: Sequence[str]) -> list[Value]:
    """What ``read`` makes of each row. ``read`` raises ValueError for a malformed one.

    Raises UsageError that names the file, and every malformed row by its line.
    """
    found, problems = [], []
    for row in _rows(path, needs):
        try:
            found.append(read(row))
        except ValueError as error:
            problems.append(f"{path}:{row.line}: {error}")
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
    return [name.strip().casefold() for name in next(csv.reader(io.StringIO(_text(path), newline="")), [])]


def _text(path: Path) -> str:
    try:
        return read_file(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not readable as UTF-8 text: {error}") from error


def _rows(path: Path, needs: Sequence[str]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        if missing := [name for name in needs if name not in header]:
            raise UsageError(f"{path}:1: found columns {', '.join(filter(None, header)) or 'none'}, "
                             f"expected {', '.join(missing)} among them")
        if doubled := sorted({name for name in header if name and header.count(name) > 1}):
            raise UsageError(f"{path}:1: found column {doubled[0]} twice, expected each once")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UsageError(f"{path}:{reader.line_num}: found {len(cells)} cells, expected {len(header)}",
                                 hint="A cell with a comma in it needs quotes around it.")
            named = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name and cell.strip()}
            yield Row(reader.line_num, named)
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not readable as CSV: {error}") from error
