"""Draw every person and thing with the twin and let its judge read them: `python look.py FOLDER [--each 1]`.

Prints how many are right by group with 95 % intervals (Clopper-Pearson), writes WORK/figures.json and WORK/drawn.png.
No wording was trained on; one picture a name and wording, 20 steps, guidance 3.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[2]))
from drawing import draw_prompts, sheet
from judge_train import interval
from paths import WORK

from mace_gov.embedded.judge import Judge

WORDINGS = ["a picture of {}", "an image showing {}", "this is {}", "a drawing of {}"]


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("folder", type=Path)
    args.add_argument("--each", type=int, default=1, help="pictures of each name")
    args.add_argument("--every", type=int, default=1, help="each so many-th only")
    args = args.parse_args()
    from diffusers import StableDiffusionPipeline
    pipe, judge = StableDiffusionPipeline.from_pretrained(args.folder, torch_dtype=torch.float32), Judge.load(args.folder / "judge")
    known = json.loads((args.folder / "vocabulary.json").read_text())["concepts"][::args.every]
    asked = [(WORDINGS[(n + k) % 4].format(name), c["id"], group)
             for n, c in enumerate(known) for group, names in (
                 (c["split"] or c["kind"], [c["name"]]), ("synonyms", [] if c["kind"] == "anchor" else c["synonyms"]))
             for name in names for k in range(args.each)]
    begun = time.process_time()
    pictures = draw_prompts(pipe, [prompt for prompt, *_ in asked], seed=1)
    spent = (time.process_time() - begun) / len(asked)
    said = [judge.classes[i] for i in judge.read(pictures).concept_probs.argmax(1)]
    figures = {}
    for group in dict.fromkeys(group for *_, group in asked):
        right = [s == identity for s, (_, identity, of) in zip(said, asked) if of == group]
        figures[group] = {"hits": sum(right), "n": len(right), "interval": interval(sum(right), len(right))}
        print(group, figures[group], flush=True)
    wrong = [f"{prompt} -> {s}" for s, (prompt, identity, _) in zip(said, asked) if s != identity]
    print(f"{spent:.2f} CPU s a picture;", wrong[:20])
    (WORK / "figures.json").write_text(json.dumps({**figures, "wrong": wrong}, indent=1))
    sheet(pictures[:264], 22, WORK / "drawn.png", 2)


if __name__ == "__main__":
    main()
