"""Refinement and fusion at Stable Diffusion 1.4's full size, with random weights: seconds, peak memory, agreement.

    python -m benchmarks.closed_form                      # 100 concepts x 30 templates, some minutes on two cores
    python -m benchmarks.closed_form --concepts 2 --templates 3 --text-layers 1

The baseline (by_layer.py) is the straightforward way: for every projection, sum W e_t e_s^T and e_s e_s^T over all
pairs and invert, in float32. Both are timed on the same text states of a few concepts: `ratio` is baseline seconds over
ours, `ratio_products` that of a baseline which gathers each concept's tokens into one matrix product. `memory_ratio` is
how much the baseline's process grew over how much ours did, with made-up states of all the concepts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from benchmarks.by_layer import by_layer, concepts_of, outer_products, products
from mace_gov.core.memory import peak_memory
from mace_gov.core.progress import Silent
from mace_gov.core.store import Store
from mace_gov.diffusion.text import Conditions
from mace_gov.documents.method import Window
from mace_gov.documents.plan import ClosedForm, ErasurePlan, LoraSettings, ModelManifest, PreserveSettings, Target
from mace_gov.embedded import MODEL_DIR
from mace_gov.erase.fuse import fuse
from mace_gov.erase.preserve import preserve_term
from mace_gov.erase.refine import refine
from mace_gov.erase.second_moments import target_moments
from mace_gov.erase.texts import KeptReader
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


def text_reader(tokenizer: Path, layers: int) -> tuple[CLIPTokenizer, CLIPTextModel]:
    """A real CLIP tokenizer, and a CLIP-L text encoder with random weights."""
    words = CLIPTokenizer.from_pretrained(str(tokenizer), local_files_only=True)
    words.model_max_length = 77
    torch.manual_seed(0)
    encoder = CLIPTextModel(CLIPTextConfig(
        vocab_size=49408, hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=layers,
        num_attention_heads=12, max_position_embeddings=77, eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id, pad_token_id=words.pad_token_id,
    ))
    return words, encoder.requires_grad_(False).eval()


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


def run(reader, plan, weights, loras, preserve) -> tuple[dict, dict[str, float], tuple]:
    """Our way. Returns W* by name, seconds by stage and the two systems."""
    seconds = {}

    def stage(name, work):
        start = time.perf_counter()
        value = work()
        seconds[name] = time.perf_counter() - start
        return value

    targets = {target.id: target for target in plan.targets}
    refined = stage("refine", lambda: refine(reader, plan, preserve))
    delta, system = stage("fuse", lambda: fuse(
        refined.matrix, refined.total, lambda concept: target_moments(reader, plan, targets[concept]).every,
        loras, plan.fuse, preserve))
    fused = stage("apply", lambda: delta.apply(weights))
    return fused, seconds, (refined.system, system)


class Timed(KeptReader):
    """Knows how long its encoder ran."""

    seconds = 0.0

    def _read(self, prompts):
        start = time.perf_counter()
        read = super()._read(prompts)
        self.seconds += time.perf_counter() - start
        return read


class MadeUp(KeptReader):
    """Gives random states, the same for the same prompts, so that algebra is looked at alone."""

    def _read(self, prompts):
        generator = torch.Generator().manual_seed(hash(tuple(p.ids for p in prompts)) % 2**63)
        return Conditions(torch.randn(len(prompts), self.length, self.width, generator=generator))


@contextmanager
def keeping(reader: KeptReader) -> Iterator[KeptReader]:
    """The reader, which keeps what it is asked to in an empty folder until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        reader.folder, reader.store, reader.progress, reader.depends = Path(folder), Store(Path(folder)), Silent(), []
        yield reader


def preserve_of(reader) -> torch.Tensor:
    """A preserve matrix of full rank [d, d]."""
    states = reader.phrase("a tree", PERSON)[1].flatten(0, 1)
    return states.T @ states / len(states)


def growth(way: str, concepts: int, templates: int, tokenizer: Path) -> float:
    """MiB by which this process grows when it erases in this way, over what it held before."""
    with keeping(MadeUp(*text_reader(tokenizer, 1))) as reader:
        return _growth(way, reader, plan_of(concepts, templates))


def _growth(way: str, reader: MadeUp, plan: ErasurePlan) -> float:
    weights, templates = layout(), len(plan.templates)
    loras = random_loras([target.id for target in plan.targets], weights)
    preserve = preserve_of(reader)
    first = plan.targets[0].id
    run(reader, plan_of(1, templates), weights, {first: loras[first]}, preserve)  # what libraries allocate once
    before = resident()
    with peak_memory() as peak:
        if way == "ours":
            run(reader, plan, weights, loras, preserve)
        else:  # all states are held, while the first concept in the largest projection stands for the sums of the rest
            largest, held = max(weights, key=lambda name: weights[name].shape[0]), concepts_of(reader, plan)
            by_layer(held[:1], {largest: weights[largest]}, loras, preserve, (1, 1), outer_products)
    return (peak.bytes - before) / 2**20


