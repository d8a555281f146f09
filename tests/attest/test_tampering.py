"""One byte changed, one file added or one removed, anywhere: refused, and the file is named."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError
from tests import factories

VERSION_FILES = sorted([
    "evidence.dsse.json", "mlbom.cdx.json", "model.sig", "provenance.dsse.json", "test-result.dsse.json",
    "verdict.dsse.json", *factories.other_files(),
    *(f"model/{name}" for name in factories.MODEL_FILES), *(f"evidence/{name}" for name in factories.evidence_files()),
])
REPORT_FILES = ["evidence.dsse.json", "index.html", "policy.yaml", "report.dsse.json", "report.json",
                "verdict.dsse.json"]
EVERY_FILE = [("version", name) for name in VERSION_FILES] + [("report", name) for name in REPORT_FILES]


@dataclass(frozen=True)
class Place:
    """A folder under attack, its key and its registry."""

    folder: Path
    key: Path
    registry: Path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("originals")
    factories.report_folder(root, factories.version_folder(root, complete=True))
    return root


def _copy(originals: Path, tmp_path: Path, kind: str) -> Place:
    root = tmp_path / "copy"
    shutil.copytree(originals, root)
    folder = root / ("registry/versions/nsfw/1" if kind == "version" else "reports/nsfw-v1")
    return Place(folder, root / "registry" / "keys" / "pipeline.pub.pem", root / "registry")


def _refused(place: Place, name: str) -> None:
    with pytest.raises(IntegrityError) as refused:
        verify(place.folder, key=place.key)
    assert name in refused.value.message
    assert refused.value.exit_code == 4


def test_the_lists_above_are_all_files_there_are(originals: Path, tmp_path: Path) -> None:
    for kind, names in (("version", VERSION_FILES), ("report", REPORT_FILES)):
        place = _copy(originals, tmp_path / kind, kind)
        assert factories.all_files(place.folder) == names
        assert verify(place.folder, key=place.key).verdict.outcome == "PASS"


@pytest.mark.parametrize("kind, name", EVERY_FILE)
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_changed_byte_is_refused(originals: Path, tmp_path: Path, kind: str, name: str, where: float) -> None:
    place = _copy(originals, tmp_path, kind)
    data = bytearray((place.folder / name).read_bytes())
    data[round(where * (len(data) - 1))] ^= 1
    (place.folder / name).write_bytes(data)
    _refused(place, name)


@pytest.mark.parametrize("kind, name", EVERY_FILE)
def test_a_removed_file_is_refused(originals: Path, tmp_path: Path, kind: str, name: str) -> None:
    place = _copy(originals, tmp_path, kind)
    (place.folder / name).unlink()
    _refused(place, name)


@pytest.mark.parametrize("kind, name", EVERY_FILE)
def test_a_truncated_and_a_doubled_file_are_refused(originals: Path, tmp_path: Path, kind: str, name: str) -> None:
    place = _copy(originals, tmp_path, kind)
    data = (place.folder / name).read_bytes()
    for changed in (b"", data[:-1], data + data):
        (place.folder / name).write_bytes(changed)
        _refused(place, name)


@pytest.mark.parametrize("kind, name", [
    ("version", "model/pytorch_model.bin"), ("version", "model/unet/.hidden"), ("version", "evidence/pictures/2.png"),
    ("version", "delta/more"), ("version", "note.txt"), ("version", "x.dsse.json"), ("report", "note.txt"),
    ("report", "pictures/1.png"),
])
def test_an_added_file_is_refused(originals: Path, tmp_path: Path, kind: str, name: str) -> None:
    place = _copy(originals, tmp_path, kind)
    factories.write_files(place.folder, {name: b""})
    _refused(place, name)


@pytest.mark.parametrize("name", sorted(factories.MODEL_FILES))
def test_a_changed_model_is_refused_by_its_own_path_too(originals: Path, tmp_path: Path, name: str) -> None:
    place = _copy(originals, tmp_path, "version")
    path = place.folder / "model" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=name):
        verify(place.folder / "model", key=place.key, registry=place.registry)
