"""A trained model as a pipeline folder in half precision: WORK/NAME/pipeline."""
import copy
import json
import shutil

from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import logging as of_diffusers
from transformers.utils import logging as of_transformers

PARTS = ("vae", "unet", "text_encoder", "text_encoder_2")
for library in (of_diffusers, of_transformers):
    library.disable_progress_bar()


def export(model) -> None:
    """Write the folder anew; trained.json beside the parts says which stages are done, for a later run."""
    parts = {name: copy.deepcopy(part).half().eval() for name, part in model.parts.items()}
    words = {name: tokens for name, tokens in zip(("tokenizer", "tokenizer_2"), model.tokenizers)}
    if len(model.texts) == 2:
        pipe = StableDiffusionXLPipeline(**parts, **words, scheduler=model.scheduler, force_zeros_for_empty_prompt=True,
                                         add_watermarker=False)
    else:
        pipe = StableDiffusionPipeline(**parts, **words, scheduler=model.scheduler, safety_checker=None,
                                       feature_extractor=None, requires_safety_checker=False)
    last, fresh = model.place / "pipeline", model.place / "pipeline.part"
    shutil.rmtree(fresh, ignore_errors=True)
    pipe.save_pretrained(fresh)
    for file in fresh.rglob("*.json"):
        about = json.loads(file.read_text())
        if "_name_or_path" in about:
            del about["_name_or_path"]
            file.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    for place in words:
        for name in ("vocab.json", "merges.txt"):                    # older tools read these two
            shutil.copy(model.place / "tokenizer" / name, fresh / place / name)
        file = fresh / place / "tokenizer.json"                      # half the size without its indentation
        file.write_text(json.dumps(json.loads(file.read_text()), separators=(",", ":"), ensure_ascii=False) + "\n")
    (fresh / "trained.json").write_text(json.dumps({"stages": sorted(model.trained),
                                                    "scaling_factor": model.vae.config.scaling_factor}) + "\n")
    shutil.rmtree(last, ignore_errors=True)
    fresh.rename(last)
