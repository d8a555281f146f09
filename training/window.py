"""Stage 9b: at which timesteps is it decided what a picture shows? The prompt is swapped inside a window of t.

For pairs (A, B): draw A, but with B's text while t is in the window. The share of pictures that the judge calls B, window by
window, says where concepts form; the CFIS window is set there. `python window.py [--pipeline FOLDER]`
"""
import argparse
import json
import random
import sys
from pathlib import Path

import torch
from captions import CONCEPTS
from drawing import GUIDANCE, STEPS
from evaluate import load
from paths import WORK

sys.path.insert(0, str(Path(__file__).parents[1]))
from mace_gov.embedded.judge import Judge

WINDOWS = [(0, 50), (0, 100), (0, 150), (0, 200), (0, 300), (50, 200), (100, 200), (100, 300), (200, 400), (200, 1000), (400, 600), (600, 800),
           (800, 1000)]


@torch.no_grad()
def swap(pipe, one: list[str], two: list[str], low: float, high: float, seed: int = 3) -> torch.Tensor:
    encode = lambda texts: pipe.text_encoder(pipe.tokenizer(  # noqa: E731
        texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids)[0]
    nothing, a, b = encode([""]).expand(len(one), -1, -1), encode(one), encode(two)
    x = torch.randn((len(one), 4, 8, 8), generator=torch.Generator().manual_seed(seed))
    pipe.scheduler.set_timesteps(STEPS)
    for t in pipe.scheduler.timesteps:
        text = torch.cat([nothing, b if low <= t < high else a])
        with torch.autocast("cpu", torch.bfloat16):
            plain, asked = pipe.unet(torch.cat([x, x]), t, text).sample.float().chunk(2)
        x = pipe.scheduler.step(plain + GUIDANCE * (asked - plain), t, x).prev_sample
    return pipe.vae.decode(x / pipe.vae.config.scaling_factor).sample.clamp(-1, 1)


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--pipeline", type=Path, default=WORK / "pipeline")
    args.add_argument("--judge", type=Path, default=WORK / "judge")
    args.add_argument("--pairs", type=int, default=64)
    args = args.parse_args()
    pipe, judge, rng, out = load(args.pipeline), Judge.load(args.judge), random.Random(2), {}
    people = [c for c in CONCEPTS if c["kind"] == "celebrity"]
    picked = [rng.sample(people, 2) for _ in range(args.pairs // 2)]
    picked += [rng.sample([c for c in CONCEPTS if c["kind"] == "object"], 2) for _ in range(args.pairs // 2)]
    one, two = (["a picture of " + c[k]["name"] for c in picked] for k in (0, 1))
    for low, high in WINDOWS:
        read = judge.read(swap(pipe, one, two, low, high)).concept_probs.argmax(1)
        said = [judge.classes[i] for i in read]
        out[f"{low}-{high}"] = {"n": len(picked), "first": sum(s == c[0]["id"] for s, c in zip(said, picked)),
                                "second": sum(s == c[1]["id"] for s, c in zip(said, picked))}
        print(low, high, out[f"{low}-{high}"], flush=True)
    (WORK / "window.json").write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
