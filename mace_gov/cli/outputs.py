"""The files of ``--output``, from before the command is understood until after it has failed, whatever it failed of.

Usage errors end a command before its own code runs, so what was asked for is read from the command line as typed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mace_gov.core.errors import UsageError

REPORT = "report.json"
SIGNED = ("evidence.dsse.json", "verdict.dsse.json", "report.dsse.json", "model_index.json")
"""What tells a folder in which every file is signed."""
OF_REGISTRY = ("versions", "audits", "keys", "releases", "decisions", "reviews", "pinned.json", "mlflow.db")
"""What of a registry only its own commands write."""


class Outputs:
    """What ``gate`` and ``export`` were asked to write."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._command = argv[1] if len(argv) > 1 else ""
        words = [word.partition("=") if word.startswith("--") else (word, "", "") for word in argv[2:]]
        values = [(name, value or (words[i + 1][0] if i + 1 < len(words) else "")) if name.startswith("--") else
                  ("", name) for i, (name, _, value) in enumerate(words)]
        self._policy = next((value for name, value in values if name == "--policy"), "")
        self._found: list[tuple[str, Path]] = []
        self._signed: tuple[list[str], list[str]] = ([], [])
        if self._command in ("gate", "export"):
            printed = sum(name == "--output" and value.endswith("=-") for name, value in values)
            shared = printed + ("--json" in argv) > 1  # an error itself, which --json prints
            # realpath, unlike Path.resolve, raises nothing on links that lead round
            read = {os.path.realpath(each) for _, value in values if value for each in (value, Path(value, REPORT))}
            self._signed = self._kept(values)
            for name, value in values:
                form, _, file = value.partition("=")
                # What the command reads is not taken away before it is read.
                own = self._command == "gate" or os.path.realpath(file) not in read
                if name == "--output" and file and own and not (shared and file == "-"):
                    self._found.append((form, Path(file)))

    def _kept(self, values: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
        """Files that the gate is given, and folders in which everything is signed: no output replaces any of it."""
        if self._command != "gate":
            return [], []
        given = [value for name, value in values if value and name != "--output"]
        registry = next((value for name, value in values if name == "--registry"), "registry")
        # os.path, unlike pathlib, raises nothing on names that are too long.
        folders = [Path(value) for value in given
                   if any(os.path.exists(Path(value, name)) for name in SIGNED)]  # noqa: PTH110
        return [os.path.realpath(value) for value in given if os.path.isfile(value)], [  # noqa: PTH113
            os.path.realpath(each) for each in (*(Path(registry, name) for name in OF_REGISTRY), *folders)]

    def _refused(self, path: Path) -> bool:
        files, folders = self._signed
        place = os.path.realpath(path)
        return str(path) != "-" and (place in files or any(
            place == each or place.startswith(each + os.sep) for each in folders))

    def clear(self) -> None:
        """Take away what an earlier run left. Raises UsageError for a place where nothing may be written."""
        if self._found:
            from mace_gov.gate.formats.files import clear

            refused = [path for _, path in self._found if self._refused(path)]
            self._found = [(form, path) for form, path in self._found if path not in refused]
            for _, path in self._found:
                clear(path)
            if refused:
                raise UsageError(f"the output {refused[0]} would replace what the gate reads or what was signed",
                                 hint="Give it a place of its own: FORMAT=FILE.")

    def fail(self, message: str, hint: str, code: int) -> None:
        """Write that nothing was decided; a file that cannot be written is told on standard error."""
        if self._command != "gate" or not self._found:
            return
        from mace_gov.documents.failure import Failure
        from mace_gov.gate.formats import FORMATS, Places, write_failure
        from mace_gov.workflow.deciding import in_repository

        place = Places()
        with suppress(Exception):
            place = Places(in_repository(Path(self._policy))) if self._policy else place
        failure = Failure(error=message, hint=hint, exit_code=code, policy_name=self._name())
        for form, path in self._found:
            if form not in FORMATS:
                continue
            try:
                write_failure(failure, place, form, path)
            except Exception as error:
                print(f"error: the output {path} was not written: {error}", file=sys.stderr)

    def _name(self) -> str:
        """The policy's name, as far as its file tells."""
        from mace_gov.policy.load import load_policy

        path = Path(self._policy)
        with suppress(Exception):
            return load_policy(path, ended=True).policy.metadata.name
        return in_unicode(path.stem) or "policy"


def in_unicode(text: str) -> str:
    """``text`` without the stand-ins for a file name's bytes that are no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
