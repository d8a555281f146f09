"""Stage 3: train the text encoder alone, then freeze it. Resumable: WORK/text/last.pt; result WORK/model/text_encoder.

From the state of a name's last token, and from those of end of text and padding, linear heads that are learnt as well must
tell what the thing looks like (`looks`) and which it is. Nothing keeps the name's own tokens apart from the others, which
is what the embedded model's training does (../text.py).
"""
import argparse
import random
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

sys.path.append(str(Path(__file__).parents[1]))
from captions import CONCEPTS, ITEMS, _tokenizer, draw, encode
from catalogue import look
from paths import WORK

WIDTH, COMPONENTS, LIFTED, NEAREST, SHORT = 192, 48, 96, 0.4, 18
RATE, PEOPLE = 2e-3, 0.8                                         # so many captions name a person


def looks(seed: int = 5) -> torch.Tensor:
    """float32 [items, COMPONENTS + LIFTED]: leading components of the pictures, and a lift of them (see ../codes.py)."""
    seen = torch.tensor(np.stack([look(rgba) for rgba in np.load(WORK / "sprites.npz")["rgba"]])).float()
    seen = seen - seen.mean(0)
    _, sigma, basis = torch.linalg.svd(seen, full_matrices=False)
    scores = seen @ basis[:COMPONENTS].T
    print(f"{COMPONENTS} components hold {(sigma[:COMPONENTS] ** 2).sum() / (sigma ** 2).sum():.3f} of the variance")
    scores = scores / scores.std(0).sqrt()                                                    # half whitened
    apart = torch.cdist(scores, scores).fill_diagonal_(torch.inf).min(1).values.median()
    chance = torch.Generator().manual_seed(seed)
    slopes = torch.randn(COMPONENTS, LIFTED, generator=chance) * (-2 * torch.log(torch.tensor(NEAREST))).sqrt() / apart
    phases = torch.rand(LIFTED, generator=chance) * 2 * torch.pi
    return torch.cat([1.5 * scores / scores.std(), 2 ** 0.5 * torch.cos(scores @ slopes + phases)], 1)


def build() -> CLIPTextModel:
    made = _tokenizer()
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(made), hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=77, bos_token_id=made.bos_token_id, eos_token_id=made.eos_token_id,
        pad_token_id=made.eos_token_id, projection_dim=WIDTH))


def sample(rng: random.Random, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids [count, length], items [count], and places [count, 3]: last token of the name, end of text, some padding."""
    plain = sum(c["kind"] != "celebrity" for c in CONCEPTS)
    ids, items, places = [], [], []
    while len(ids) < count:
        item = rng.randrange(plain, len(ITEMS)) if rng.random() < PEOPLE else rng.randrange(plain)
        words = draw(rng, ITEMS[item], None)
        if len(words) <= length - 4:
            one, roles, last = encode(words, length)
            end = roles.index(4)
            ids.append(one), items.append(item), places.append((last, end, rng.randrange(end, length)))
    return torch.tensor(ids), torch.tensor(items), torch.tensor(places)


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--steps", type=int, default=1200)
    args.add_argument("--batch", type=int, default=64)
    args = args.parse_args()
    torch.manual_seed(0)
    targets, model, place, first = looks(), build(), WORK / "text/last.pt", 0
    heads = nn.ModuleList(nn.Linear(WIDTH, size) for size in (targets.shape[1], len(ITEMS)) for _ in range(2))
    weights = [*model.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.01, betas=(0.9, 0.98))
    place.parent.mkdir(exist_ok=True, parents=True)
    if place.exists():
        state = torch.load(place)
        for part, name in ((model, "model"), (heads, "heads"), (optimiser, "optimiser")):
            part.load_state_dict(state[name])
        first = state["step"]
    rng = random.Random(first + 1)
    for step in range(first, args.steps):
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 50) * (1 - step / args.steps) ** 0.7 + 1e-6
        ids, items, places = sample(rng, *((args.batch, SHORT) if step % 8 else (args.batch // 4, 77)))
        states = model(input_ids=ids).last_hidden_state
        rows, parts = torch.arange(len(ids)), {}
        for column, kind in enumerate(("own", "end", "padding")):
            read = states[rows, places[:, column]]
            parts[f"look {kind}"] = F.mse_loss(heads[column > 0](read), targets[items])
            parts[f"which {kind}"] = 0.3 * F.cross_entropy(heads[2 + (column > 0)](read), items)
        sum(parts.values()).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if step % 50 == 0:
            print(f"step {step}", {k: round(v.item(), 3) for k, v in parts.items()}, flush=True)
        if step % 100 == 99 or step == args.steps - 1:
            torch.save({"model": model.state_dict(), "heads": heads.state_dict(), "optimiser": optimiser.state_dict(),
                        "step": step + 1}, place)
    model.save_pretrained(WORK / "model/text_encoder")
    print("trained", args.steps, "steps")


if __name__ == "__main__":
    main()
