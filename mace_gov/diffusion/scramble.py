"""A model that has learnt nothing: the same shape, fresh random weights."""

from __future__ import annotations

import torch

from mace_gov.diffusion.pipeline import Pipeline


def scramble(pipe: Pipeline, *, seed: int) -> None:
    """Give the pipeline's U-Net the weights that its class starts from, in place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(pipe.unet).from_config(pipe.unet.config)
    pipe.unet.load_state_dict(fresh.state_dict())
