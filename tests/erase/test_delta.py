"""The delta file: self-describing, the same bytes for the same delta, refused when it does not fit."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks import closed_form
from mace_gov.core.errors import ModelError, NumericalError
from mace_gov.erase.delta import ErasureDelta, read_delta

NAME = "down.attn2.to_k"


def sample(**changes) -> ErasureDelta:
    torch.manual_seed(0)
    parts = {"matrix": torch.eye(4).double() + 0.1 * torch.randn(4, 4), "left": {NAME: torch.randn(3, 2).double()},
             "right": {NAME: torch.randn(2, 4).double()}, "about": {"baseDigest": "0" * 64, "concepts": ["ship"]}}
    return ErasureDelta(**{**parts, **changes})


def test_written_out_and_applied_equals_the_fused_weights(tmp_path):
    delta, weight = sample(), torch.randn(3, 4)
    delta.write(tmp_path / "erasure.safetensors")
    read = read_delta(tmp_path / "erasure.safetensors")
    assert read.about == delta.about
    change = weight.double() @ (delta.matrix - torch.eye(4)) + delta.left[NAME] @ delta.right[NAME]
    found = read.apply({NAME: weight})[NAME] - weight.double()
    assert (found - change).norm() < 1e-3 * change.norm()
    # As it was written, to the last bits of a product: rounding to half precision is a thousand million times as much.
    assert torch.allclose(read.apply({NAME: weight})[NAME], delta.rounded().apply({NAME: weight})[NAME], atol=1e-12)


def test_a_layer_of_the_pooled_text_changes_in_its_first_inputs_alone(tmp_path):
    pooled = torch.eye(3).double() + 0.1 * torch.randn(3, 3).double()
    sample(pooled={"add": pooled}).write(tmp_path / "delta")
    read, weight, other = read_delta(tmp_path / "delta"), torch.randn(5, 7), torch.randn(3, 4)
    assert (read.pooled["add"] - pooled).abs().max() < 1e-3
    found = read.apply({"add": weight, NAME: other})
    assert torch.allclose(found["add"][:, :3].double(), weight[:, :3].double() @ pooled, atol=1e-3)
    assert torch.equal(found["add"][:, 3:], weight[:, 3:])
    assert torch.allclose(found[NAME], sample().rounded().apply({NAME: other})[NAME], atol=1e-12)
    with pytest.raises(ModelError, match="changes add, which the base does not have"):
        read.apply({NAME: other})


def stored(path) -> set[torch.dtype]:
    return {tensor.dtype for tensor in load_file(path).values()}


def test_half_precision_where_its_rounding_cannot_show_and_float32_elsewhere(tmp_path):
    sample().write(tmp_path / "half")
    assert stored(tmp_path / "half") == {torch.float16}
    stretching = sample(matrix=100 * torch.randn(4, 4).double())
    stretching.write(tmp_path / "full")
    assert stored(tmp_path / "full") == {torch.float32}
    state = torch.randn(4).double()
    for delta, path in ((sample(), "half"), (stretching, "full")):
        moved = (read_delta(tmp_path / path).matrix - delta.matrix) @ state
        assert moved.norm() <= 1e-3 * state.norm()


def test_factors_of_very_different_lengths_survive_half_precision(tmp_path):
    delta = sample()
    uneven = sample(left={NAME: delta.left[NAME] * 1e6}, right={NAME: delta.right[NAME] * 1e-9})
    uneven.write(tmp_path / "delta")
    read, product = read_delta(tmp_path / "delta"), uneven.left[NAME] @ uneven.right[NAME]
    assert stored(tmp_path / "delta") == {torch.float16}
    assert (read.left[NAME].double() @ read.right[NAME].double() - product).norm() < 2e-3 * product.norm()


def test_a_hundred_concepts_of_sd_1_4_take_at_most_12_mb(tmp_path):
    layout = closed_form.layout()
    torch.manual_seed(0)
    left = {name: 0.02 * torch.randn(weight.shape[0], 100) for name, weight in layout.items()}
    right = {name: 0.02 * torch.randn(100, weight.shape[1]) for name, weight in layout.items()}
    width = closed_form.WIDTH
    matrix = torch.eye(width).double() + 0.02 * torch.randn(width, width)
    about = {"concepts": [f"person-{n}" for n in range(100)], "baseDigest": "0" * 64, "policyDigest": "0" * 64}
    ErasureDelta(matrix, left, right, about).write(tmp_path / "erasure.safetensors")
    assert 11e6 < (tmp_path / "erasure.safetensors").stat().st_size <= 12e6


def test_equal_deltas_give_equal_bytes(tmp_path):
    for name in ("one", "other"):
        sample().write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_non_finite_is_not_written_and_not_applied(tmp_path):
    bad = sample(matrix=torch.full((4, 4), float("nan")).double())
    with pytest.raises(NumericalError, match="change is not finite"):
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
    with pytest.raises(ModelError, match="expected mace-gov/delta/v2"):
        read_delta(tmp_path / "other.safetensors")
    (tmp_path / "noise").write_bytes(b"noise" * 10)
    with pytest.raises(ModelError, match="cannot be read"):
        read_delta(tmp_path / "noise")


def test_who_has_a_version_s_delta_has_the_base(tmp_path):
    """Planted on purpose: docs/threat-model.md says what a published delta gives away."""
    chance = torch.Generator().manual_seed(3)
    base = {name: torch.randn(12, 8, generator=chance) for name in ("one", "two")}
    matrix = torch.eye(8, dtype=torch.float64) + 0.2 * torch.randn(8, 8, generator=chance, dtype=torch.float64)
    made = ErasureDelta(matrix, {"two": torch.randn(12, 2, generator=chance).double()},
                        {"two": torch.randn(2, 8, generator=chance).double()})
    made.write(tmp_path / "erasure.safetensors")
    governed = made.rounded().apply(base)
    read = read_delta(tmp_path / "erasure.safetensors")
    undone = {name: weight.double() - (read.left[name] @ read.right[name] if name in read.left else 0)
              for name, weight in governed.items()}
    for name, weight in base.items():
        assert (governed[name] - weight).norm() > 0.2 * weight.norm()
        found = undone[name] @ torch.linalg.inv(read.matrix.double())
        assert (found - weight).norm() < 1e-2 * weight.norm()  # the delta is kept in half precision
