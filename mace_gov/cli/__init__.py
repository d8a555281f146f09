"""The terminal: one file a command. Bodies import late, so that --help stays fast and needs no model library."""

from __future__ import annotations

import sys

from mace_gov.cli.signals import Interrupted, raise_interrupted
from mace_gov.cli.streams import flushed, outlive_readers
from mace_gov.core.terminal import guarded
from mace_gov.core.threads import settle_threads


def main() -> None:
    """Console entry point: runs a command and turns every way it can end into one exit code."""
    try:
        with raise_interrupted():  # the commands take half a second to import
            from mace_gov.cli.app import app
            from mace_gov.cli.ending import INTERNAL, end
    except Interrupted as interrupted:
        print(f"error: interrupted ({interrupted.name}) before anything was done", file=sys.stderr)
        sys.exit(interrupted.exit_code)
    settle_threads()
    outlive_readers()
    with guarded():
        code = end(app)
    sys.exit(code if flushed() else code or INTERNAL)
