"""The one tree of errors.

Every class carries the exit code of the command that ends with it and a hint of what to do next. A failed gate is a
``Verdict``, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence

from mace_gov.core.redact import redact


class MaceGovError(Exception):
    """Something went wrong that the user can act on.

    ``message`` names the thing, the value found and the value expected; ``hint`` says what to do next. Neither holds
    a password or a token: what other libraries said is often part of them.
    """

    exit_code: int = 3
    hint: str = "Run `mace-gov doctor` to check the installation."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = redact(message)
        super().__init__(self.message)
        if hint is not None:
            self.hint = redact(hint)


class UsageError(MaceGovError):
    """An argument, a path or a reference that cannot mean anything."""

    exit_code = 2
    hint = "Run the command with --help."


class PolicyError(MaceGovError):
    """A policy that does not validate. ``problems`` holds every error that was found, one line each."""

    exit_code = 2
    hint = "Fix the lines named above, then run `mace-gov policy lint` again."

    def __init__(self, message: str, problems: Sequence[str] = (), *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *problems]), hint=hint)
        self.problems = tuple(map(redact, problems))


class IncompleteError(MaceGovError):
    """The work could not be finished: an unreadable model, no space, an interrupted stage."""


class MissingExtraError(IncompleteError):
    """A package that an optional extra brings is not installed."""


class ModelError(IncompleteError):
    """A model that cannot be read, or is of a kind that nothing here has measured."""

    hint = "Give `embedded`, a diffusers folder with safetensors weights, or a hub id."


class NumericalError(IncompleteError):
    """A linear system or a weight that is not finite or not well conditioned."""

    hint = "Raise refine.ridge or fuse.ridge, or give preserve.scale a larger value."


class DetectorError(IncompleteError):
    """A detector that could not score an image. The trial is unscored, never "not present"."""


class NotReleasedError(MaceGovError):
    """A governed model that somebody wants to use, but that its verdict does not let through. ``code``: the gate's."""

    exit_code = 5
    hint = "See the report; `mace-gov sign-off` closes what is left to review, nothing but another version a failure."

    def __init__(self, message: str, *, code: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = code


class IntegrityError(MaceGovError):
    """A signature, digest or key that does not hold."""

    exit_code = 4
    hint = "Do not release this version. Get the files again from where they were signed, or run `mace-gov apply` anew."


class RecalledError(MaceGovError):
    """A version that was released once and called back: everything holds, and it must not be deployed."""

    exit_code = 1
    hint = "Deploy another version: `mace-gov registry list` shows which is compliant."
