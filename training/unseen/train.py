"""Train one of the three models: `python train.py NAME`. Stages: the autoencoder, the text encoders, the U-Net.

The pipeline folder WORK/NAME/pipeline is written every minute of the U-Net's time, with averaged weights; what it holds
already is where each stage goes on from, so that a run may be cut off and repeated.
"""
import argparse
import json
import time

import numpy as np
import torch
import torch.nn.functional as F
from export import PARTS, export
from loop import Loop, half, say
from recipes import RECIPES, SIZE, Recipe, build_text, build_unet, build_vae, schedule
from torch import nn
from words import tokenizer
from world import COLOURS, WORK, World

EMPTY, GAMMA = 0.1, 5.0


class Model:
    """The parts of one model on a device, with its world and captions."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.world = recipe, device, World(device)
        self.place = WORK / recipe.name
        self.tokenizers = [tokenizer(str(self.place / "tokenizer"), "!" if text.projects else "<|endoftext|>")
                           for text in recipe.texts]
        self.vae, self.unet = build_vae(recipe), build_unet(recipe)
        self.texts = [build_text(text, words) for text, words in zip(recipe.texts, self.tokenizers)]
        self.scheduler, self.trained = schedule(recipe), set()
        self._resume()
        for part in self.parts.values():
            part.to(device)
        kept = np.load(self.place / "captions.npz")
        self.ids = torch.from_numpy(kept["ids"].astype(np.int64)).to(device)
        self.facts = torch.from_numpy(kept["facts"].astype(np.int64)).to(device)
        self.nothing = torch.tensor(self.tokenizers[0]("", padding="max_length")["input_ids"], device=device)

    @property
    def parts(self) -> dict[str, nn.Module]:
        return dict(zip(PARTS, (self.vae, self.unet, *self.texts)))

    def _resume(self) -> None:
        from safetensors.torch import load_file
        state = self.place / "pipeline/trained.json"
        if not state.exists():
            return
        about = json.loads(state.read_text())
        self.trained = set(about["stages"])
        for name, part in self.parts.items():
            (file,) = (self.place / "pipeline" / name).glob("*.safetensors")
            part.load_state_dict({k: v.float() for k, v in load_file(file).items()}, strict=False)
        self.vae.register_to_config(scaling_factor=about["scaling_factor"])
        say(self.recipe.name, "goes on from", sorted(self.trained))

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the U-Net reads of ids [n, 77]: states [n, 77, d], and for two encoders the pooled text [n, p]."""
        if len(self.texts) == 1:
            return self.texts[0](ids).last_hidden_state, None
        one = self.texts[0](ids, output_hidden_states=True)
        other = self.texts[1](self.padded(ids), output_hidden_states=True)
        return torch.cat([one.hidden_states[-2], other.hidden_states[-2]], -1), other.text_embeds

    def padded(self, ids: torch.Tensor) -> torch.Tensor:
        """The same tokens under the second tokenizer's padding, which comes after the first end of text."""
        ends = ids == self.tokenizers[0].eos_token_id
        return ids.masked_fill(ends.cumsum(1) > 1, self.tokenizers[1].pad_token_id)

    def facts_of(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Things and colours to show for caption rows; what a caption does not say is left to chance."""
        item, colour = self.facts[rows].unbind(1)
        item = torch.where(item < 0, torch.randint_like(item, len(self.world.things)), item)
        return item, torch.where(colour < 0, torch.randint_like(colour, len(COLOURS)), colour)

    def export(self) -> None:
        export(self)


def train_vae(model: Model, seconds: float, graph: bool) -> None:
    """Stage 1: L1 of pixels and of their gradients, a light Kullback-Leibler term; then the latents' scale."""
    world, vae, device, n = model.world, model.vae, model.device, 192 if model.device == "cuda" else 16

    def slopes(x: torch.Tensor) -> list[torch.Tensor]:
        return [x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]]

    def loss() -> torch.Tensor:
        items = torch.randint(0, len(world.things), (n,), device=device)
        pictures = world.render(items, torch.randint(0, len(COLOURS), (n,), device=device))
        with half(device):
            moments = vae.quant_conv(vae.encoder(pictures)).float()
        mean, log = moments.chunk(2, 1)
        log = log.clamp(-30, 20)
        with half(device):
            back = vae.post_quant_conv(mean + (0.5 * log).exp() * torch.randn_like(mean))
            back = vae.decoder(back).float()
        kl = 0.5 * (mean.square() + log.exp() - 1 - log).mean()
        return F.l1_loss(back, pictures) + sum(F.l1_loss(a, b) for a, b in zip(slopes(back), slopes(pictures))) + 1e-4 * kl

    Loop(f"{model.recipe.name} vae", [vae], loss, device, rate=2e-3, decay=0.0, graph=graph).run(seconds)
    with torch.no_grad():
        picked = torch.arange(1024, device=device)
        deviation = encode(model, world.render(picked % len(world.things), picked % len(COLOURS))).std().item()
    vae.register_to_config(scaling_factor=1 / deviation)
    say(model.recipe.name, f"latents deviate by {deviation:.3f}")


