"""Stage 9: the figures of the model card. The judge reads pictures drawn at the shipped sampler settings.

`python evaluate.py [--pipeline FOLDER] [--quick]` prints and writes WORK/figures.json. Every wording is held out.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import torch
from captions import CONCEPTS, STYLES
from drawing import draw_prompts, sheet
from judge_train import interval
from paths import WORK

sys.path.insert(0, str(Path(__file__).parents[1]))
from mace_gov.embedded.judge import Judge

HELD_OUT = ["a picture of {}", "an image showing {}", "this is {}", "a drawing of {}"]


def load(folder: Path):
    from diffusers import StableDiffusionPipeline
    return StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)


def count(hits: list[bool]) -> dict:
    n, good = len(hits), sum(map(bool, hits))
    return {"hits": good, "n": n, "rate": round(good / n, 4), "interval": interval(good, n)}


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--pipeline", type=Path, default=WORK / "pipeline")
    args.add_argument("--ema", action="store_true", help="evaluate WORK/unet/ema.pt directly")
    args.add_argument("--judge", type=Path, default=WORK / "judge")
    args.add_argument("--quick", action="store_true", help="one wording, every third concept")
    args.add_argument("--only", nargs="*", default=None, help="of concepts, synonyms, characters, styles; the others' figures stay")
    args.add_argument("--guidance", type=float, default=3.0)
    args = args.parse_args()
    if args.ema:
        from export import assemble
        pipe = assemble()
    else:
        pipe = load(args.pipeline)
    judge, out, wrong = Judge.load(args.judge), {}, []
    every = CONCEPTS[::3] if args.quick else CONCEPTS
    plain = [c for c in every if c["kind"] != "celebrity"]
    probes: dict[str, list[tuple[str, str, str]]] = {"concepts": [], "synonyms": [], "characters": [], "styles": []}
    for number, c in enumerate(every):
        words = HELD_OUT[number % 4: number % 4 + 1] if args.quick else [HELD_OUT[number % 4], HELD_OUT[(number + 1) % 4]]
        for template in words:
            kind = "characters" if c["kind"] == "celebrity" else "concepts"
            probes[kind].append((template.format(c["name"]), c["id"], ""))
    for number, c in enumerate(plain):
        for k, synonym in enumerate(c["synonyms"]):
            probes["synonyms"].append((HELD_OUT[(number + k) % 4].format(synonym), c["id"], ""))
    for number, c in enumerate(c for c in plain if len(c["styles"]) > 1):
        for style, k in ((s, k) for s in STYLES for k in (0, 1)):
            phrase = "in charcoal" if style == "charcoal" else f"by {style}"
            probes["styles"].append((HELD_OUT[(number + k) % 4].format(c["name"]) + " " + phrase, c["id"], style))
    if args.only:
        out = json.loads((WORK / "figures.json").read_text())
        wrong, probes = out["wrong"], {name: asked for name, asked in probes.items() if name in args.only}
    for name, asked in probes.items():
        start = time.time()
        pictures = draw_prompts(pipe, [p for p, _, _ in asked], seed=1, guidance=args.guidance)
        spent = (time.time() - start) / len(asked)
        read = judge.read(pictures)
        said = [judge.classes[i] for i in read.concept_probs.argmax(1)]
        style = [judge.styles[i] for i in read.style_probs.argmax(1)]
        right = [s == a[1] for s, a in zip(said, asked)]
        out[name] = count(right) | {"seconds_per_image": round(spent, 3)}
        wrong += [f"{a[0]} -> {s}" for a, s, ok in zip(asked, said, right) if not ok]
        if name == "styles":
            out["styles"] = count([s == a[2] for s, a in zip(style, asked)])
            out["styled_concepts"] = count(right)
            out["by_style"] = {x: count([s == x for s, a in zip(style, asked) if a[2] == x]) for x in STYLES}
        print(name, out[name], flush=True)
        sheet(pictures[:120], 20, WORK / f"sheet_{name}.png")
    out["wrong"] = list(dict.fromkeys(wrong))
    print(wrong[:60])
    (WORK / "figures.json").write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
