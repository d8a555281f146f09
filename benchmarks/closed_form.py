"""Refinement and fusion at Stable Diffusion 1.4's full size, with random weights: seconds, peak memory, agreement.

    python benchmarks/closed_form.py                      # 100 concepts x 30 templates, some minutes on two cores
    python benchmarks/closed_form.py --concepts 2 --templates 3 --text-layers 1

The baseline is the straightforward way: for every projection, sum W e_t e_s^T and e_s e_s^T over all pairs and invert,
in float32. Both are timed on the same text states of a few concepts. `ratio` is baseline seconds over ours.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from mace_gov.diffusion.text import TextReader
from mace_gov.documents.method import Window
from mace_gov.documents.plan import ClosedForm, ErasurePlan, LoraSettings, ModelManifest, PreserveSettings, Target
from mace_gov.embedded import MODEL_DIR
from mace_gov.erase.fuse import fuse
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import coexisting_pairs, refine
from mace_gov.plan.templates import PERSON

WIDTH = 768
OUT_DIMS = [320] * 2 + [640] * 2 + [1280] * 2 + [1280] + [1280] * 3 + [640] * 3 + [320] * 3
"""Cross-attention layers of SD 1.4 in forward order; each has a key and a value projection, 24,960 rows in all."""


def layout() -> dict[str, torch.Tensor]:
    """Random projections [out, 768] by name, as SD 1.4 has them."""
    generator = torch.Generator().manual_seed(0)
    names = [f"layer{n}.attn2.{part}" for n in range(len(OUT_DIMS)) for part in ("to_k", "to_v")]
    sizes = [out for out in OUT_DIMS for _ in range(2)]
    return {name: torch.randn(out, WIDTH, generator=generator) / WIDTH ** 0.5
            for name, out in zip(names, sizes, strict=True)}


def text_reader(tokenizer: Path, layers: int) -> TextReader:
    """A CLIP-L text encoder with random weights over a real CLIP tokenizer."""
    words = CLIPTokenizer.from_pretrained(str(tokenizer), local_files_only=True)
    words.model_max_length = 77
    torch.manual_seed(0)
    encoder = CLIPTextModel(CLIPTextConfig(
        vocab_size=49408, hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=layers,
        num_attention_heads=12, max_position_embeddings=77, eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id, pad_token_id=words.pad_token_id,
    ))
    return TextReader(words, encoder.requires_grad_(False).eval(), batch=64)


def plan_of(concepts: int, templates: int) -> ErasurePlan:
    """So many invented persons, mapped to "a person"."""
    lora = LoraSettings(rank=1, steps=1, learning_rate=1e-4, images=1, sampling="cfis", masks="attention",
                        window=Window(start=200, end=400))
    base = ModelManifest(ref="layout", path="/nonexistent", digest="0" * 64, files={},
                         pipeline="StableDiffusionPipeline", text_width=WIDTH, image_size=512)
    syllables = ["ba", "du", "fe", "gi", "ho", "ka", "lu", "me", "ni", "ro"]
    return ErasurePlan.model_construct(
        method="mace", seed=0, policy_digest="0" * 64, base=base, templates=list(PERSON[:templates]),
        targets=[
            Target(id=f"person-{n}", category="people", kind="celebrity", anchor="a person", lora=lora,
                   target=f"{syllables[n % 10]}{syllables[n // 10 % 10]} {syllables[n // 100 % 10]}{syllables[n % 7]}n")
            for n in range(concepts)
        ],
        refine=ClosedForm(relative_ridge=1e-3), fuse=ClosedForm(relative_ridge=1e-3),
        preserve=PreserveSettings(prior="general", scale=1e-4, concepts=[], concept_scale=0.0),
    )


def random_loras(concepts: list[str], weights: dict[str, torch.Tensor]) -> dict:
    """A rank-1 LoRA of each projection for each concept, small as trained ones are."""
    generator = torch.Generator().manual_seed(1)

    def factor(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.02

    return {c: {name: (factor(w.shape[0], 1), factor(1, WIDTH)) for name, w in weights.items()} for c in concepts}


def by_layer(reader, plan, weights, loras, preserve, ridges, dtype=torch.float32) -> tuple[dict, float]:
    """The baseline: every projection on its own, explicit inverses. Returns W* by name, and seconds."""
    pairs = []
    for target in plan.targets:
        ones = [reader.fill(template, target.target) for template in plan.templates]
        others = [reader.fill(template, target.anchor) for template in plan.templates]
        sources, anchors = (torch.stack(list(reader.states(p))).to(dtype) for p in (ones, others))
        chosen = [coexisting_pairs(one, other) for one, other in zip(ones, others, strict=True)]
        pairs.append((
            torch.cat([sources[n, [i for i, _ in p]] for n, p in enumerate(chosen)]),  # [pairs, d]
            torch.cat([anchors[n, [j for _, j in p]] for n, p in enumerate(chosen)]),
            sources.flatten(0, 1),
        ))
    kept, identity = preserve.to(dtype), torch.eye(WIDTH, dtype=dtype)
    start = time.perf_counter()
    result = {}
    for name, w in ((name, weight.to(dtype)) for name, weight in weights.items()):
        left, right = w @ kept + ridges[0] * w, kept + ridges[0] * identity
        for e_s, e_t, _ in pairs:
            left, right = left + (w @ e_t.T) @ e_s, right + e_s.T @ e_s
        refined = left @ torch.linalg.inv(right)
        left, right = w @ kept + ridges[1] * refined, kept + ridges[1] * identity
        for target, (_, _, own) in zip(plan.targets, pairs, strict=True):
            b, a = loras[target.id][name]
            left, right = left + ((refined + (b @ a).to(dtype)) @ own.T) @ own, right + own.T @ own
        result[name] = left @ torch.linalg.inv(right)
    return result, time.perf_counter() - start


def run(reader, plan, weights, loras, preserve) -> tuple[dict, dict[str, float], tuple]:
    """Our way. Returns W* by name, seconds by stage and the two systems."""
    seconds = {}

    def stage(name, work):
        start = time.perf_counter()
        value = work()
        seconds[name] = time.perf_counter() - start
        return value

    refined = stage("refine", lambda: refine(reader, plan, preserve))
    delta, system = stage("fuse", lambda: fuse(refined.matrix, refined.moments, loras, plan.fuse, preserve))
    fused = stage("apply", lambda: delta.apply(weights))
    return fused, seconds, (refined.system, system)


class Remembering(TextReader):
    """Keeps the states it gave, so that both ways are timed on algebra alone."""

    def __init__(self, reader: TextReader) -> None:
        super().__init__(reader.tokenizer, reader.encoder, batch=reader.batch)
        self.known: dict[tuple[int, ...], torch.Tensor] = {}

    def states(self, prompts):
        """See TextReader.states."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt.ids not in self.known]
        self.known.update(zip((prompt.ids for prompt in new), super().states(new), strict=True))
        return (self.known[prompt.ids] for prompt in prompts)


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concepts", type=int, default=100)
    parser.add_argument("--templates", type=int, default=30)
    parser.add_argument("--text-layers", type=int, default=12)
    parser.add_argument("--subset", type=int, default=3, help="concepts in the comparison with the baseline")
    parser.add_argument("--tokenizer", type=Path, default=MODEL_DIR / "tokenizer")
    args = parser.parse_args(argv)
    weights, reader = layout(), text_reader(args.tokenizer, args.text_layers)
    print(f"{len(weights)} projections, {sum(w.shape[0] for w in weights.values())} rows of width {WIDTH}; "
          f"{args.concepts} concepts x {args.templates} templates", flush=True)

    plan = plan_of(args.concepts, args.templates)
    start = time.perf_counter()
    preserve = preserve_term(reader, plan)
    seconds = {"preserve": time.perf_counter() - start}
    loras = random_loras([target.id for target in plan.targets], weights)
    fused, others, systems = run(reader, plan, weights, loras, preserve)
    seconds.update(others)
    finite = all(bool(torch.isfinite(w).all()) for w in fused.values())
    del fused, loras
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20  # KiB on Linux
    rounded = {name: round(value, 1) for name, value in seconds.items()}
    print("seconds:", rounded, f"peak memory {peak:.1f} GiB", flush=True)

    few, known = plan_of(args.subset, args.templates), Remembering(reader)
    loras = random_loras([target.id for target in few.targets], weights)
    run(known, few, weights, loras, preserve)  # fills the memory
    ours, times, solved = run(known, few, weights, loras, preserve)
    ridges = [system.ridge for system in solved]
    _, baseline = by_layer(known, few, weights, loras, preserve, ridges)
    some = {name: weights[name] for name in (min(weights), max(weights))}  # in float64, to compare the results
    theirs, _ = by_layer(known, few, some, loras, preserve, ridges, torch.float64)
    mine = times["refine"] + times["fuse"] + times["apply"]
    gap = max(float((ours[n] - theirs[n]).norm() / ours[n].norm()) for n in some)
    print(f"{args.subset} concepts without text encoding: {mine:.2f} s, by layer {baseline:.2f} s; "
          f"largest relative difference to float64 {gap:.1e}")
    result = {
        "benchmark": "closed_form", "baseline": "per-layer closed forms, float32, explicit inverse",
        "ratio": round(baseline / mine, 2), "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "peak_gib": round(peak, 2), "concepts": args.concepts, "templates": args.templates, "finite": finite,
        "relative_difference": gap, "conditions": [system.condition for system in systems],
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    result = main()
    sys.exit(0 if result["finite"] and result["peak_gib"] <= 12 else 1)
