"""Stage 3c: train the decoder on with the encoder frozen, so that cached latents and the U-Net stay valid.

Latents get a little noise, as those that the U-Net makes have.
"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from paths import WORK
from rendering import batch
from vae import build, gradient


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=float, default=300)
    args.add_argument("--batch", type=int, default=32)
    args = args.parse_args()
    last, model, rng = WORK / "vae/last.pt", build(), np.random.default_rng(int(time.time()))
    model.load_state_dict(torch.load(last)["model"])
    weights = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.0, betas=(0.9, 0.99))
    scale, start, step, trace = float((WORK / "vae/scale.txt").read_text()), time.time(), 0, []
    while (done := (time.time() - start) / args.seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 1.2e-3 * min(1, (step + 1) / 40) * (1 - done) + 1e-6
        pictures = batch(args.batch, rng)[0]
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latents = model.encode(pictures).latent_dist.mean.float()
                noise = torch.rand(len(latents), 1, 1, 1) * 0.1 / scale
                latents = latents + noise * torch.randn_like(latents)
            back = model.decode(latents).sample
        back = back.float()
        loss = F.l1_loss(back, pictures)
        for one, two in zip(gradient(back), gradient(pictures)):
            loss = loss + 0.5 * F.l1_loss(one, two)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        trace.append(loss.item())
        if step % 50 == 0:
            print(f"step {step} {time.time() - start:.0f}s loss {sum(trace[-50:]) / 50:.4f}", flush=True)
    torch.save({"model": model.state_dict()}, last)


if __name__ == "__main__":
    main()
