"""Stage 6a, only when a U-Net exists and the text encoder has changed: carry its cross-attention over to the new states.

W_new = W_old T, with T the least-squares map from the new states to the old ones on the same captions, so that training goes
on instead of beginning anew. `python transfer.py OLD_TEXT_CACHE OLD_EMA` writes WORK/unet/last.pt; then `unet.py --fresh`.
"""
import argparse
import copy
from pathlib import Path

import torch
from paths import WORK
from unet import LENGTH, build, text_cache


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("text", type=Path)
    args.add_argument("weights", type=Path)
    args = args.parse_args()
    new, old = text_cache(), torch.load(args.text)
    chosen = torch.randperm(len(new["states"]), generator=torch.Generator().manual_seed(0))[:4000]
    x, y = (t["states"][chosen, :LENGTH].flatten(0, 1).double() for t in (new, old))          # [n, new], [n, old]
    gram = x.T @ x
    gram.diagonal().add_(1e-4 * gram.diagonal().mean())
    carry = torch.linalg.solve(gram, x.T @ y).T                                               # T [old, new]
    print("of the old states' variance explained:", 1 - ((x @ carry.T - y).var(0).sum() / y.var(0).sum()).item())
    weights = torch.load(args.weights)
    for name in weights:
        if ".attn2.to_k." in name or ".attn2.to_v." in name:
            weights[name] = (weights[name].double() @ carry).float()
    model = build()
    model.load_state_dict(weights)
    (WORK / "unet").mkdir(exist_ok=True, parents=True)
    torch.save({"model": model.state_dict(), "ema": copy.deepcopy(model.state_dict())}, WORK / "unet/last.pt")


if __name__ == "__main__":
    main()