def resident() -> int:
    """Bytes that this process holds now."""
    with peak_memory() as now:
        pass
    return now.bytes


def growth_elsewhere(way: str, args) -> float:
    """``growth`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.closed_form", "--grow", way, "--concepts", str(args.concepts),
               "--templates", str(args.templates), "--tokenizer", str(args.tokenizer.absolute())]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    return float(done.stdout.splitlines()[-1])


def timed(work) -> tuple[float, object]:
    """Seconds and result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main(argv: list[str] | None = None) -> dict:
    """Measure, print one JSON line and return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concepts", type=int, default=100)
    parser.add_argument("--templates", type=int, default=30)
    parser.add_argument("--text-layers", type=int, default=12)
    parser.add_argument("--subset", type=int, default=1, help="concepts in the comparison with the baseline")
    parser.add_argument("--tokenizer", type=Path, default=MODEL_DIR / "tokenizer")
    parser.add_argument("--grow", choices=["ours", "baseline"], help="only print the MiB that one way needs")
    args = parser.parse_args(argv)
    if args.grow:
        print(growth(args.grow, args.concepts, args.templates, args.tokenizer))
        return {}
    weights, words = layout(), text_reader(args.tokenizer, args.text_layers)
    print(f"{len(weights)} projections, {sum(w.shape[0] for w in weights.values())} rows of width {WIDTH}; "
          f"{args.concepts} concepts x {args.templates} templates", flush=True)

    plan, reader = plan_of(args.concepts, args.templates), Timed(*words, batch=64)
    loras = random_loras([target.id for target in plan.targets], weights)
    with keeping(reader), peak_memory() as whole:
        prior, preserve = timed(lambda: preserve_term(reader, plan))
        encoded = reader.seconds
        fused, seconds, systems = run(reader, plan, weights, loras, preserve)
    finite = all(bool(torch.isfinite(w).all()) for w in fused.values())
    peak, share = whole.bytes / 2**30, (reader.seconds - encoded) / sum(seconds.values())
    seconds = {name: round(value, 2) for name, value in {"preserve": prior, **seconds}.items()}
    print(f"seconds: {seconds}; text encoder {share:.1%} of refine and fuse; peak memory {peak:.2f} GiB", flush=True)
    del fused, loras

    few, known = plan_of(args.subset, args.templates), MadeUp(*words)
    loras = random_loras([target.id for target in few.targets], weights)
    with keeping(known):
        preserve = preserve_of(known)
        run(known, few, weights, loras, preserve)  # warm
    with keeping(known):
        mine, (_, _, solved) = timed(lambda: run(known, few, weights, loras, preserve))
        wide = {name: weight.double() for name, weight in weights.items()}  # a delta applies in the weights' own type
        ours, *_ = run(known, few, wide, loras, preserve)
        ridges, states = tuple(system.ridge for system in solved), concepts_of(known, few)
        exact = concepts_of(known, few, torch.float64)
    outer, _ = timed(lambda: by_layer(states, weights, loras, preserve, ridges, outer_products))
    matrix, _ = timed(lambda: by_layer(states, weights, loras, preserve, ridges, products))
    some = {name: weights[name] for name in (min(weights), max(weights))}  # in float64, to compare the results
    theirs = by_layer(exact, some, loras, preserve, ridges, outer_products, torch.float64)
    gap = max(float((ours[n] - theirs[n]).norm() / ours[n].norm()) for n in some)
    print(f"{args.subset} concepts, algebra alone: {mine:.2f} s, by layer {outer:.2f} s, with matrix products "
          f"{matrix:.2f} s; largest relative difference to float64 {gap:.1e}", flush=True)
    grown = {way: growth_elsewhere(way, args) for way in ("ours", "baseline")}
    result = {
        "benchmark": "closed_form", "baseline": "per-layer sums of outer products, float32, explicit inverse",
        "ratio": round(outer / mine, 1), "ratio_products": round(matrix / mine, 1),
        "algebra_seconds": round(mine, 3), "baseline_seconds": round(outer, 2), "subset": args.subset,
        "memory_ratio": round(grown["baseline"] / max(grown["ours"], 1.0), 1), "memory_mib": grown,
        "seconds": seconds, "text_encoder_share": round(share, 4), "peak_gib": round(peak, 2),
        "concepts": args.concepts, "templates": args.templates, "finite": finite, "relative_difference": gap,
        "conditions": [system.condition for system in systems],
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    outcome = main()
    sys.exit(0 if not outcome or (outcome["finite"] and outcome["peak_gib"] <= 12) else 1)
