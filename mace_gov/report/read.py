"""Read report.json back."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from mace_gov.core.canonical import strict_json
from mace_gov.core.errors import UsageError
from mace_gov.core.files import read_file
from mace_gov.documents.report import Report

HINT = "Give a report's folder or its report.json, as `mace-gov apply` or `mace-gov gate --output json=FILE` wrote it."


def read_report(path: Path) -> Report:
    """The document in a file. Raises UsageError that names the first field that is not as the schema says."""
    try:
        data = read_file(path)
    except OSError as error:
        raise UsageError(f"cannot read the report {path}: {error.strerror}", hint=HINT) from error
    try:
        return Report.from_json(strict_json(data))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise UsageError(f"{path}: {where}: {first['msg']}", hint=HINT) from error
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}", hint=HINT) from error
