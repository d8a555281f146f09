"""mace-gov gate: decide on a version's evidence under a policy."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from mace_gov.cli.options import Against, AsJson, Key, Outputs, PolicyOption, Registry, WaiverFiles, check_outputs
from mace_gov.documents.terms import Severity


class Mode(StrEnum):
    """What a verdict does."""

    ENFORCE = "enforce"
    AUDIT = "audit"


_MODES: dict[Mode, Literal["enforce", "audit"]] = {Mode.ENFORCE: "enforce", Mode.AUDIT: "audit"}


class Uncertain(StrEnum):
    """What a REVIEW ends as."""

    REVIEW = "review"
    FAIL = "fail"


_ENDS: dict[Uncertain, Literal["review", "fail"]] = {Uncertain.REVIEW: "review", Uncertain.FAIL: "fail"}


def gate(
    path: Annotated[Path, typer.Argument(help="A version, a report folder or a model folder.", show_default=False)],
    policy: PolicyOption,
    waivers: WaiverFiles = None,
    against: Against = None,
    mode: Annotated[
        Mode | None, typer.Option(help="enforce blocks, audit reports. Default: the policy's.")
    ] = None,
    fail_on: Annotated[
        Severity | None, typer.Option(help="Least severity that blocks. Default: the policy's, else low.")
    ] = None,
    on_uncertain: Annotated[
        Uncertain | None,
        typer.Option(help="What a REVIEW ends as: exit 5 or exit 1. Default: the policy's, else review."),
    ] = None,
    output: Outputs = None,
    key: Key = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Verify the evidence, then decide anew against a policy file: what changed in it since is decided where the
    evidence answers, and is a REVIEW where not. The exit code is the decision."""
    outputs = check_outputs(output, as_json=as_json)
    from mace_gov.cli.output import finish_verified, say_not_compared
    from mace_gov.gate.decide import Terms
    from mace_gov.workflow import gate_path
    from mace_gov.workflow.deciding import Exceptions

    verified, verdict, after = gate_path(
        path, policy, key=key, registry=registry, asked=Exceptions(waivers or (), against), outputs=outputs,
        terms=Terms(_MODES[mode] if mode else None, fail_on, _ENDS[on_uncertain] if on_uncertain else None),
    )
    say_not_compared(against, verdict)
    raise typer.Exit(finish_verified(verified, verdict, after, pinned=key is not None, as_json=as_json))
