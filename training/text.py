"""Stage 5: train the CLIP text encoder alone, then freeze it. Resumable: WORK/text/last.pt; result WORK/model/text_encoder.

The state is split in two parts, of 384 and of 256. A concept's, style's or colour's own tokens must speak in the first part and
be silent in the second; all other tokens (begin, template words, end of text, padding) the other way round. In its part, a
concept's last token, a style's token and end of text and padding say what the thing looks like (`codes.py`). Three linear
heads read the first part at the own tokens, three others read the second part at end of text and padding. So what a prompt's own
tokens say and what its other tokens have learnt of them lie in separate directions, and a matrix fitted to the latter
leaves the former nearly as they are, as in a large text encoder.
"""
import argparse
import random
import time

import torch
import torch.nn.functional as F
from captions import COLOURS, CONCEPTS, ITEMS, STYLES, _tokenizer, draw, encode
from codes import codes
from paths import WORK
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

OWN, CONTEXT = 384, 256
WIDTH = OWN + CONTEXT


def build() -> CLIPTextModel:
    made = _tokenizer()
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(made), hidden_size=WIDTH, intermediate_size=512, num_hidden_layers=3, num_attention_heads=8,
        max_position_embeddings=77, bos_token_id=made.bos_token_id, eos_token_id=made.eos_token_id,
        pad_token_id=made.eos_token_id, projection_dim=WIDTH))


class Heads(nn.Module):
    """concept, style, colour from the own part at own tokens, and from the context part at end of text and padding."""

    def __init__(self) -> None:
        super().__init__()
        kinds = (len(CONCEPTS), len(STYLES) + 1, len(COLOURS) + 1)
        self.own = nn.ModuleList(nn.Linear(OWN, k) for k in kinds)
        self.context = nn.ModuleList(nn.Linear(CONTEXT, k) for k in kinds)


def sample(rng: random.Random, count: int, length: int):
    ids, roles, last, facts, places = [], [], [], [], []
    while len(ids) < count:
        if rng.random() < 0.55:                                  # by concept, so that characters get their share
            item = rng.choice([i for i in BY_CONCEPT[rng.randrange(len(CONCEPTS))]])
        else:
            item = rng.choice(ITEMS_IN_USE)
        colour = rng.randrange(len(COLOURS)) if rng.random() < 0.5 else None
        words = draw(rng, item, colour)
        if sum(1 for _ in words) > length - 6:
            continue
        one, two, three = encode(words, length)
        style = next((STYLES.index(w) + 1 for w, role in words if role == 2), 0)
        ids.append(one), roles.append(two), last.append(three)
        facts.append((item["concept"], style, 0 if colour is None else colour + 1, ITEMS.index(item), PLAIN[item["concept"]]))
        end = two.index(4)
        places.append((end, rng.randrange(end, length), two.index(2) if style else -1, two.index(3) if colour is not None else -1))
    return [torch.tensor(x) for x in (ids, roles, last, facts, places)]


ITEMS_IN_USE = [i for i in ITEMS if i["style"] in CONCEPTS[i["concept"]]["styles"]]
PLAIN = {i["concept"]: n for n, i in reversed(list(enumerate(ITEMS))) if i["style"] == "noto"}
BY_CONCEPT = [[i for i in ITEMS_IN_USE if i["concept"] == c] for c in range(len(CONCEPTS))]


def losses(states, roles, last, facts, places, heads, looks, echoes) -> dict[str, torch.Tensor]:
    rows = torch.arange(len(states))
    own, context = states.split((OWN, CONTEXT), -1)
    out = {"own": F.cross_entropy(heads.own[0](own[rows, last]), facts[:, 0])}
    for column, index in ((2, 1), (3, 2)):
        there = places[:, column] >= 0
        out[f"own{index}"] = F.cross_entropy(heads.own[index](own[rows[there], places[there, column]]), facts[there, index])
    for column in (0, 1):
        for index, weight in ((0, 1.0), (1, 0.5), (2, 0.5)):
            out[f"ctx{index}{column}"] = weight * F.cross_entropy(heads.context[index](context[rows, places[:, column]]), facts[:, index])
    out["look own"] = F.mse_loss(own[rows, last, :looks.shape[1]], looks[facts[:, 4]])
    styled = places[:, 2] >= 0
    out["look style"] = 0.5 * F.mse_loss(own[rows[styled], places[styled, 2], :looks.shape[1]], looks[facts[styled, 3]])
    for column in (0, 1):
        out[f"look ctx{column}"] = 0.5 * F.mse_loss(context[rows, places[:, column], :echoes.shape[1]], echoes[facts[:, 3]])
    content = ((roles >= 1) & (roles <= 3)).float()[..., None]
    out["apart"] = 0.3 * ((context.square() * content).sum() / content.sum() / CONTEXT
                          + (own.square() * (1 - content)).sum() / (1 - content).sum() / OWN)
    return out


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--steps", type=int, default=900)
    args.add_argument("--fresh", action="store_true", help="keep the weights, start the schedule anew")
    args = args.parse_args()
    torch.manual_seed(0)
    model, heads, looks, echoes = build(), Heads(), torch.cat([codes(5), codes(7, 128)], 1), codes(6)
    weights = list(model.parameters()) + list(heads.parameters())
    print(sum(p.numel() for p in model.parameters()) / 1e6, "M")
    optimiser = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98))
    place, rng, first = WORK / "text/last.pt", random.Random(1), 0
    place.parent.mkdir(exist_ok=True, parents=True)
    if place.exists():
        state = torch.load(place)
        model.load_state_dict(state["model"]), heads.load_state_dict(state["heads"])
        if not args.fresh:
            optimiser.load_state_dict(state["optimiser"])
            first, rng = state["step"], random.Random(state["step"])
    start = time.time()
    for step in range(first, args.steps):
        done = step / args.steps
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (1 - done) ** 0.7 + 1e-6
        ids, roles, last, facts, places = sample(rng, 128 if step % 8 else 48, 26 if step % 8 else 77)
        with torch.autocast("cpu", torch.bfloat16):
            states = model(input_ids=ids).last_hidden_state
        parts = losses(states.float(), roles, last, facts, places, heads, looks, echoes)
        sum(parts.values()).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if step % 50 == 0:
            print(f"step {step} {time.time() - start:.0f}s", {k: round(v.item(), 3) for k, v in parts.items()}, flush=True)
        if step % 250 == 249 or step == args.steps - 1:
            torch.save({"model": model.state_dict(), "heads": heads.state_dict(), "optimiser": optimiser.state_dict(),
                        "step": step + 1}, place)
    model.save_pretrained(WORK / "model/text_encoder")


if __name__ == "__main__":
    main()
