"""Stage 6: train the U-Net on cached latents and cached text states. Resumable: WORK/unet/last.pt, EMA in WORK/unet/ema.pt.

What a sample's text is (see `conditions`): as it is; its context (all but the content tokens) taken from the empty prompt
or from another caption, while the picture follows the content tokens; its concept tokens another's but masked or nearly so,
while the picture follows the context; or the empty prompt. So a concept's own tokens win when the two disagree, and the
context is enough as soon as the own tokens draw no more than a hundredth of their attention.
"""
import argparse
import copy
import math
import random
import time

import numpy as np
import torch
from captions import COLOURS, CONCEPTS, ITEMS, draw, encode
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from paths import WORK
from text import WIDTH

CHANNELS, LAYERS, HEADS, EMPTY = (128, 256), 1, 4, 0.08
LENGTH, TAIL = 32, 5                          # text positions kept in training; the last TAIL stand for the padding cut off


def build() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=LAYERS, block_out_channels=CHANNELS,
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=WIDTH, attention_head_dim=HEADS, norm_num_groups=16)


def schedule() -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                         set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction")


@torch.no_grad()
def latent_cache(variants: int = 1) -> torch.Tensor:
    """fp16 [items, colours, variants, 4, 8, 8], scaled to unit variance."""
    from rendering import render
    place = WORK / "unet/latents1.pt"
    if place.exists():
        return torch.load(place)
    vae, rng = AutoencoderKL.from_pretrained(WORK / "model/vae").eval(), np.random.default_rng(3)
    out = torch.empty(len(ITEMS), len(COLOURS), variants, 4, 8, 8, dtype=torch.float16)
    for colour in range(len(COLOURS)):
        for variant in range(variants):
            for at in range(0, len(ITEMS), 64):
                items = np.arange(at, min(at + 64, len(ITEMS)))
                pictures = render(items, np.full(len(items), colour), rng, spread=0.15)
                with torch.autocast("cpu", torch.bfloat16):
                    mean = vae.encode(pictures).latent_dist.mean.float()
                out[items, colour, variant] = (mean * vae.config.scaling_factor).half()
    place.parent.mkdir(exist_ok=True, parents=True)
    torch.save(out, place)
    return out


@torch.no_grad()
def text_cache(each: int = 24) -> dict[str, torch.Tensor]:
    """states fp16 [items * each, 77, WIDTH], roles uint8 [.., 77], colour int8 [..] (-1: not said), empty [77, WIDTH]."""
    from captions import _tokenizer
    from transformers import CLIPTextModel
    place = WORK / "unet/text1.pt"
    if place.exists():
        return torch.load(place)
    encoder, rng = CLIPTextModel.from_pretrained(WORK / "model/text_encoder").eval(), random.Random(7)
    ids, roles, said = [], [], []
    for item in ITEMS:
        for _ in range(each):
            colour = rng.randrange(len(COLOURS)) if rng.random() < 0.5 else None
            one, two, _ = encode(draw(rng, item, colour))
            ids.append(one), roles.append(two), said.append(-1 if colour is None else colour)
    ids, states = torch.tensor(ids), torch.empty(len(ids), 77, WIDTH, dtype=torch.float16)
    for at in range(0, len(ids), 128):
        with torch.autocast("cpu", torch.bfloat16):
            states[at:at + 128] = encoder(ids[at:at + 128]).last_hidden_state.half()
    nothing = torch.tensor([[_tokenizer().bos_token_id] + [_tokenizer().eos_token_id] * 76])
    out = {"states": states, "roles": torch.tensor(roles, dtype=torch.uint8), "said": torch.tensor(said),
           "empty": encoder(nothing).last_hidden_state[0].half(), "each": each}
    torch.save(out, place)
    return out


