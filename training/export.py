"""Stage 8: put the parts together as a StableDiffusionPipeline folder in half precision. `python export.py [--to FOLDER]`"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from paths import WORK
from transformers import CLIPTextModel, CLIPTokenizer
from unet import build, schedule


def assemble(weights: Path | None = None) -> StableDiffusionPipeline:
    """The pipeline in float32, with the averaged U-Net weights."""
    unet = build()
    unet.load_state_dict(torch.load(weights or WORK / "unet/ema.pt"))
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(WORK / "model/vae"), unet=unet.eval(), scheduler=schedule(),
        text_encoder=CLIPTextModel.from_pretrained(WORK / "model/text_encoder", dtype=torch.float32),
        tokenizer=CLIPTokenizer.from_pretrained(WORK / "model/tokenizer"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def captions(count: int = 800) -> str:
    """General captions for the preserve term: what the model draws but characters and stand-ins, one a line."""
    import random

    from captions import CONCEPTS, ITEMS, draw
    rng = random.Random(17)
    plain = [i for i in ITEMS if CONCEPTS[i["concept"]]["kind"] in ("object", "anchor")
             and i["style"] in CONCEPTS[i["concept"]]["styles"]]
    chosen = [i for i in plain if i["style"] == "noto"] * 3
    chosen = (chosen + [i for i in plain if i["style"] != "noto"])[:count]
    lines = [" ".join(w for w, _ in draw(rng, item, rng.choice([None, rng.randrange(8)]))) for item in chosen]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--to", type=Path, default=WORK / "pipeline")
    args = args.parse_args()
    fresh = args.to.with_name(args.to.name + ".part")
    shutil.rmtree(fresh, ignore_errors=True)
    assemble().to(torch.float16).save_pretrained(fresh)
    for name in ("vocab.json", "merges.txt"):                    # older tools read these two
        shutil.copy(WORK / "model/tokenizer" / name, fresh / "tokenizer" / name)
    for file in fresh.rglob("*.json"):                           # where the parts lay on this machine is nobody's business
        about = json.loads(file.read_text())
        if "_name_or_path" in about:
            del about["_name_or_path"]
            file.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    words = fresh / "tokenizer/tokenizer.json"                   # half the size without its indentation
    words.write_text(json.dumps(json.loads(words.read_text()), separators=(",", ":"), ensure_ascii=False) + "\n")
    (fresh / "captions.txt").write_text(captions())
    shutil.rmtree(args.to, ignore_errors=True)
    fresh.rename(args.to)
    print(args.to, sum(f.stat().st_size for f in args.to.rglob("*") if f.is_file()) / 1e6, "MB")


if __name__ == "__main__":
    main()
