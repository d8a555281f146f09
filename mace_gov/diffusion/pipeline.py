"""The parts of a diffusers pipeline that this package uses, as types: diffusers declares hardly any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Network(nn.Module):
    """A network of diffusers, as far as its type goes: a module with a configuration, a place and a precision."""

    config: Any
    device: torch.device
    dtype: torch.dtype
    is_gradient_checkpointing: bool

    def enable_gradient_checkpointing(self) -> None:
        """Compute activations anew in the backward pass, which takes time instead of memory."""
        raise NotImplementedError


class Pipeline(Protocol):
    """A text-to-image pipeline, as ``diffusers.DiffusionPipeline.from_pretrained`` gives it.

    Which parts there are depends on the family: models with cross-attention have a ``unet``, those with joint attention
    (Stable Diffusion 3, FLUX) a ``transformer``. ``documents.family_info`` says what runs on which.
    """

    config: Any
    """Names and classes of its parts."""
    unet: Network
    """Predicts the noise, of Stable Diffusion 1.x, 2.x and XL."""
    transformer: Network
    """Predicts the velocity, of Stable Diffusion 3 and FLUX."""
    vae: Any
    """Latents to pixels and back."""
    scheduler: Any
    """The noise schedule, and the sampler's step."""
    tokenizer: PreTrainedTokenizerBase
    text_encoder: PreTrainedModel
    tokenizer_2: PreTrainedTokenizerBase
    text_encoder_2: PreTrainedModel
    tokenizer_3: PreTrainedTokenizerBase
    text_encoder_3: PreTrainedModel | None
    vae_scale_factor: int
    """Pixels of a latent's side."""

    @property
    def device(self) -> torch.device:
        """Where it is."""
        ...

    def __call__(self, prompt: str, **settings: Any) -> Any:
        """Draw by the pipeline's own loop; ``images`` of what comes out are the pictures."""
        ...

    def to(self, place: torch.device | str) -> Self:
        """Move it."""
        ...

    def encode_prompt(self, prompt: list[str], **settings: Any) -> tuple[Any, ...]:
        """Text states and pooled text, in the order of the pipeline's class."""
        ...

    def load_lora_weights(self, source: Any, **settings: Any) -> None:
        """Put a LoRA beside the weights."""
        ...

    def fuse_lora(self, **settings: Any) -> None:
        """Add the LoRA to the weights."""
        ...

    def unload_lora_weights(self) -> None:
        """Take the LoRA away."""
        ...
