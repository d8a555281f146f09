"""mace-gov detectors: what can look at pictures, and how often it errs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mace_gov.cli.options import AsJson, Plugins, Registry

if TYPE_CHECKING:
    from mace_gov.documents.rate import Estimate

app = typer.Typer(help="List detectors and measure their errors.", no_args_is_help=True)


@app.command("list")
def list_(plugin: Plugins = None, registry: Registry = Path("registry"), as_json: AsJson = False) -> None:
    """List every detector that a policy may name, with the errors that were measured in this registry."""
    from mace_gov.audit.calibrate import load_all
    from mace_gov.audit.detectors.by_name import known_detectors
    from mace_gov.audit.detectors.plugin import load
    from mace_gov.core.errors import UsageError
    from mace_gov.documents.registry import Layout

    measured = load_all(Layout(registry).calibrations)
    rows = []
    for name, target in known_detectors(plugin or ()).items():
        try:
            about = (load(target).__doc__ or "").strip().splitlines() or [""]
        except UsageError as error:
            about = [error.message]
        rows.append({"name": name, "target": target, "about": about[0],
                     "calibrations": [c.to_json() for c in measured if c.detector == name]})
    if as_json:
        typer.echo(json.dumps({"detectors": rows}))
        return
    for row in rows:
        typer.echo(f"{row['name']:16} {row['about']}")
        for calibration in (c for c in measured if c.detector == row["name"]):
            typer.echo(f"{'':16} at {calibration.threshold:g}: sensitivity {_rate(calibration.sensitivity)}, "
                       f"specificity {_rate(calibration.specificity)}")


@app.command()
def calibrate(
    name: Annotated[str, typer.Argument(help="Detector, as `detectors list` names it.", show_default=False)],
    labels: Annotated[
        Path, typer.Argument(help="CSV with the columns file, phrase, present (1 or 0).", show_default=False)
    ],
    images: Annotated[Path | None, typer.Option("--images", help="Folder of the files. Default: the CSV's.")] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", min=1e-9, max=1.0, help="Default: the detector's own.")
    ] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help="Label that counts; repeat it.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Its model: folder or hub id (clip), ONNX file (face).")
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Commit of a hub model.")] = None,
    references: Annotated[str | None, typer.Option("--references", help="Folder of reference pictures (face).")] = None,
    plugin: Plugins = None,
    registry: Registry = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """Measure a detector's sensitivity and specificity on labelled pictures, for the audits of this registry."""
    from mace_gov.audit import calibrate as measuring
    from mace_gov.audit.detectors.by_name import known_detectors, make_detector
    from mace_gov.cli.progress import progress
    from mace_gov.core.errors import UsageError
    from mace_gov.documents.detector_info import INFOS
    from mace_gov.documents.policy import DetectorSpec
    from mace_gov.documents.registry import Layout

    available = known_detectors(plugin or ())
    if name not in available:
        raise UsageError(f"found detector '{name}', expected one of: {', '.join(sorted(available))}")
    if name in INFOS and INFOS[name].rivals and not classes:
        raise UsageError(f"found no --class for {name}, expected what stands against a phrase: else it chooses among "
                         "the words of each policy, and errs on each in another way",
                         hint="Give the same labels as `classes` in the policy.")
    spec = DetectorSpec(name=name, threshold=threshold, classes=classes or None, model=model, revision=revision,
                        references=references)
    detector = make_detector(spec, known=available)
    known = measuring.read_labels(labels, images or labels.parent)
    with progress() as shown:
        found = measuring.calibrate(detector, known, progress=shown)
    path = measuring.save(found, Layout(registry).calibrations)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "path": str(path)}))
        return
    typer.echo(f"sensitivity {_rate(found.sensitivity)}\nspecificity {_rate(found.specificity)}")
    if found.failures:
        typer.echo(f"{found.failures} pictures are in neither: the detector broke on them")
    typer.echo(f"saved {path}; it holds for this detector at threshold {found.threshold:g} alone")


def _rate(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%}, n = {estimate.n})"
