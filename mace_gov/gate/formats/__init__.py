"""What CI systems read, each made from the one report and nothing else: no picture and no prompt in any of them.

rows         the report as lines to tell: a rule, a regression or the model as a whole, and whether it blocks
document     report.json itself
summary      Markdown for a job's summary page
junit        JUnit XML: the policy is a suite, a rule is a case
sarif        SARIF 2.1.0: a finding is placed at the rule's line in the policy
commands     GitHub's workflow commands: annotations
table        CSV, a line for each rule
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mace_gov.core.atomic import write_text
from mace_gov.core.errors import UsageError
from mace_gov.core.terminal import write_document
from mace_gov.documents.report import Report
from mace_gov.gate.formats import commands, junit, sarif, summary, table
from mace_gov.gate.formats.rows import Places


def document(report: Report, places: Places) -> str:
    """The report itself, in canonical form."""
    return report.canonical().decode("utf-8")


FORMATS: dict[str, Callable[[Report, Places], str]] = {
    "json": document,
    "markdown": summary.markdown,
    "junit": junit.junit,
    "sarif": sarif.sarif,
    "annotations": commands.annotations,
    "csv": table.table,
}
"""Every format by its name."""


def parse_outputs(options: list[str]) -> dict[str, Path]:
    """``FORMAT=FILE`` options. Raises UsageError for a format that is not known, or is asked for twice."""
    outputs: dict[str, Path] = {}
    for option in options:
        name, _, path = option.partition("=")
        if name not in FORMATS or not path:
            raise UsageError(f"'{option}' is no output, expected FORMAT=FILE with one of: {', '.join(FORMATS)}")
        if name in outputs:
            raise UsageError(f"the output '{name}' is asked for twice, expected once")
        outputs[name] = Path(path)
    return outputs


def write_outputs(report: Report, places: Places, outputs: Mapping[str, Path]) -> None:
    """Write each format to its file, whole or not at all; ``-`` is standard output."""
    texts = {path: FORMATS[name](report, places) for name, path in outputs.items()}
    for path, text in texts.items():
        if str(path) == "-":
            write_document(text)
        elif path.exists() and not path.is_file():
            # A pipe or a device cannot be replaced by a rename.
            path.write_text(text, encoding="utf-8")
        else:
            write_text(path, text)
