"""Stage 2: the shipped autoencoder, trained on for the faces. Resumable: WORK/vae/last.pt; result WORK/model/vae.

The shipped weights know nothing of the U-Net's training, so a twin may begin from them.
"""
import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

sys.path.insert(0, str(Path(__file__).parents[1]))
from paths import WORK
from rendering import batch

SHIPPED = Path(__file__).parents[2] / "mace_gov/embedded/model/vae"
RATE, KL = 1.5e-3, 1e-4


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--steps", type=int, default=300)
    args.add_argument("--batch", type=int, default=24)
    args = args.parse_args()
    last, model, first = WORK / "vae/last.pt", AutoencoderKL.from_pretrained(SHIPPED, torch_dtype=torch.float32), 0
    last.parent.mkdir(exist_ok=True, parents=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, betas=(0.9, 0.98))
    if last.exists():
        state = torch.load(last)
        model.load_state_dict(state["model"]), optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    torch.manual_seed(first)
    rng, trace = np.random.default_rng(first), []
    for step in range(first, args.steps):
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 30) * (0.02 + 0.98 * (1 - step / args.steps))
        pictures = batch(args.batch, rng)[0]
        spread = model.encode(pictures).latent_dist
        back = model.decode(spread.sample()).sample
        loss = F.l1_loss(back, pictures)
        for axis in (2, 3):
            loss = loss + F.l1_loss(back.diff(dim=axis), pictures.diff(dim=axis))
        (loss + KL * spread.kl().mean() / 256).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        trace.append(loss.item())
        if step % 25 == 24 or step == args.steps - 1:
            print(f"step {step + 1} {time.process_time():.0f} CPU s loss {sum(trace[-25:]) / len(trace[-25:]):.4f}", flush=True)
            torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}, last)
    with torch.no_grad():
        latents = model.eval().encode(batch(512, np.random.default_rng(0))[0]).latent_dist.mean
    model.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    model.save_pretrained(WORK / "model/vae")
    print("scaling factor", model.config.scaling_factor)


if __name__ == "__main__":
    main()
