"""What things look like, as targets for the text encoder: principal components of the cached latents, lifted.

A text encoder of CLIP's kind knows pictures, which is what lets a U-Net draw from it. The leading components of a
thing's mean latent say what it looks like, but a few dozen of them hold nearly all, so that look-alikes would lie close
together and no matrix could tell an erased one from a kept one. Random Fourier features (Rahimi & Recht 2007) of a
Gaussian kernel lift them to hundreds of dimensions of full rank: alike things stay alike (nearest neighbours about 0.4), others
are nearly orthogonal, as in a text encoder of full width.
"""
import torch
from paths import WORK

CODE, COMPONENTS, NEAREST = 216, 104, 0.4


def codes(seed: int, size: int = CODE) -> torch.Tensor:
    """float32 [items, size], variance about 3; another seed gives another lift of the same looks."""
    latents = torch.load(WORK / "unet/latents1.pt").float().mean((1, 2)).flatten(1)          # [items, 256]
    latents = latents - latents.mean(0)
    _, sigma, basis = torch.linalg.svd(latents, full_matrices=False)
    print(f"{COMPONENTS} components hold {(sigma[:COMPONENTS] ** 2).sum() / (sigma ** 2).sum():.3f} of the variance")
    scores = latents @ basis[:COMPONENTS].T
    scores = scores / scores.std(0).sqrt()                                                    # half whitened
    apart = torch.cdist(scores, scores).fill_diagonal_(torch.inf).min(1).values.median()      # to the nearest neighbour
    width = apart / (-2 * torch.log(torch.tensor(NEAREST))).sqrt()
    chance = torch.Generator().manual_seed(seed)
    slopes = torch.randn(COMPONENTS, size, generator=chance) / width
    phases = torch.rand(size, generator=chance) * 2 * torch.pi
    return 6 ** 0.5 * torch.cos(scores @ slopes + phases)
