"""What CI systems read, each made from the one report and nothing else: no picture and no prompt in any of them.

rows         the report as lines to tell: a rule, a regression or the model as a whole, and whether it blocks
document     report.json itself
summary      Markdown for a job's summary page
junit        JUnit XML: the policy is a suite, a rule is a case
sarif        SARIF 2.1.0: a finding is placed at the rule's line in the policy
commands     GitHub's workflow commands: annotations
table        CSV, a line for each rule
outputs      NAME=VALUE lines: the verdict and why, as outputs of a job
failed       each of them when nothing was decided
files        where they are written
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mace_gov.core.errors import UsageError
from mace_gov.documents.failure import Failure
from mace_gov.documents.report import Report
from mace_gov.gate.formats import commands, junit, outputs, sarif, summary, table
from mace_gov.gate.formats.failed import FAILED
from mace_gov.gate.formats.files import write
from mace_gov.gate.formats.rows import Places


def document(report: Report, places: Places) -> str:
    """The report itself, in canonical form."""
    return report.canonical().decode("utf-8")


FORMATS: dict[str, Callable[[Report, Places], str]] = {
    "json": document,
    "markdown": summary.markdown,
    "junit": junit.junit,
    "sarif": sarif.sarif,
    "annotations": commands.workflow_commands,
    "csv": table.table,
    "outputs": outputs.outputs,
}
"""Every format by its name."""


def parse_outputs(options: list[str]) -> dict[str, Path]:
    """``FORMAT=FILE`` options. Raises UsageError for a format that is not known, or is asked for twice."""
    found: dict[str, Path] = {}
    for option in options:
        name, _, path = option.partition("=")
        if name not in FORMATS or not path:
            raise UsageError(f"'{option}' is no output, expected FORMAT=FILE with one of: {', '.join(FORMATS)}")
        if name in found:
            raise UsageError(f"the output '{name}' is asked for twice, expected once")
        found[name] = Path(path)
    return found


def write_outputs(report: Report, places: Places, outputs: Mapping[str, Path]) -> None:
    """Write each format to its file. Raises UsageError for a place where nothing may be written, see ``files``."""
    texts = {path: FORMATS[name](report, places) for name, path in outputs.items()}
    for path, text in texts.items():
        write(path, text)


def write_failure(failure: Failure, places: Places, name: str, path: Path) -> None:
    """Write that nothing was decided, in the format ``name``. Raises UsageError as ``write_outputs`` does."""
    write(path, FAILED[name](failure, places))
