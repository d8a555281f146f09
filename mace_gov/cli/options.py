"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace_gov.core.resources import Dtype
from mace_gov.documents.format_info import FORMATS

PolicyPath = Annotated[Path, typer.Argument(help="Policy file (YAML).", show_default=False)]
PolicyOption = Annotated[Path, typer.Option("--policy", help="Policy file (YAML).", show_default=False)]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Base model instead of the policy's: embedded, a folder, a hub id, registry:NAME/N."),
]
Revision = Annotated[str | None, typer.Option("--revision", help="Commit of a hub model.")]
Registry = Annotated[Path, typer.Option("--registry", help="Registry folder.")]
Reports = Annotated[Path, typer.Option("--reports", help="Folder for reports.")]
Key = Annotated[
    Path | None,
    typer.Option("--key", help="Pinned public key (PEM) or trust file. Default: the registry's, which proves less."),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        help=f"FORMAT=FILE: {', '.join(FORMATS)}; - is standard output. May be given again.",
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A detector of your own: NAME=module:attr or NAME=file.py:attr; repeat it.",
                 show_default=False),
]
WaiverFiles = Annotated[
    list[Path] | None, typer.Option("--waivers", help="Waivers file (YAML); may be given again.", show_default=False)
]
TrustConfig = Annotated[
    Path | None,
    typer.Option("--trust-config", help="Sigstore servers and roots of your own (JSON). Default: the public ones.",
                 show_default=False),
]
Against = Annotated[
    str | None,
    typer.Option(help="Compare with this version (last, NAME/N, a folder): nothing banned may come back."),
]
Unmeasured = Annotated[
    bool, typer.Option("--allow-unmeasured", help="Take a model of a kind on which no erasure has been measured.")
]
Exact = Annotated[
    bool, typer.Option("--exact", help="Train LoRAs anew that were trained on the refinement of other targets.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object alone on standard output.")]
Device = Annotated[str | None, typer.Option("--device", help="cuda, mps or cpu; the best there is by default.")]
Batch = Annotated[
    int | None,
    typer.Option("--batch", min=1, help="Pictures or LoRAs in one pass. Default: as many as the memory has room for."),
]
Precision = Annotated[
    Dtype | None,
    typer.Option("--dtype", help="What the U-Net multiplies in. Default: halves where the device is faster with them.",
                 show_default=False),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads. Default: as many processors as the container may use; 1 for a "
                                          "worker.", show_default=False),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes that draw, train and look, here or with --ray on the cluster. "
                                          "Default: this one; with --ray one for each graphics card.",
                 show_default=False),
]
Ray = Annotated[
    str | None,
    typer.Option("--ray", help="Draw, train and look on a Ray cluster: auto, or HOST:PORT.", show_default=False),
]


def check_outputs(options: list[str] | None, *, as_json: bool) -> dict[str, Path]:
    """``FORMAT=FILE`` options. Raises UsageError when one is not that, or when two would share standard output."""
    from mace_gov.core.errors import UsageError
    from mace_gov.report.formats import parse_outputs

    outputs = parse_outputs(options or [])
    printed = [name for name, path in outputs.items() if str(path) == "-"]
    if len(printed) + as_json > 1:
        raise UsageError(f"standard output is asked for twice: {', '.join([*printed, *['--json'] * as_json])}")
    return outputs