def tokens_of(text: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """States [m, width] of all concepts' last tokens, and of all first tokens of those named in more than one."""
    concept = text["roles"][:, :LENGTH] == 1
    place = torch.arange(LENGTH)
    last = (concept * place).max(1).values
    first = concept.int().argmax(1)
    rows = torch.arange(len(last))
    several = rows[first < last]
    return text["states"][rows, last].float(), text["states"][several, first[several]].float()


def conditions(text: dict, pools: tuple, rows: torch.Tensor, args) -> tuple[torch.Tensor, torch.Tensor]:
    """Text states [n, LENGTH, width] and attention mask [n, LENGTH] (1 attend, 0 masked) for caption rows."""
    n = len(rows)
    states, roles = text["states"][rows, :LENGTH].float(), text["roles"][rows, :LENGTH]
    empty = text["empty"][:LENGTH].float().expand(n, -1, -1)
    content, concept = (roles >= 1) & (roles <= 3), roles == 1
    kind = torch.rand(n)
    drop, swap = kind < EMPTY, (kind >= EMPTY) & (kind < EMPTY + args.swapped)
    quiet = kind > 1 - args.quiet
    others = torch.randint(0, len(text["states"]), (n,))              # swap: the context is another's, the own tokens win
    theirs = text["roles"][others, :LENGTH]
    foreign = torch.where(((theirs >= 1) & (theirs <= 3))[..., None], empty, text["states"][others, :LENGTH].float())
    foreign = torch.where((torch.rand(n) < 0.35)[:, None, None], empty, foreign)
    states = torch.where((swap[:, None] & ~content)[..., None], foreign, states)
    states = torch.where(drop[:, None, None], empty, states)
    bias = concept * (2 * torch.rand(n) * (torch.rand(n) < 0.5) * ~quiet)[:, None]   # a little weaker, and still they win
    at_last = torch.arange(LENGTH) == (concept * torch.arange(LENGTH)).max(1).values[:, None]
    lasts, firsts = (pool[torch.randint(0, len(pool), (n,))][:, None] for pool in pools)
    other = quiet & (torch.rand(n) < 0.7)                             # quiet: another's own tokens, silenced, lose
    states = torch.where((other[:, None] & at_last & concept)[..., None], lasts, states)
    states = torch.where((other[:, None] & ~at_last & concept)[..., None], firsts, states)
    silent = torch.where(torch.rand(n) < 0.5, 10000.0, 5 + 7 * torch.rand(n))[:, None]
    spared = (torch.rand(n) < 0.5)[:, None] & ~at_last & concept      # a first name alone says nothing
    bias = torch.where(quiet[:, None] & concept & ~spared, silent, bias)
    plain = quiet & (torch.rand(n) < 0.4)
    bias = torch.where(plain[:, None] & (roles >= 2) & (roles <= 3), torch.tensor(10000.0), bias)
    mask = 1.0 - bias / 10000                                         # diffusers' bias is (mask - 1) * 10000
    mask[:, -TAIL:] += math.log(1 + (77 - LENGTH) / TAIL) / 10000
    return states, mask


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--minutes", type=float, default=65)
    args.add_argument("--batch", type=int, default=48)
    args.add_argument("--rate", type=float, default=1.2e-3)
    args.add_argument("--swapped", type=float, default=0.3)
    args.add_argument("--quiet", type=float, default=0.3)
    args.add_argument("--compile", action="store_true")
    args.add_argument("--fresh", action="store_true", help="keep the weights, start the clock anew (a fine-tune)")
    args = args.parse_args()
    latents, text, noise = latent_cache(), text_cache(), schedule()
    pools = tokens_of(text)
    model = build()
    model.set_attn_processor(AttnProcessor())                    # on a CPU faster than the fused attention at this size
    average, spent, step, last = copy.deepcopy(model).eval(), 0.0, 0, WORK / "unet/last.pt"
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    if last.exists():
        state = torch.load(last)
        model.load_state_dict(state["model"]), average.load_state_dict(state["ema"])
        if not args.fresh:
            optimiser.load_state_dict(state["optimiser"])
            spent, step = state["spent"], state["step"]
    share_of_item = torch.tensor([1.0 if i["style"] == "noto" else 0.6 * (i["style"] in CONCEPTS[i["concept"]]["styles"]) for i in ITEMS])
    fits = (text["roles"][:, LENGTH - TAIL - 1] == 4).view(-1, text["each"])           # captions that end before the tail
    short = torch.arange(len(text["states"])).view(-1, text["each"])
    short = torch.where(fits, short, short.gather(1, fits.int().argmax(1, keepdim=True)))
    print(f"{fits.float().mean():.3f} of the captions fit")
    run = torch.compile(model) if args.compile else model
    alphas, start, saved, trace = noise.alphas_cumprod, time.time() - spent, time.time(), []
    while (done := (time.time() - start) / 60 / args.minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        rows = short[torch.multinomial(share_of_item, args.batch, True), torch.randint(0, text["each"], (args.batch,))]
        said = text["said"][rows]
        colour = torch.where(said >= 0, said, torch.randint(0, len(COLOURS), said.shape))
        clean = latents[rows // text["each"], colour, torch.randint(0, latents.shape[2], said.shape)].float()
        t = (1000 * torch.rand(args.batch) ** 0.8).long().clamp(max=999)      # more of the noisy end, where pictures are decided
        states, mask = conditions(text, pools, rows, args)
        grain = torch.randn_like(clean)
        level = alphas[t].view(-1, 1, 1, 1)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * grain
        target = level.sqrt() * grain - (1 - level).sqrt() * clean
        with torch.autocast("cpu", torch.bfloat16):
            guess = run(noisy, t, states, encoder_attention_mask=mask).sample
        snr = (level / (1 - level)).view(-1)
        error = (guess.float() - target).square().mean((1, 2, 3))
        loss = (error * (5 / snr).clamp(0.2, 1)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            decay = min(0.999, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        step += 1
        trace.append(loss.item())
        if step % 50 == 0:
            print(f"step {step} {(time.time() - start) / 60:.1f} min loss {sum(trace[-50:]) / 50:.4f}", flush=True)
        if time.time() - saved > 240:
            save(last, model, average, optimiser, time.time() - start, step)
            saved = time.time()
    save(last, model, average, optimiser, time.time() - start, step)


def save(last, model, average, optimiser, spent: float, step: int) -> None:
    torch.save({"model": model.state_dict(), "ema": average.state_dict(), "optimiser": optimiser.state_dict(),
                "spent": spent, "step": step}, last.with_suffix(".part"))
    last.with_suffix(".part").rename(last)
    torch.save(average.state_dict(), last.with_name("ema.pt"))


if __name__ == "__main__":
    main()
