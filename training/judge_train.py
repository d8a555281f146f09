"""Stage 7: train the judge on fresh renderings and on what the VAE makes of them, and measure it on held-out renderings.

Writes WORK/judge/judge.safetensors and judge.json. Held out: shifts and scales wider than in training, another seed.
`python judge_train.py --measure` measures only.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from captions import CONCEPTS, ITEMS, STYLES
from paths import WORK
from rendering import batch
from safetensors.torch import load_file, save_file
from scipy.stats import beta

sys.path.insert(0, str(Path(__file__).parents[1]))
from mace_gov.embedded.judge import Net

CLASSES = [c["id"] for c in CONCEPTS] + ["nothing"]
OF_ITEM = torch.tensor([i["concept"] for i in ITEMS])
STYLE_OF_ITEM = torch.tensor([STYLES.index(i["style"]) for i in ITEMS])


def interval(hits: int, n: int) -> list[float]:
    """The 95 % Clopper-Pearson interval."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))
    return [round(low, 4), round(high, 4)]


@torch.no_grad()
def reconstructions() -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures the VAE makes of the cached latents, slightly disturbed, with their items."""
    from diffusers import AutoencoderKL
    vae, latents = AutoencoderKL.from_pretrained(WORK / "model/vae").eval(), torch.load(WORK / "unet/latents.pt")
    flat = latents[:, :, 0].reshape(-1, *latents.shape[3:]).float()
    out = []
    for part in (flat + 0.08 * torch.randn_like(flat)).split(128):
        out.append(vae.decode(part / vae.config.scaling_factor).sample.half())
    return torch.cat(out).clamp(-1, 1), torch.arange(len(ITEMS)).repeat_interleave(latents.shape[1])


def garbage(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures of nothing: noise of several grains, blank grounds, shuffled patches, two pictures averaged to mud."""
    n = len(pictures)
    out = torch.empty_like(pictures)
    for k in range(n):
        kind = k % 5
        if kind == 0:
            grain = int(torch.randint(0, 4, (1,), generator=generator))
            small = torch.randn(1, 3, 32 >> grain, 32 >> grain, generator=generator) * float(torch.rand(1, generator=generator))
            out[k] = F.interpolate(small, size=(32, 32), mode="bilinear")[0]
        elif kind == 1:
            out[k] = (torch.rand(3, 1, 1, generator=generator) * 2 - 1) + 0.02 * torch.randn(3, 32, 32, generator=generator)
        elif kind == 2:
            size = (4, 8)[k // 5 % 2]
            patches = pictures[k].unfold(1, size, size).unfold(2, size, size).reshape(3, -1, size, size)
            patches = patches[:, torch.randperm(patches.shape[1], generator=generator)]
            side = 32 // size
            out[k] = patches.reshape(3, side, side, size, size).permute(0, 1, 3, 2, 4).reshape(3, 32, 32)
        elif kind == 3:
            mixed = torch.randperm(n, generator=generator)[:4]
            out[k] = pictures[mixed].mean(0)
        else:
            coarse = F.interpolate(pictures[k:k + 1], size=(3, 3), mode="area")
            out[k] = F.interpolate(coarse, size=(32, 32), mode="bilinear")[0] + 0.1 * torch.randn(3, 32, 32, generator=generator)
    return out.clamp(-1, 1)


def disturb(x: torch.Tensor) -> torch.Tensor:
    """Noise, blur, contrast and colour shifts, each on some of the pictures."""
    n = len(x)
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = (torch.rand(n, 1, 1, 1) * 1.2 - 0.2).clamp(0, 1)
    x = x + amount * (blurred - x)
    x = x * (1 + 0.12 * torch.randn(n, 1, 1, 1)) + 0.06 * torch.randn(n, 3, 1, 1)
    return (x + torch.rand(n, 1, 1, 1) * 0.15 * torch.randn_like(x)).clamp(-1, 1)


def train(seconds: float, warm: Path | None = None) -> Net:
    torch.manual_seed(3)
    net, rng, generator = Net(len(CLASSES), len(STYLES)), np.random.default_rng(21), torch.Generator().manual_seed(4)
    if warm:
        net.load_state_dict({k: v.float() for k, v in load_file(warm / "judge.safetensors").items() if "trunk" in k}, strict=False)
    made, of_made = reconstructions()
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    start, step = time.time(), 0
    while (done := (time.time() - start) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * (1 - done) + 1e-6
        fresh, items, _ = batch(64, rng)
        picked = torch.randint(0, len(made), (64,))
        x = torch.cat([fresh, made[picked].float()])
        y = torch.cat([torch.from_numpy(items), of_made[picked]])
        bad = garbage(fresh[:15], generator)
        x = disturb(torch.cat([x, bad]))
        concept, style = net(x)
        target = torch.cat([OF_ITEM[y], torch.full((len(bad),), len(CLASSES) - 1)])
        loss = F.cross_entropy(concept, target, label_smoothing=0.02) + 0.7 * F.cross_entropy(style[:len(y)], STYLE_OF_ITEM[y])
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        if step % 100 == 0:
            right = (concept.argmax(1) == target).float().mean().item()
            print(f"step {step} {time.time() - start:.0f}s loss {loss.item():.3f} right {right:.3f}", flush=True)
    return net


@torch.no_grad()
def measure(net: Net, rounds: int = 24) -> dict:
    """Sensitivity and specificity on held-out renderings: every class, pooled by kind, and overall."""
    net.eval()
    rng, generator = np.random.default_rng(990), torch.Generator().manual_seed(991)
    from rendering import PALETTE, render
    truth, said, style_truth, style_said = [], [], [], []
    for _ in range(rounds):
        items = np.arange(len(ITEMS))
        pictures = render(items, rng.integers(0, len(PALETTE), len(items)), rng, wide=True)
        bad = garbage(pictures[:100], generator)
        concept, style = net(torch.cat([pictures, bad]))
        truth += [*OF_ITEM.tolist(), *[len(CLASSES) - 1] * len(bad)]
        said += concept.argmax(1).tolist()
        style_truth += STYLE_OF_ITEM.tolist()
        style_said += style[:len(items)].argmax(1).tolist()
    truth, said = np.array(truth), np.array(said)
    kinds = np.array([c["kind"] for c in CONCEPTS] + ["nothing"])
    rate = lambda ok: {"hits": int(ok.sum()), "n": int(ok.size), "rate": round(float(ok.mean()), 5),  # noqa: E731
                       "interval": interval(int(ok.sum()), int(ok.size))}
    facts = {"held_out": "shifts and scales wider than in training, another random seed",
             "overall": rate(truth == said), "style_overall": rate(np.array(style_truth) == np.array(style_said)),
             "by_kind": {k: rate((truth == said)[kinds[truth] == k]) for k in dict.fromkeys(kinds)}, "by_class": {}}
    for index, name in enumerate(CLASSES):
        is_it = truth == index
        facts["by_class"][name] = {"sensitivity": round(float((said[is_it] == index).mean()), 4), "n_positive": int(is_it.sum()),
                                   "specificity": round(float((said[~is_it] != index).mean()), 6), "n_negative": int((~is_it).sum())}
    return facts


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=float, default=240)
    args.add_argument("--warm", type=Path, help="folder of another judge whose first layers this one begins with")
    args.add_argument("--measure", action="store_true")
    args = args.parse_args()
    folder = WORK / "judge"
    folder.mkdir(exist_ok=True, parents=True)
    if args.measure:
        net = Net(len(CLASSES), len(STYLES))
        net.load_state_dict({k: v.float() for k, v in load_file(folder / "judge.safetensors").items()})
    else:
        net = train(args.seconds, args.warm).half().float()                 # as it will be stored
        save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, folder / "judge.safetensors")
    facts = measure(net)
    print(json.dumps({k: v for k, v in facts.items() if k != "by_class"}))
    (folder / "judge.json").write_text(json.dumps({"version": "1", "classes": CLASSES, "styles": list(STYLES), "size": 32, **facts}, separators=(",", ":")))


if __name__ == "__main__":
    main()
