"""What things look like, as targets for the text encoder: principal components of the cached latents.

A text encoder of CLIP's kind knows pictures, which is what lets a U-Net draw from it. codes() gives, for every item, the
leading CODE components of its mean latent (over ground colours), half whitened: float32 [items, CODE], variance about 3.
"""
import torch
from paths import WORK

CODE = 104


def codes() -> torch.Tensor:
    latents = torch.load(WORK / "unet/latents1.pt").float().mean((1, 2)).flatten(1)          # [items, 256]
    latents = latents - latents.mean(0)
    _, sigma, basis = torch.linalg.svd(latents, full_matrices=False)
    print(f"{CODE} components hold {(sigma[:CODE] ** 2).sum() / (sigma ** 2).sum():.3f} of the variance")
    scores = latents @ basis[:CODE].T
    scores = scores / scores.std(0).sqrt()
    scores = scores * (3 / scores.var()) ** 0.5
    turn = torch.linalg.qr(torch.randn(CODE, CODE, generator=torch.Generator().manual_seed(5)))[0]
    return scores @ turn                                                                      # no component stands out
