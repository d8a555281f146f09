"""The delta file: self-describing, the same bytes for the same delta, refused when it does not fit."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from mace_gov.core.errors import ModelError, NumericalError
from mace_gov.erase.delta import ErasureDelta, read_delta

NAME = "down.attn2.to_k"


def sample(**changes) -> ErasureDelta:
    torch.manual_seed(0)
    parts = {"matrix": torch.eye(4).double(), "left": {NAME: torch.randn(3, 2).double()},
             "right": {NAME: torch.randn(2, 4).double()}, "about": {"baseDigest": "0" * 64, "concepts": ["ship"]}}
    return ErasureDelta(**{**parts, **changes})


def test_written_out_and_applied_equals_the_fused_weights(tmp_path):
    delta, weight = sample(), torch.randn(3, 4)
    delta.write(tmp_path / "erasure.safetensors")
    read = read_delta(tmp_path / "erasure.safetensors")
    assert read.about == delta.about
    fused = weight.double() @ delta.matrix + delta.left[NAME] @ delta.right[NAME]
    assert torch.allclose(read.apply({NAME: weight})[NAME], fused, rtol=1e-6, atol=1e-6)
    assert torch.equal(read.apply({NAME: weight})[NAME], delta.rounded().apply({NAME: weight})[NAME])


def test_equal_deltas_give_equal_bytes(tmp_path):
    for name in ("one", "other"):
        sample().write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_non_finite_is_not_written_and_not_applied(tmp_path):
    bad = sample(matrix=torch.full((4, 4), float("nan")).double())
    with pytest.raises(NumericalError, match="matrix is not finite"):
        bad.write(tmp_path / "erasure.safetensors")
    assert not (tmp_path / "erasure.safetensors").exists()
    with pytest.raises(NumericalError, match="not finite"):
        bad.apply({NAME: torch.ones(3, 4)})


def test_a_delta_for_another_model_is_refused():
    with pytest.raises(ModelError, match="width 5"):
        sample().apply({NAME: torch.ones(3, 5)})
    with pytest.raises(ModelError, match="does not have"):
        sample().apply({"other": torch.ones(3, 4)})


def test_a_file_of_another_kind_is_refused(tmp_path):
    save_file({"matrix": torch.eye(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="expected mace-gov/delta/v1"):
        read_delta(tmp_path / "other.safetensors")
    (tmp_path / "noise").write_bytes(b"noise" * 10)
    with pytest.raises(ModelError, match="cannot be read"):
        read_delta(tmp_path / "noise")
