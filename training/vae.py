"""Stage 3: train the AutoencoderKL (32 px, factor 4, 4 latent channels). Resumable: WORK/vae/last.pt."""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from paths import SIZE, WORK
from rendering import batch


def build(channels=(32, 64, 96)) -> AutoencoderKL:
    kinds = len(channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * kinds, up_block_types=("UpDecoderBlock2D",) * kinds,
        block_out_channels=channels, layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=SIZE,
        mid_block_add_attention=False)


def gradient(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=float, default=300)
    args.add_argument("--batch", type=int, default=48)
    args = args.parse_args()
    (WORK / "vae").mkdir(exist_ok=True, parents=True)
    last, model = WORK / "vae/last.pt", build()
    rng, peak = np.random.default_rng(int(time.time())), 2e-3
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.0, betas=(0.9, 0.98))
    if last.exists():
        state = torch.load(last)
        model.load_state_dict(state["model"])
    start, step = time.time(), 0
    while (done := (time.time() - start) / args.seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = peak * min(1, (step + 1) / 30) * (0.02 + 0.98 * (1 - done) ** 1.0)
        pictures = batch(args.batch, rng)[0]
        with torch.autocast("cpu", torch.bfloat16):
            spread = model.encode(pictures).latent_dist
            back = model.decode(spread.sample()).sample
        back = back.float()
        loss = F.l1_loss(back, pictures)
        for one, two in zip(gradient(back), gradient(pictures)):
            loss = loss + F.l1_loss(one, two)
        kl = spread.kl().mean() / 256
        (loss + 1e-4 * kl).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        if step % 25 == 0:
            print(f"step {step} {time.time() - start:.0f}s loss {loss.item():.4f} kl {kl.item():.2f}", flush=True)
            torch.save({"model": model.state_dict()}, last)
    torch.save({"model": model.state_dict()}, last)


if __name__ == "__main__":
    main()
