"""A file of prompts against reading it as CSV: rows, the rules of what is never drawn, the encoder's length.

    python benchmarks/rows.py policies/nsfw.yaml                   # a hundred thousand rows
    python benchmarks/rows.py policies/nsfw.yaml --rows 1000000

Rows are captions of 3 to 9 words as frequent as words are (Zipf), from the audit's nouns, this repository's
documentation and made-up ones, with tails such as "8k, f/1.8"; two of three name a concept of the policy. Seconds are
of CPU in this process, which counts nothing else; `ratio` is ours over those of `csv.reader` on the same file.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

Value = TypeVar("Value")
SYLLABLES = [first + second for first in "bdfghjklmnprstvwz" for second in "aeiou"]
KNOWN = 36_000
"""Different words."""
FORMS, HEADS = ("photo", "painting", "sketch", "portrait", "render"), ("a", "the", "two", "an old", "my")
NAMES = ("Anna", "Maria", "John", "Peter", "Li Wei", "Jos\u00e9", "Zo\u00eb", "Greta", "Omar")
PLACES = ("in a forest", "at the station", "on a table", "in front of a house", "near the sea", "under a bridge",
          "in the rain", "at night")
TAILS = ("highly detailed", "8k", "trending on artstation", "35mm", "cinematic lighting", "4 k", "f/1.8", "no. 7",
         "oil on canvas", "19th century", "volumetric light", "in 1920", "wide-angle", "(masterpiece:1.2)", "1girl",
         "ultra-realistic", "--ar 16:9", "hdr", "bokeh", "sharp focus", "octane render", "unreal engine 5")


def captions(names: list[str], count: int, seed: int = 7) -> Iterator[str]:
    """``count`` captions, each of which may name one of ``names``."""
    from mace_gov.audit.probes.everyday import NOUNS

    rng = random.Random(seed)
    told = " ".join(path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    words = [*NOUNS, *sorted({*re.findall(r"(?<![\w`/.-])[a-z]{3,}(?![\w`/-])", told)})]
    rng.shuffle(words)
    words += ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(KNOWN - len(words))]
    weights = [*accumulate(1 / (rank + 8) for rank in range(len(words)))]
    for turn in range(count):
        said = rng.choices(words, cum_weights=weights, k=rng.randint(3, 9))
        middle = names[turn % len(names)] if turn % 3 else rng.choice(NAMES)
        half = len(said) // 2
        text = " ".join([f"a {rng.choice(FORMS)} of {rng.choice(HEADS)}", *said[:half], middle, *said[half:],
                         rng.choice(PLACES)])
        yield ", ".join([text, *(rng.sample(TAILS, rng.randint(1, 4)) if rng.random() < 0.7 else ())])


def seconds(work: Callable[[], Value]) -> tuple[float, Value]:
    """CPU seconds of some work, and what it gives."""
    start = time.process_time()
    value = work()
    return time.process_time() - start, value


def main() -> None:
    """Write the table, read it both ways, print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()

    from mace_gov.audit.probes.asking import Asking
    from mace_gov.audit.probes.lexicon import embedded_lexicon
    from mace_gov.audit.probes.outside import read_prompts
    from mace_gov.diffusion.lengths import cut_prompts
    from mace_gov.embedded import MODEL_DIR, vocabulary
    from mace_gov.policy.load import load_policy

    policy = load_policy(given.policy).policy
    concepts = [concept for _, concept in policy.concepts()]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        with table.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["prompt", "concept", "seed"])
            for turn, text in enumerate(captions([concept.target for concept in concepts], given.rows)):
                writer.writerow([text, concepts[turn % len(concepts)].id, turn])
        cut_prompts(MODEL_DIR, ["word " * 100])  # loading a tokenizer is no matter of rows
        with table.open(newline="", encoding="utf-8") as lines:
            plain, _ = seconds(lambda: sum(1 for _ in csv.reader(lines)))
        asking = Asking(policy, embedded_lexicon(vocabulary()))
        read, found = seconds(lambda: read_prompts([table], asking))
        cut, long = seconds(lambda: cut_prompts(MODEL_DIR, (probe.prompt for probe in found.probes)))
    print(f"{given.policy.stem}, {given.rows:,} rows: csv.reader {plain:.2f} s, read and filtered {read:.2f} s "
          f"({found.refused:,} may not be drawn), looked at for length {cut:.2f} s ({len(long):,} are cut)")
    print(json.dumps({"rows": given.rows, "csv": plain, "read": read, "lengths": cut, "ratio": (read + cut) / plain}))


if __name__ == "__main__":
    main()
