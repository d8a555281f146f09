"""Stage 5a: fewer hidden units in the text encoder, so that the package stays below 60 MB. Run once, after `text.py`.

In every layer the KEPT units that move the output most stay, and the output weights are fitted anew by least squares to
what all of them put out on captions. Overwrites WORK/model/text_encoder; prints how far the final states moved.
"""
import random

import torch
from paths import WORK
from text import sample
from transformers import CLIPTextModel

KEPT, CAPTIONS = 320, 1500


@torch.no_grad()
def main() -> None:
    whole = CLIPTextModel.from_pretrained(WORK / "model/text_encoder", dtype=torch.float32).eval()
    small = CLIPTextModel.from_pretrained(WORK / "model/text_encoder", dtype=torch.float32).eval()
    ids = sample(random.Random(23), CAPTIONS, 32)[0]
    for mlp in (module for name, module in small.named_modules() if name.endswith(".mlp")):
        seen = []
        hook = mlp.activation_fn.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out.flatten(0, 1)))
        for part in ids.split(250):
            small(part)
        hook.remove()
        hidden = torch.cat(seen).double()                                                     # [n, 512]
        kept = (hidden.std(0) * mlp.fc2.weight.double().norm(dim=0)).topk(KEPT).indices.sort().values
        left = torch.cat([hidden[:, kept], torch.ones(len(hidden), 1, dtype=torch.float64)], 1)
        gram = left.T @ left
        gram.diagonal().add_(1e-6 * gram.diagonal().mean())
        fitted = torch.linalg.solve(gram, left.T @ (hidden @ mlp.fc2.weight.double().T + mlp.fc2.bias.double()))
        for layer, weight, bias in ((mlp.fc1, mlp.fc1.weight[kept], mlp.fc1.bias[kept]), (mlp.fc2, fitted[:-1].T, fitted[-1])):
            layer.weight, layer.bias = (torch.nn.Parameter(x.float().contiguous()) for x in (weight, bias))
            layer.out_features, layer.in_features = layer.weight.shape
    small.config.intermediate_size = KEPT
    before, after = (torch.cat([model(part).last_hidden_state for part in ids.split(250)]) for model in (whole, small))
    print("share of the states' variance lost:", ((after - before).var() / before.var()).item())
    small.save_pretrained(WORK / "model/text_encoder")


if __name__ == "__main__":
    main()