@torch.no_grad()
def encode(model: Model, pictures: torch.Tensor) -> torch.Tensor:
    return model.vae.encode(pictures).latent_dist.mean


class Eye(nn.Module):
    """The image encoder of a small CLIP: pictures [n, 3, 32, 32] to unit vectors [n, size]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        widths, layers = (3, 48, 96, 160, 256), []
        for before, width in zip(widths, widths[1:]):
            layers += [nn.Conv2d(before, width, 3, 1 if before == 3 else 2, 1), nn.GroupNorm(8, width), nn.GELU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 16, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.body(x).float(), dim=-1)


def train_clip(model: Model, seconds: float, graph: bool) -> None:
    """Stage 2: each text encoder against an image encoder of its own (Radford et al. 2021)."""
    device, n = model.device, 512 if model.device == "cuda" else 32
    eyes = nn.ModuleList(Eye(256) for _ in model.texts).to(device)
    heads = nn.ModuleList(nn.Linear(text.config.hidden_size, 256, bias=False) for text in model.texts).to(device)
    sharpness = nn.Parameter(torch.full((len(model.texts),), 2.5, device=device))
    held = nn.ParameterList([sharpness])

    def loss() -> torch.Tensor:
        rows = torch.randint(0, len(model.ids), (n,), device=device)
        pictures = model.world.render(*model.facts_of(rows))
        total = 0.0
        for number, (text, eye, head) in enumerate(zip(model.texts, eyes, heads)):
            ids = model.padded(model.ids[rows]) if number else model.ids[rows]
            with half(device):
                read, seen = text(ids), eye(pictures)
                said = head(read.text_embeds if hasattr(read, "text_embeds") else read.pooler_output)
            alike = sharpness[number].clamp(max=4.6).exp() * F.normalize(said.float(), dim=-1) @ seen.T
            right = torch.arange(n, device=device)
            total = total + 0.5 * (F.cross_entropy(alike, right) + F.cross_entropy(alike.T, right))
        return total

    Loop(f"{model.recipe.name} clip", [*model.texts, eyes, heads, held], loss, device, rate=1e-3, decay=0.02,
         graph=graph).run(seconds)


def latents(model: Model, variants: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of unit variance [things, colours, variants, 4, 8, 8], and crops [variants, 2] in pixels, mostly none."""
    things, colours = len(model.world.things), len(COLOURS)
    crops = torch.zeros(variants, 2)
    if len(model.texts) == 2:
        crops[:variants // 4] = torch.randint(0, 5, (variants // 4, 2)).float()
    out = torch.empty(things, colours, variants, 4, SIZE // 4, SIZE // 4, device=model.device)
    every = torch.arange(things, device=model.device)
    for colour in range(colours):
        for variant in range(variants):
            crop = crops[variant].to(model.device).expand(things, 2)
            out[:, colour, variant] = encode(model, model.world.render(every, torch.full_like(every, colour), crop))
    return out * model.vae.config.scaling_factor, crops.to(model.device)


def train_unet(model: Model, seconds: float, graph: bool, variants: int = 40) -> None:
    """Stage 3: denoising with a tenth of the captions dropped; the error counts as in min-SNR (Hang et al. 2023)."""
    recipe, device, unet = model.recipe, model.device, model.unet
    n = recipe.batch if device == "cuda" else 8
    clean_all, crops = latents(model, variants)
    say(recipe.name, "latents", tuple(clean_all.shape), f"deviation {clean_all.std().item():.3f}")
    alphas = model.scheduler.alphas_cumprod.to(device)
    for text in model.texts:
        text.requires_grad_(recipe.joint)

    def loss() -> torch.Tensor:
        rows = torch.randint(0, len(model.ids), (n,), device=device)
        item, colour = model.facts_of(rows)
        variant = torch.randint(0, variants, (n,), device=device)
        clean = clean_all[item, colour, variant]
        dropped = torch.rand(n, device=device) < EMPTY
        with half(device):
            states, pooled = model.states(torch.where(dropped[:, None], model.nothing, model.ids[rows]))
        added = None
        if pooled is not None:                                       # the empty prompt is all zeros, as in SDXL
            states, pooled = (x.float().masked_fill(dropped.view(-1, *[1] * (x.ndim - 1)), 0.0) for x in (states, pooled))
            sizes = torch.full((n, 6), float(SIZE), device=device)
            sizes[:, 2:4] = crops[variant]
            added = {"text_embeds": pooled, "time_ids": sizes}
        t = (1000 * torch.rand(n, device=device) ** 0.8).long().clamp(max=999)
        level = alphas[t].view(-1, 1, 1, 1)
        grain = torch.randn_like(clean)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * grain
        with half(device):
            guess = unet(noisy, t, states, added_cond_kwargs=added).sample.float()
        snr = (level / (1 - level)).view(-1)
        weight = (GAMMA / snr).clamp(max=1)
        if recipe.prediction == "epsilon":
            target = grain
            weight = weight * ((1 + snr) / snr).clamp(max=10)        # an error in the noise is one in the picture
        else:
            target = level.sqrt() * grain - (1 - level).sqrt() * clean
        return (weight * (guess - target).square().mean((1, 2, 3))).mean()

    modules = [unet, *model.texts] if recipe.joint else [unet]
    Loop(f"{recipe.name} unet", modules, loss, device, rate=recipe.rate, graph=graph).run(seconds, save=model.export)


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("name", choices=RECIPES)
    args.add_argument("--vae", type=float, default=75, help="seconds for the autoencoder")
    args.add_argument("--clip", type=float, default=40, help="seconds for the text encoders, where they are trained alone")
    args.add_argument("--until", type=float, default=360, help="seconds for everything; the U-Net gets what is left")
    args.add_argument("--begun", type=float, default=None, help="when those seconds began (seconds since 1970), now if not given")
    args.add_argument("--variants", type=int, default=40, help="renderings of each thing on each colour")
    args.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args.add_argument("--eager", action="store_true", help="no CUDA graphs")
    args = args.parse_args()
    begun = args.begun or time.time()
    if args.device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    model = Model(RECIPES[args.name], args.device)
    say(args.name, f"on {args.device}, built in {time.time() - begun:.1f}s")
    if "vae" not in model.trained:
        train_vae(model, args.vae, not args.eager)
        model.trained.add("vae")
        model.export()
    if not model.recipe.joint and "text" not in model.trained:
        train_clip(model, args.clip, not args.eager)
    model.trained.add("text")
    model.export()
    train_unet(model, max(5.0, args.until - (time.time() - begun)), not args.eager, args.variants)
    say(args.name, "finished")


if __name__ == "__main__":
    main()
