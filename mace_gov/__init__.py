"""Model governance for text-to-image models: erase banned concepts, prove it, sign it, gate the release.

What is used from outside is here::

    import mace_gov

    run = mace_gov.apply("policies/nsfw.yaml")                        # erase, audit, sign, gate, report
    print(run.verdict.outcome, run.version, run.report)
    evidence = mace_gov.verify(run.version)                           # or an error that names what does not hold
    print(evidence.evidence.audit.measures, *evidence.checks, sep="\\n")
    verdict = mace_gov.decide(run.version, "policies/stricter.yaml")  # the gate, anew, under another policy
    print(*(f"{each.rule} {each.outcome}" for each in verdict.findings), sep="\\n")
    pipe = mace_gov.load(run.version)                                 # a diffusers pipeline
    pipe("a photo of a cat").images[0]

The map, which is also the order of work; each arrow is a document in ``mace_gov.documents``::

    policy -> plan -> erase -> audit -> record -> attest -> gate -> report

``workflow`` joins the stages, and nothing else does; ``cli`` is the terminal; ``diffusion`` is the only door to
diffusers; ``core`` knows no word of the domain. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mace_gov.core.lazy import lookup
from mace_gov.core.version import __version__

if TYPE_CHECKING:
    import torch

    from mace_gov.audit.inputs import AuditRun, Inputs
    from mace_gov.diffusion.pipeline import Pipeline
    from mace_gov.documents.evidence import VerifiedEvidence
    from mace_gov.documents.release_check import ReleaseCheck
    from mace_gov.documents.verdict import Verdict
    from mace_gov.workflow.applying import RunResult
    from mace_gov.workflow.deciding import Exceptions
    from mace_gov.workflow.planning import BaseChoice

__all__ = ["__version__", "apply", "audit_model", "decide", "load", "verify"]


def apply(
    policy: str | Path, *, model: str | None = None, registry: str | Path = "registry",
    reports: str | Path = "reports", waivers: Sequence[str | Path] = (), plugins: Sequence[str] = (),
    device: str | None = None,
) -> RunResult:
    """All stages: a policy in; a governed version, its signed evidence, a verdict and a report out.

    policy    a YAML file
    model     the base model instead of the policy's own: ``embedded``, a folder, a ``.safetensors`` file, a hub id or
              ``registry:NAME/N``
    waivers   files of exceptions
    plugins   detectors of your own, each ``NAME=module:attr`` or ``NAME=file.py:attr``

    Raises ``core.errors.PolicyError`` with everything that is wrong with the policy for this model, before any work;
    ``ModelError``, ``MissingExtraError``, ``NumericalError`` and other ``MaceGovError``. A verdict that is not PASS is
    no error: see ``verdict`` and ``check`` of what comes back.
    """
    run: Callable[..., RunResult] = lookup("mace_gov.workflow.applying:apply")
    inputs = lookup("mace_gov.audit.inputs:Inputs")(plugins=tuple(plugins))
    return run(Path(policy), base=_base(model), asked=_exceptions(waivers), registry=Path(registry),
               reports=Path(reports), run=_audit_run(device, inputs))


def audit_model(
    model: str, policy: str | Path, *, base: str | None = None, inputs: Inputs | None = None,
    registry: str | Path = "registry", reports: str | Path = "reports", device: str | None = None,
) -> RunResult:
    """Audit a model that was made elsewhere against a policy and its base model; sign, gate and report.

    base      the model to compare with instead of the policy's own
    inputs    prompts, pictures, tiers and plugins beside the policy, see ``audit.inputs.Inputs``

    Raises as ``apply`` does.
    """
    run: Callable[..., RunResult] = lookup("mace_gov.workflow.applying:audit_model")
    inputs = inputs or lookup("mace_gov.audit.inputs:Inputs")()
    return run(model, Path(policy), base=_base(base), registry=Path(registry), reports=Path(reports),
               run=_audit_run(device, inputs))


def verify(
    version: str | Path, *, key: str | Path | None = None, registry: str | Path = "registry"
) -> VerifiedEvidence:
    """Verify a version, an audit or a report: every signature, digest and file. No model is loaded, no torch.

    version   ``NAME/N``, ``models:/NAME@compliant``, or a folder: a version's, a report's, or a copy of a model
    key       the pinned public key (PEM) or trust file; without it the registry's own, which proves less

    Raises ``IntegrityError`` that names what does not hold, ``RecalledError``, ``NotReleasedError`` when a waiver that
    the verdict rests on has ended. What comes back has the signed ``verdict``, be it PASS or not.
    """
    run: Callable[..., tuple[VerifiedEvidence, Verdict, ReleaseCheck]] = lookup(
        "mace_gov.workflow.checking:verify_path")
    return run(Path(version), key=Path(key) if key else None, registry=Path(registry))[0]


def decide(
    version: str | Path, policy: str | Path | None = None, *, key: str | Path | None = None,
    registry: str | Path = "registry", waivers: Sequence[str | Path] = (), against: str | None = None,
) -> Verdict:
    """The gate: verify a version's evidence, then decide anew under a policy. ``verdict.exit_code`` is the command's.

    policy    a YAML file; the one that was signed with the version unless given
    waivers   files of exceptions
    against   a version to compare with: ``last``, ``NAME/N`` or a folder

    Raises as ``verify`` does, and ``PolicyError``.
    """
    run: Callable[..., tuple[VerifiedEvidence, Verdict, ReleaseCheck]] = lookup("mace_gov.workflow.deciding:gate_path")
    return run(Path(version), Path(policy) if policy else None, key=Path(key) if key else None,
               registry=Path(registry), asked=_exceptions(waivers, against))[1]


def load(
    version: str | Path, *, key: str | Path | None = None, registry: str | Path = "registry",
    device: str | None = None, dtype: torch.dtype | None = None,
) -> Pipeline:
    """Verify a governed version, then load it: a ready diffusers pipeline, or an error and nothing loaded.

    version   ``NAME/N`` in the registry, ``models:/NAME@compliant``, a version's folder, or a copy of its model folder
    key       the pinned public key (PEM) or trust file; without it the registry's own, which proves less
    device    cuda, mps or cpu; the best there is by default
    dtype     float32 by default

    It draws with the steps and the guidance that it was judged by, unless a call gives others.
    Raises ``core.errors.IntegrityError`` when a signature, a digest or a file does not hold, ``NotReleasedError`` when
    the signed verdict does not let it through, ``RecalledError`` when it was called back.
    """
    run: Callable[..., Pipeline] = lookup("mace_gov.workflow.loading:load")
    return run(version, key=Path(key) if key else None, registry=Path(registry), device=device, dtype=dtype)


def _base(ref: str | None) -> BaseChoice:
    choice: Callable[..., BaseChoice] = lookup("mace_gov.workflow.planning:BaseChoice")
    return choice(ref)


def _exceptions(waivers: Sequence[str | Path], against: str | None = None) -> Exceptions:
    made: Callable[..., Exceptions] = lookup("mace_gov.workflow.deciding:Exceptions")
    return made([Path(each) for each in waivers], against)


def _audit_run(device: str | None, inputs: Inputs) -> AuditRun:
    run: Callable[..., AuditRun] = lookup("mace_gov.audit.inputs:AuditRun")
    return run(device=device, inputs=inputs)
