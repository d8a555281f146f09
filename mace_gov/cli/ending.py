"""Every way a command can end, as one exit code and one readable message."""

from __future__ import annotations

import json
import os
import sys
import traceback

import typer

from mace_gov.cli.outputs import Outputs, in_unicode
from mace_gov.core.errors import MaceGovError

INTERNAL = 3
INTERRUPTED = 130


def end(app: typer.Typer) -> int:
    """Run ``app`` on sys.argv and return the exit code. What ``--output`` asks for is written however it ends."""
    outputs = Outputs(sys.argv)
    try:
        outputs.clear()
        result = app(standalone_mode=False, prog_name="mace-gov")
        if result == INTERRUPTED:  # what Typer makes of Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except MaceGovError as error:
        message, hint, code = error.message, error.hint, error.exit_code
    except KeyboardInterrupt:
        message, code = "interrupted; nothing half-written was kept", INTERRUPTED
        hint = "Run the command again: finished parts are reused."
    except typer.Abort:
        message, hint, code = "aborted", "Run the command again.", INTERRUPTED
    except SystemExit as error:
        # Commands end by typer.Exit. This is a library that gives up, as Typer and Rich do on a stream they cannot use.
        message, hint, code = f"a library ended the command ({error.code})", "Run the command again.", INTERNAL
    except Exception as error:
        # Typer's usage errors come from the click that it bundles or depends on; both have these two.
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):
            # Their 1 would say that the policy is violated.
            message, hint, code = error.format_message(), _usage(error), max(2, int(error.exit_code))
        else:
            message, hint, code = *_internal(error), INTERNAL
            if os.environ.get("MACE_GOV_DEBUG"):
                traceback.print_exception(error)
    message, hint = in_unicode(message), in_unicode(hint)
    outputs.fail(message, hint, code)
    return _say(message, hint, code)


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"See `{context.command_path} --help`." if context is not None else "See `mace-gov --help`."


def _internal(error: Exception) -> tuple[str, str]:
    """What to say of an error that is none of ours, and what to do next."""
    if isinstance(error, OSError):
        return (f"{error.filename or 'a file'}: {error.strerror or error}",
                "Check the path, its permissions and the space left.")
    return (f"internal error: {type(error).__name__}: {error}",
            "Run again with MACE_GOV_DEBUG=1 to see the traceback, and report it.")


def _say(message: str, hint: str, code: int) -> int:
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "hint": hint, "exit_code": code}))
    else:
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text("error: ", style="bold red") + Text(message))
        if hint:
            console.print(Text("next:  ", style="bold") + Text(hint))
    return code
