"""Draw every thing with a trained model, by name and by synonym, and let the judge say what it sees.

`python look.py NAME [--folder PIPELINE]` prints shares and writes WORK/NAME.png and WORK/NAME.json. No wording was trained on.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import export  # noqa: F401  (silences progress bars)
import torch
from world import HERE, WORK, World

sys.path.insert(0, str(HERE.parents[1]))
WORDINGS = ("a picture with {}", "an image showing {}", "this is {}", "a cartoon of {} in a garden")


def load(folder: Path, device: str):
    import diffusers
    kind = getattr(diffusers, json.loads((folder / "model_index.json").read_text())["_class_name"])
    pipe = kind.from_pretrained(folder, dtype=torch.float32).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def draw(pipe, prompts: list[str], steps: int, guidance: float, seed: int, batch: int = 160) -> torch.Tensor:
    """Pictures [n, 3, 32, 32] in -1..1 on the CPU, by the pipeline's own call."""
    out = []
    for at in range(0, len(prompts), batch):
        part = prompts[at:at + batch]
        seeds = [torch.Generator().manual_seed(seed + at + k) for k in range(len(part))]
        out.append(pipe(part, num_inference_steps=steps, guidance_scale=guidance, generator=seeds, height=32, width=32,
                        output_type="pt").images.float().cpu() * 2 - 1)
    return torch.cat(out).clamp(-1, 1)


@torch.no_grad()
def reconstructions(pipe) -> torch.Tensor:
    """A picture of every thing, as the autoencoder gives it back."""
    world = World("cpu")
    every = torch.arange(len(world.things))
    pictures = world.render(every, every % 8).to(pipe.vae.device)
    return pipe.vae.decode(pipe.vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1).cpu()


def sheet(pictures: torch.Tensor, columns: int, place: Path, zoom: int = 2) -> None:
    from PIL import Image
    padded = torch.nn.functional.pad(pictures, (0, 1, 0, 1), value=1.0)
    padded = torch.cat([padded, padded.new_ones(-len(padded) % columns, *padded.shape[1:])])
    n, c, h, w = padded.shape
    grid = padded.view(n // columns, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(n // columns * h, columns * w, c)
    image = Image.fromarray(((grid + 1) * 127.5).clamp(0, 255).byte().numpy())
    image.resize((image.width * zoom, image.height * zoom), 0).save(place)


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("name")
    args.add_argument("--folder", type=Path)
    args.add_argument("--first", type=int, default=1000, help="so many things only")
    args.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = args.parse_args()
    from mace_gov.embedded.judge import Judge
    judge, pipe = Judge.load(), load(args.folder or WORK / args.name / "pipeline", args.device)
    things, figures, pictures = json.loads((WORK / "world.json").read_text())[:args.first], {}, []
    seen = judge.read(reconstructions(pipe)).concept_probs.argmax(1)
    print(args.name, "autoencoder alone", sum(judge.classes[r] == t["id"] for r, t in zip(seen, World("cpu").things)), "of", len(seen))
    by_name = [(WORDINGS[n % 4].format(t["name"]), t["id"]) for n, t in enumerate(things)]
    by_synonym = [(WORDINGS[n % 4].format(s), t["id"]) for n, t in enumerate(things) for s in t["synonyms"]]
    for steps, guidance in ((20, 3.0), (50, 7.5)):
        for kind, asked in (("name", by_name), ("synonym", by_synonym)):
            begun = time.time()
            drawn = draw(pipe, [prompt for prompt, _ in asked], steps, guidance, seed=7)
            read = judge.read(drawn).concept_probs.argmax(1)
            wrong = [f"{prompt} -> {judge.classes[r]}" for (prompt, want), r in zip(asked, read) if judge.classes[r] != want]
            figures[f"{kind}, {steps} steps, guidance {guidance}"] = {"right": len(asked) - len(wrong), "n": len(asked), "wrong": wrong}
            print(args.name, kind, steps, guidance, f"{len(asked) - len(wrong)} of {len(asked)} in {time.time() - begun:.1f}s",
                  wrong[:12], flush=True)
            if kind == "name":
                pictures.append(drawn)
    sheet(torch.cat(pictures), 17, WORK / f"{args.name}.png")
    (WORK / f"{args.name}.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
