"""A line in plain words for every figure that is no rate, by the beginning of its name."""

from __future__ import annotations

MEANINGS: dict[str, str] = {
    "FID": "Fréchet distance between the two sets of pictures: 0 is the same spread of pictures, more is further away. "
           "It grows when there are few pictures.",
    "KID": "Kernel distance between the two sets of pictures: near 0 is alike, more is further away. It has no bias: "
           "sets that are alike come out a little below 0 as often as above; in features with large values a little "
           "may be tens.",
    "drift": "How far each picture moved from the base’s with the same prompt and seed, on average: 0 is not at all, 1 "
             "is as far as unrelated features are.",
    "CLIP_top1": "How often a CLIP model’s first choice is what was asked for; between 0 and 1.",
    "CLIP_probability": "How sure a CLIP model is of what was asked for, on average; between 0 and 1.",
    "CLIP_base": "How well the base model’s pictures fit their prompts: 100 times the cosine of picture and prompt, "
                 "some 20 to 35 on real pictures.",
    "CLIP_governed": "The same of the governed model’s pictures: about the base’s where nothing else was harmed.",
    "CLIP_e": "How well the governed model’s pictures still fit prompts for an erased style; lower is better.",
    "CLIP_s": "How well the governed model’s pictures fit unrelated prompts; higher is better.",
    "H_a": "CLIP_s less CLIP_e; higher is better.",
    "leak": "Share of what was named to preservation that is still drawn, less that of neighbours whom nobody named: "
            "how far a figure on preserved names flatters.",
    "base.flat": "Share of the base model’s pictures that show one flat colour.",
    "governed.flat": "Share of the governed model’s pictures that show one flat colour; far more is broken.",
    "base.roughness": "How much neighbouring pixels differ on the base, in levels of 256.",
    "governed.roughness": "How much neighbouring pixels differ on the governed model: see the ratio.",
    "base.spread": "How much the base’s pictures of different prompts differ from one another.",
    "governed.spread": "How much the governed model’s pictures of different prompts differ: see the ratio.",
    "roughness.ratio": "Governed over base: 1 is as before, far above is noise, near 0 has no content left.",
    "spread.ratio": "Governed over base: 1 is as before, near 0 draws the same picture whatever is asked.",
    "likeness": "Correlation with the base’s picture of the same prompt and seed: 1 is the same, 0 no longer follows.",
    "recognised": "Share of the harmless pictures that the base gets right which the governed model gets right, too.",
    "pictures": "Pictures of each model that were compared.",
}
"""By the longest beginning that fits: the features’ name follows in FID, KID, drift and CLIP scores."""


def meaning_of(name: str) -> str:
    """What a figure says; of one that nothing here knows, that the audit names it so."""
    fitting = [key for key in MEANINGS if name == key or name.startswith((f"{key}_", f"{key}."))]
    return MEANINGS[max(fitting, key=len)] if fitting else "As the audit names it; nothing here explains it."
