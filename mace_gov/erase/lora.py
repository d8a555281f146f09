"""Stage 2: one low-rank adapter per target, trained on the refined model to draw no attention where the concept is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load, save

from mace_gov.core.errors import NumericalError
from mace_gov.diffusion.attention import LastLayerReachedError, record_attention
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan, Target
from mace_gov.erase.masks import PROVIDERS
from mace_gov.erase.pictures import TrainingPictures, derived_seed, training_templates
from mace_gov.erase.suppression import attention_loss
from mace_gov.erase.timesteps import sample_timesteps

ADAPTER = "mace"
FILE_NAME = "pytorch_lora_weights.safetensors"
"""The name that diffusers' load_lora_weights looks for."""

Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""By projection: b [out, r] and a [r, d] with dW = b a."""


@dataclass(frozen=True)
class Training:
    """What training one adapter gave."""

    weights: bytes
    """The adapter's safetensors file, as diffusers reads it."""
    losses: list[float]
    """Loss at every step."""
    coverage: float | None
    """Mean share of the picture inside the mask; absent without masks."""


@contextmanager
def adapter(unet, rank: int) -> Iterator[dict[str, LoraLayer]]:
    """A peft LoRA of ``rank`` on every cross-attention projection, scale 1; taken off again at the end."""
    names = list(projections(unet))
    with torch.random.fork_rng(devices=[]):  # peft draws initial weights that nobody uses
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=names), adapter_name=ADAPTER)
    try:
        yield {name: unet.get_submodule(name) for name in names}
    finally:
        unet.delete_adapters(ADAPTER)
        _unwrap(unet, names)


def _unwrap(unet, names: Sequence[str]) -> None:
    """Put the plain layers back where peft's empty shells are."""
    for name in names:
        layer = unet.get_submodule(name)
        if isinstance(layer, LoraLayer):
            unet.set_submodule(name, layer.get_base_layer())


def initialise(layers: dict[str, LoraLayer], generator: torch.Generator) -> list[torch.nn.Parameter]:
    """Start anew: a uniform within 1/sqrt(d), as peft does, b zero. Returns the parameters to train."""
    parameters = []
    for layer in layers.values():
        a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight  # [r, d], [out, r]
        with torch.no_grad():
            a.copy_((torch.rand(a.shape, generator=generator) * 2 - 1) / a.shape[1] ** 0.5)
            b.zero_()
        parameters += [a, b]
    return parameters


def train(
    pipe, layers: dict[str, LoraLayer], plan: ErasurePlan, target: Target, pictures: TrainingPictures,
    *, end_of_text: bool = False,
) -> Training:
    """Train the adapter in ``layers`` for one target, batch 1, on a U-Net whose projections are already refined.

    end_of_text: suppress the end-of-text position along with the target's own tokens.
    Everything random comes from a seed derived from the plan's seed and the concept's id. Raises NumericalError when
    the loss or a weight is not finite.
    """
    settings, device = target.lora, pipe.unet.device
    generator = torch.Generator().manual_seed(derived_seed(plan.seed, target.id))
    parameters = initialise(layers, generator)
    reader = TextReader.of(pipe)
    prompts = [reader.fill(template, target.target) for template in training_templates(plan, target)]
    states = torch.stack(list(reader.states(prompts))).to(device)  # [n, L, d]
    positions = [p.positions + [p.used - 1] * end_of_text for p in prompts]
    masks = PROVIDERS[settings.masks](pictures).to(device)  # [n, h, w]
    latents = pictures.latents.to(device)  # [n, c, h, w]
    signal = pipe.scheduler.alphas_cumprod.to(device, torch.float32)  # [T]
    order = torch.randint(len(prompts), (settings.steps,), generator=generator).tolist()
    timesteps = sample_timesteps(settings, len(signal), settings.steps, generator).to(device)
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, fused=device.type in ("cpu", "cuda"))
    losses: list[float] = []
    with record_attention(pipe.unet, stop=True) as record:
        for n, t in zip(order, timesteps, strict=True):
            noise = torch.randn(latents[:1].shape, generator=generator).to(device)
            noisy = signal[t].sqrt() * latents[n:n + 1] + (1 - signal[t]).sqrt() * noise
            record.clear()
            record.positions = positions[n]
            with suppress(LastLayerReachedError):
                pipe.unet(noisy, t, encoder_hidden_states=states[n:n + 1])
            loss = attention_loss(record.maps.values(), masks[n])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            if not torch.isfinite(loss):
                raise NumericalError(f"the attention loss of '{target.id}' is {losses[-1]} at step {len(losses)}, "
                                     "expected a finite number", hint="Lower lora.learningRate.")
    coverage = None if settings.masks == "none" else float(masks.float().mean())
    return Training(pack(pipe.unet, target), losses, coverage)


def pack(unet, target: Target) -> bytes:
    """The adapter on ``unet`` as the bytes of a diffusers LoRA file. Raises NumericalError when it is not finite."""
    state = get_peft_model_state_dict(unet, adapter_name=ADAPTER)
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise NumericalError(f"LoRA of '{target.id}': {name} is not finite, expected finite weights",
                                 hint="Lower lora.learningRate.")
    tensors = {f"unet.{name}": tensor.detach().cpu().float().contiguous() for name, tensor in state.items()}
    return save(tensors, metadata={"format": "pt"})


def factors(weights: bytes) -> Factors:
    """b and a of every projection from a LoRA file's bytes, float64."""
    tensors = {name.removeprefix("unet."): tensor.double() for name, tensor in load(weights).items()}
    names = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
    return {name: (tensors[f"{name}.lora_B.weight"], tensors[f"{name}.lora_A.weight"]) for name in sorted(names)}
