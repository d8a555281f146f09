"""Evidence of every released form verifies forever.

Each folder of tests/golden holds a version, a report and the public key (or trust file) to pin. They were written by
the release that they are named after, and are never written again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError

GOLDEN = Path(__file__).parents[1] / "golden"
RELEASES = sorted(path for path in GOLDEN.glob("[0-9]*") if path.is_dir())


def _pin(release: Path) -> Path:
    return next(path for path in (release / "trust.json", release / "pipeline.pub.pem") if path.exists())


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
@pytest.mark.parametrize("kind", ["version", "report"])
def test_it_still_verifies(release: Path, kind: str) -> None:
    verified = verify(release / kind, key=_pin(release))
    assert verified.verdict.outcome == "PASS"
    assert verified.resource_uri == "mace-gov:nsfw/1"


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_changed_copy_still_fails(release: Path, tmp_path: Path) -> None:
    copy = tmp_path / "version"
    shutil.copytree(release / "version", copy)
    weights = copy / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(IntegrityError, match="diffusion_pytorch_model"):
        verify(copy, key=_pin(release))


def test_sign_offs_still_count() -> None:
    (said,) = verify(GOLDEN / "0.2.0" / "version", key=GOLDEN / "0.2.0" / "trust.json").sign_offs
    assert (said.reviewer, said.decision) == ("Ada", "approve")


def test_none_was_taken_away() -> None:
    assert [release.name for release in RELEASES][:2] == ["0.1.0", "0.2.0"]
