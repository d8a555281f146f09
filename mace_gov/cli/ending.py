"""Every way a command can end, as one exit code and one readable message."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
import traceback
from contextlib import suppress
from signal import SIGINT

import typer

from mace_gov.cli.observing import finish, logs_json
from mace_gov.cli.outputs import Outputs, in_unicode
from mace_gov.cli.signals import Interrupted, raise_interrupted
from mace_gov.cli.streams import is_verbose
from mace_gov.core.errors import MaceGovError
from mace_gov.core.redact import redact

INTERNAL = 3
INTERRUPTED = 130


def end(app: typer.Typer) -> int:
    """Run ``app`` on sys.argv and return the exit code. What ``--output`` asks for is written however it ends."""
    with raise_interrupted():
        try:
            return _end(app)
        except Interrupted as interrupted:  # while its end was being told
            return interrupted.exit_code


def _end(app: typer.Typer) -> int:
    outputs = Outputs(sys.argv)
    try:
        outputs.clear()
        result = app(standalone_mode=False, prog_name="mace-gov")
        if result == INTERRUPTED:  # no command ends with it: so typer tells of a KeyboardInterrupt
            raise Interrupted(SIGINT)
        code = result if isinstance(result, int) else 0
        finish(code)
        return code
    except Interrupted as interrupted:
        message, hint, code = _interrupted(interrupted)
    except MaceGovError as error:
        message, hint, code = error.message, error.hint, error.exit_code
    except KeyboardInterrupt:
        message, hint, code = _interrupted(Interrupted(SIGINT))
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
            if os.environ.get("MACE_GOV_DEBUG") or is_verbose():
                print(redact("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    message, hint = in_unicode(message), in_unicode(hint)
    outputs.fail(message, hint, code)
    observed = logs_json()
    with suppress(OSError):  # on a full disk nobody can be told, and the code stands
        finish(code, message, hint)
    if not observed or "--json" in sys.argv:  # else it was told as an event
        with suppress(OSError):
            _say(message, hint, code)
    return code


def _interrupted(interrupted: Interrupted) -> tuple[str, str, int]:
    command = shlex.join(["mace-gov", *sys.argv[1:]])  # whole: options of all commands stand before its name
    return (f"`{command}` was interrupted ({interrupted.name}); nothing half-written was kept",
            "Run it again: finished parts are reused.", interrupted.exit_code)


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"See `{context.command_path} --help`." if context is not None else "See `mace-gov --help`."


def _internal(error: Exception) -> tuple[str, str]:
    """What to say of an error that is none of ours, and what to do next."""
    if isinstance(error, OSError):
        copied = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) and error.filename2
        return (f"{copied or error.filename or 'a file'}: {error.strerror or error}",
                "Check the path, its permissions and the space left.")
    return (f"internal error: {type(error).__name__}: {error}",
            "Run again with MACE_GOV_DEBUG=1 to see the traceback, and report it.")


def _say(message: str, hint: str, code: int) -> None:
    message = redact(message)
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "hint": hint, "exit_code": code}))
    else:
        from rich.text import Text

        from mace_gov.core.console import Console

        console = Console(stderr=True, soft_wrap=True)
        console.print(Text("error: ", style="bold red") + Text(message))
        if hint:
            console.print(Text("next:  ", style="bold") + Text(hint))
