"""The README's lines in Python do what they say, on a model whose weights are in half precision."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mace_gov.diffusion.save import save_governed
from tests import factories

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[str]:
    """The indented blocks of the README that are Python."""
    found = re.findall(r"(?:^ {4}.*\n)+", README.read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in found if re.match(r" +(import|from) ", block)]


def of_versions() -> list[str]:
    """Those that load a version; the last one loads the model that ships."""
    return blocks()[:-1]


def test_the_ways_of_loading_are_there() -> None:
    assert [("mace_gov.load" in block, "from_pretrained" in block, "MODEL_DIR" in block) for block in blocks()] == [
        (True, False, False), (False, True, False), (False, True, True)]


def test_the_lines_load_the_model_that_ships_and_it_draws() -> None:
    names: dict[str, Any] = {}
    exec(blocks()[-1].replace("num_inference_steps=20", "num_inference_steps=2"), names)
    pipe = names["pipe"]
    assert {pipe.unet.dtype, pipe.vae.dtype, pipe.text_encoder.dtype} == {torch.float32}
    assert names["picture"].size == (32, 32)


@pytest.mark.parametrize("block", of_versions())
@pytest.mark.parametrize("said", [True, False])
def test_the_lines_load_a_version_that_draws(
    block: str, said: bool, half_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(shutil.copytree(half_model, tmp_path / "base"))
    config = base / "text_encoder" / "config.json"
    if not said:  # older models do not say their precision, and are loaded in that of their weights
        config.write_text(re.sub(r'\n *"(torch_)?dtype": "float16",', "", config.read_text()))
        assert "float16" not in config.read_text()
    save_governed(base, tmp_path / "governed", {})
    files = {path.relative_to(tmp_path / "governed").as_posix(): path.read_bytes()
             for path in (tmp_path / "governed").rglob("*") if path.is_file()}
    factories.version_folder(tmp_path, files=files, complete=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block, names)
    pipe = names["pipe"]
    assert {pipe.unet.dtype, pipe.vae.dtype, pipe.text_encoder.dtype} == {torch.float32}
    assert pipe("a photo of a cat", num_inference_steps=2).images[0].size == (16, 16)
