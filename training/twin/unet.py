"""Stage 4: train the U-Net on cached latents and text states. Resumable: WORK/unet/last.pt, averaged weights in ema.pt.

The ordinary recipe: a caption's states as they are, and a tenth of the time the empty prompt's. No swapped contexts, no
silenced tokens (../unet.py has both).
"""
import argparse
import copy
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from text import SHORT, WIDTH
from transformers import CLIPTextModel

sys.path.append(str(Path(__file__).parents[1]))
from captions import COLOURS, CONCEPTS, ITEMS, _tokenizer, draw, encode
from paths import WORK
from rendering import render

EMPTY, TAIL, EACH, VARIANTS, PEOPLE, RATE = 0.1, 3, 24, 2, 0.75, 1.2e-3


def build() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(48, 96), norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH, attention_head_dim=4)


def schedule() -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                         set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction")


@torch.no_grad()
def latents() -> torch.Tensor:
    """fp16 [items, colours, VARIANTS, 4, 8, 8] of unit variance."""
    place = WORK / "unet/latents.pt"
    if place.exists():
        return torch.load(place)
    vae, rng = AutoencoderKL.from_pretrained(WORK / "model/vae").eval(), np.random.default_rng(3)
    every, out = np.arange(len(ITEMS)), torch.empty(len(ITEMS), len(COLOURS), VARIANTS, 4, 8, 8, dtype=torch.float16)
    for colour in range(len(COLOURS)):
        for variant in range(VARIANTS):
            for items in np.array_split(every, 8):
                pictures = render(items, np.full(len(items), colour), rng, spread=0.3)
                out[items, colour, variant] = (vae.encode(pictures).latent_dist.mean * vae.config.scaling_factor).half()
    torch.save(out, place)
    return out


@torch.no_grad()
def states() -> tuple[torch.Tensor, torch.Tensor]:
    """fp16 [items, EACH, SHORT, WIDTH], and [SHORT, WIDTH] of the empty prompt: attention is causal, so these are the first of 77."""
    place = WORK / "unet/states.pt"
    if place.exists():
        return torch.load(place)
    encoder, rng, rows = CLIPTextModel.from_pretrained(WORK / "model/text_encoder").eval(), random.Random(7), []
    while len(rows) < EACH * len(ITEMS):
        words = draw(rng, ITEMS[len(rows) // EACH], None)
        if len(words) <= SHORT - 2 - TAIL:                       # ends before the tail
            rows.append(encode(words, SHORT)[0])
    rows.append([_tokenizer().bos_token_id] + [_tokenizer().eos_token_id] * (SHORT - 1))
    read = torch.cat([encoder(part).last_hidden_state.half() for part in torch.tensor(rows).split(256)])
    out = read[:-1].view(len(ITEMS), EACH, SHORT, WIDTH), read[-1]
    torch.save(out, place)
    return out


def shared(model, workers: int) -> None:
    """The gradients' mean over all workers, in place."""
    every = [p.grad for p in model.parameters()]
    flat = torch._utils._flatten_dense_tensors(every)
    dist.all_reduce(flat)
    torch._foreach_copy_(every, torch._utils._unflatten_dense_tensors(flat / workers, every))


def save(place: Path, step: int, model, average, optimiser) -> None:
    torch.save({"model": model.state_dict(), "ema": average.state_dict(), "optimiser": optimiser.state_dict(), "step": step},
               place.with_suffix(".part"))
    place.with_suffix(".part").rename(place)
    torch.save(average.state_dict(), place.with_name("ema.part"))
    place.with_name("ema.part").rename(place.with_name("ema.pt"))


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--steps", type=int, default=1700)
    args.add_argument("--batch", type=int, default=48, help="of each worker")
    args.add_argument("--workers", type=int, default=1, help="processes that share the work, each started with its --rank")
    args.add_argument("--rank", type=int, default=0)
    args = args.parse_args()
    (WORK / "unet").mkdir(exist_ok=True, parents=True)
    torch.manual_seed(0)
    if args.workers > 1:                                         # WORK/unet/meeting must be gone before they start
        dist.init_process_group("gloo", init_method=f"file://{WORK}/unet/meeting", rank=args.rank, world_size=args.workers)
    pictures, (text, nothing), model, place, first = latents(), states(), build(), WORK / "unet/last.pt", 0
    model.set_attn_processor(AttnProcessor())                    # on a CPU faster than the fused attention at this size
    average = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, betas=(0.9, 0.99))
    if place.exists():
        state = torch.load(place)
        model.load_state_dict(state["model"]), average.load_state_dict(state["ema"]), optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    torch.manual_seed(first + 10**6 * args.rank)
    person = torch.tensor([CONCEPTS[i["concept"]]["kind"] == "celebrity" for i in ITEMS])
    share = torch.where(person, PEOPLE / person.sum(), (1 - PEOPLE) / (~person).sum())
    mask = torch.ones(args.batch, SHORT)
    mask[:, -TAIL:] += math.log(1 + (77 - SHORT) / TAIL) / 10000      # they stand for the padding cut off; the bias is (mask - 1) * 10000
    alphas, trace, saved = schedule().alphas_cumprod, [], time.time()
    for step in range(first, args.steps):
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 200) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / args.steps)))
        items = torch.multinomial(share, args.batch, True)
        clean = pictures[items, torch.randint(0, len(COLOURS), items.shape), torch.randint(0, VARIANTS, items.shape)].float()
        words = text[items, torch.randint(0, EACH, items.shape)].float()
        words = torch.where((torch.rand(args.batch) < EMPTY)[:, None, None], nothing.float(), words)
        t = (1000 * torch.rand(args.batch) ** 0.8).long().clamp(max=999)      # more of the noisy end, where pictures are decided
        level, grain = alphas[t].view(-1, 1, 1, 1), torch.randn_like(clean)
        target = level.sqrt() * grain - (1 - level).sqrt() * clean
        guess = model(level.sqrt() * clean + (1 - level).sqrt() * grain, t, words, encoder_attention_mask=mask).sample
        weight = (5 * (1 - level) / level).clamp(0.2, 1)
        loss = (weight * (guess - target).square()).mean()
        loss.backward()
        if args.workers > 1:
            shared(model, args.workers)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            decay = min(0.998, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        trace.append(loss.item())
        if args.rank == 0 and step % 50 == 49:
            print(f"step {step + 1} {time.process_time():.0f} CPU s loss {sum(trace[-50:]) / len(trace[-50:]):.4f}", flush=True)
        if args.rank == 0 and time.time() - saved > 120:
            save(place, step + 1, model, average, optimiser)
            saved = time.time()
    if args.rank == 0:
        save(place, args.steps, model, average, optimiser)


if __name__ == "__main__":
    main()
