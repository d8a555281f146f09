"""What is loaded is what was hashed, whatever becomes of the folder meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mace_gov.core import private
from mace_gov.core.errors import ModelError
from mace_gov.diffusion.exact import exact_files
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(tmp_path: Path, tiny_model: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.mark.parametrize("copied", [False, True])
def test_a_folder_that_is_exchanged_does_not_reach_what_was_hashed(
    model: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    if copied:
        monkeypatch.setattr(private, "_OPEN_FILES", Path("/nowhere"))
    manifest, good = read_manifest(str(model)), (model / UNET).read_bytes()
    with exact_files(manifest) as (folder, unchanged):
        (model / "unet").rename(model / "aside")
        (model / "unet").mkdir()
        (model / UNET).write_bytes(b"never hashed")
        assert (folder / UNET).read_bytes() == good
        load_pipeline(folder)
        unchanged()
    assert not folder.exists()


def test_a_file_that_is_written_to_is_noticed_though_its_old_bytes_are_put_back(model: Path) -> None:
    manifest, good = read_manifest(str(model)), (model / UNET).read_bytes()
    times = (model / UNET).stat()
    with exact_files(manifest) as (_, unchanged):
        for data in (b"x" * len(good), good):
            with (model / UNET).open("r+b") as file:
                file.write(data)
        os.utime(model / UNET, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.raises(ModelError, match=f"{UNET}: was written to, moved or"):
            unchanged()


def test_what_does_not_load_is_named_by_its_own_place(model: Path) -> None:
    (model / UNET).write_bytes(b"no weights")
    with pytest.raises(ModelError) as caught, exact_files(read_manifest(str(model))) as (folder, _):
        load_pipeline(folder)
    assert str(model) in str(caught.value) and str(folder) not in str(caught.value)


def test_what_came_changed_or_went_since_the_plan_is_named(model: Path) -> None:
    (model / "NOTES.md").write_text("a remark")
    manifest = read_manifest(str(model))
    (model / "NOTES.md").write_text("another remark")
    with exact_files(manifest, texts=True) as (folder, unchanged):
        assert (folder / "NOTES.md").read_text() == "another remark"
        assert read_manifest(str(folder)).digest == manifest.digest
        unchanged()
    (model / "tokenizer" / "added_tokens.json").write_text("{}")
    with pytest.raises(ModelError, match=r"changed since it was planned: tokenizer/added_tokens\.json"), \
            exact_files(manifest, texts=True):
        pass
    (model / UNET).unlink()
    with pytest.raises(ModelError, match=f"{UNET}: No such file"), exact_files(manifest):
        pass
