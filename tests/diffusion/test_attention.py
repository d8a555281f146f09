"""Recorded attention equals the fused kernel, and goes away when the block ends."""

from __future__ import annotations

import pytest
import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion import attention as attention_module
from mace_gov.diffusion.attention import LastLayerReachedError, record_attention
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.projections import cross_attention, projections


@pytest.fixture(scope="module")
def unet(tiny_model):
    return load_pipeline(tiny_model, device="cpu").unet


def run(unet, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    noisy, states = torch.randn(batch, 4, 8, 8, generator=generator), torch.randn(batch, 77, 32, generator=generator)
    return unet(noisy, 200, encoder_hidden_states=states).sample


def test_recording_changes_no_output_and_leaves_no_trace(unet):
    before = {name: layer.processor for name, layer in cross_attention(unet).items()}
    with torch.no_grad():
        plain = run(unet)
        with record_attention(unet) as record:
            recorded = run(unet)
    assert torch.allclose(plain, recorded, atol=1e-5)
    assert list(record.maps) == list(cross_attention(unet))
    for attention in record.maps.values():
        assert attention.shape[0] == 2
        assert attention.shape[3] == 77
        assert torch.allclose(attention.sum(-1), torch.ones(attention.shape[:3]), atol=1e-5)
    assert all(layer.processor is before[name] for name, layer in cross_attention(unet).items())


def test_stopping_gives_the_same_maps(unet):
    with torch.no_grad(), record_attention(unet) as whole:
        run(unet)
    with record_attention(unet, stop=True) as record, pytest.raises(LastLayerReachedError), torch.no_grad():
        run(unet)
    assert record.maps.keys() == whole.maps.keys()
    for name, attention in record.maps.items():
        assert torch.allclose(attention, whole.maps[name], atol=1e-6)


@pytest.mark.parametrize("most", [1, 2])
def test_maps_that_are_made_in_slices_are_the_same(unet, monkeypatch, most):
    with torch.no_grad(), record_attention(unet) as whole:
        expected = run(unet, 3)
    per_sample = max(attention[0].numel() for attention in whole.maps.values())
    monkeypatch.setattr(attention_module, "SLICE", most * per_sample)
    sizes: set[int] = set()
    kept = torch.Tensor.softmax
    monkeypatch.setattr(torch.Tensor, "softmax", lambda t, dim: sizes.add(len(t)) or kept(t, dim=dim))
    with torch.no_grad(), record_attention(unet) as sliced:
        assert torch.allclose(run(unet, 3), expected, atol=1e-5)
    assert most in sizes
    assert all(torch.allclose(sliced.maps[name], whole.maps[name], atol=1e-6) for name in whole.maps)


def test_the_mean_over_heads_is_kept_where_that_is_enough(unet):
    with torch.no_grad():
        with record_attention(unet) as whole:
            run(unet)
        with record_attention(unet, mean=True) as mean:
            run(unet)
    assert all(torch.allclose(mean.maps[name], whole.maps[name].mean(1), atol=1e-6) for name in whole.maps)


def test_a_record_that_is_complete_takes_no_more(unet):
    with torch.no_grad(), record_attention(unet) as record:
        run(unet)
        first = dict(record.maps)
        run(unet)
        assert all(record.maps[name] is first[name] for name in first)
        record.clear()
        run(unet)
        assert all(record.maps[name] is not first[name] for name in first)


def test_maps_are_differentiable(unet):
    layer = next(iter(projections(unet).values()))
    layer.weight.requires_grad_(True)
    try:
        with record_attention(unet) as record:
            run(unet)
        sum(attention[..., 0].sum() for attention in record.maps.values()).backward()
        assert layer.weight.grad.abs().max() > 0
    finally:
        layer.weight.requires_grad_(False)
        layer.weight.grad = None


def test_projections_are_keys_and_values_of_cross_attention_only(unet):
    found = projections(unet)
    assert len(found) == 2 * len(cross_attention(unet)) > 0
    assert all(name.endswith((".attn2.to_k", ".attn2.to_v")) for name in found)
    assert {layer.in_features for layer in found.values()} == {32}


def test_layers_come_in_the_order_of_the_forward_pass(unet):
    order = [name.split("_")[0] for name in cross_attention(unet)]
    assert order == sorted(order, key=["down", "mid", "up"].index)
    assert len(set(order)) == 3


def test_a_model_without_cross_attention_is_refused():
    with pytest.raises(ModelError, match="no layer named attn2"):
        projections(torch.nn.Sequential(torch.nn.Linear(2, 2)))
