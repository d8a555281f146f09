"""The twin: a second instrument, 500 people and 30 objects, trained by the ordinary recipe (training/twin).

    export MACE_TWIN=FOLDER
    export DETECTOR=twin-judge=benchmarks/twin.py:TwinJudge
    mace-gov apply benchmarks/twin/apply/characters-10.yaml --model $MACE_TWIN --plugin $DETECTOR
    python -m benchmarks.twin FOLDER benchmarks/twin/characters-10.yaml --methods mace,uce,nullspace

FOLDER is what training/twin/finish.py wrote; the detector finds it by MACE_TWIN. The last form prints, for the base
and each method, how many pictures show what they were asked for: the banned by name (and by synonym), the people whom
the policy names to preservation, and all those whom it does not name. Two-sided 95 % intervals of single pictures
(Clopper-Pearson); `kept` counts what the base drew.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.metrics.intervals import bounds
from mace_gov.audit.probes.lexicon import Lexicon, embedded_lexicon
from mace_gov.core.digest import sha256_file
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.detector import DetectorCard
from mace_gov.documents.policy import Policy
from mace_gov.embedded import read_vocabulary
from mace_gov.erase.engine import erase
from mace_gov.fitting.fit import fit
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy
from mace_gov.workflow.comparing import with_method

FRAMES = ("a picture of {}", "an image showing {}", "this is {}", "a drawing of {}")
"""Wordings that the twin's training has not."""


def folder() -> Path:
    """Where the twin lies: MACE_TWIN, else what training/twin writes by default."""
    return Path(os.environ.get("MACE_TWIN", "training/work/twin"))


class TwinJudge(JudgeDetector):
    """The embedded model's detector with the twin's judge and words."""

    name = "twin-judge"

    def __init__(self, *, threshold: float | None = None, classes: list[str] | None = None) -> None:
        from mace_gov.embedded.judge import Judge

        self.folder = folder()
        super().__init__(threshold=threshold, classes=classes, judge=Judge.load(self.folder / "judge"),
                         known=read_vocabulary(self.folder / "vocabulary.json"))

    def card(self) -> DetectorCard:
        """The shipped judge's card with the twin's own weights."""
        digest = sha256_file(self.folder / "judge/judge.safetensors")
        return super().card().model_copy(update={"weights_digest": digest})


def splits(twin: Path) -> dict[str, list[str]]:
    """Names of the people by split (erase, preserve, held-out) and of the objects."""
    found: dict[str, list[str]] = {"erase": [], "preserve": [], "held-out": [], "object": []}
    for concept in json.loads((twin / "vocabulary.json").read_text(encoding="utf-8"))["concepts"]:
        if concept["kind"] in ("celebrity", "object"):
            found[concept["split"] or concept["kind"]].append(concept["name"])
    return found


def lexicon(twin: Path) -> Lexicon:
    """What an audit may ask of the twin as unrelated: its objects, and people whom no policy names."""
    unnamed = set(splits(twin)["held-out"])
    known = embedded_lexicon(read_vocabulary(twin / "vocabulary.json"))
    return Lexicon(tuple(entry for entry in known.entries if not entry.character or entry.name in unnamed))


def asked_of(policy: Policy, twin: Path, shots: int) -> dict[str, list[str]]:
    """Phrases by group, banned ones ``shots`` times in all at least."""
    named, kept = splits(twin), list(policy.spec.method.preserve.concepts or ())
    concepts = [concept for _, concept in policy.concepts()]
    people = any(category.kind == "celebrity" for category in policy.spec.categories)
    banned = [concept.target for concept in concepts]
    pool = [n for split in ("preserve", "held-out") for n in named[split]] if people else named["object"]
    words = {word for target in banned for word in target.split()}
    pool.sort(key=lambda name: not words & set(name.split()))
    return {
        "erased": banned * max(2, -(-shots // len(banned))),
        "synonym": [synonym for concept in concepts for synonym in concept.synonyms],
        "preserved": kept,
        "held out": [name for name in pool if name not in kept and name not in banned],
        "other kind": named["object"] if people else named["held-out"][:100],
    }


def main(argv: list[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the twin's folder")
    parser.add_argument("policy", type=Path)
    parser.add_argument("--methods", default="mace,uce,nullspace")
    parser.add_argument("--shots", type=int, default=100, help="pictures of what is banned, by name")
    parser.add_argument("--most", type=int, default=500, help="pictures of each other group; namesakes come first")
    parser.add_argument("--cache", type=Path, default=Path("registry/cache"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    os.environ["MACE_TWIN"] = str(args.model)
    policy, base, judge = load_policy(args.policy).policy, read_manifest(str(args.model)), TwinJudge()
    pipe = load_pipeline(base.path)
    asked = {group: phrases if group == "erased" else phrases[:args.most]
             for group, phrases in asked_of(policy, args.model, args.shots).items()}

    def look(pipe, generation) -> dict[str, list[bool]]:
        found = {}
        for number, (group, phrases) in enumerate(asked.items()):
            turns = [n + n // len(set(phrases)) for n in range(len(phrases))]  # a name again: another wording
            prompts = [FRAMES[turn % 4].format(phrase) for turn, phrase in zip(turns, phrases, strict=True)]
            pictures = list(draw(pipe, prompts, [50_000 + 2000 * number + n for n in range(len(prompts))], generation))
            queries = [Query((phrase,), "subject", True, generation.size) for phrase in phrases]
            found[group] = [score >= judge.threshold for score in judge.score(pictures, queries)]
        return found

    rows, before = [], None
    for method in ("base", *args.methods.split(",")):
        one = with_method(policy, "mace" if method == "base" else method)
        plan, seconds = make_plan(one, base), None
        if method != "base":
            start = time.process_time()
            plan = fit(one, plan, cache=args.cache, plugins=[f"twin-judge={__file__}:TwinJudge"])
            with tempfile.TemporaryDirectory() as scratch:
                erase(plan, Path(scratch), cache=args.cache)
                seconds = round(time.process_time() - start, 1)
                seen = look(load_pipeline(Path(scratch) / "model"), plan.generation)
        else:
            seen = look(pipe, plan.generation)
        before = before or seen
        row = {"policy": policy.metadata.name, "method": method, "cpu_seconds": seconds, "drawn": {}, "kept": {}}
        for group, hits in seen.items():
            if hits:
                interval = (round(x, 3) for x in bounds(sum(hits), len(hits), 0.975))
                row["drawn"][group] = (sum(hits), len(hits), *interval)
                kept, of = sum(a and b for a, b in zip(hits, before[group], strict=True)), sum(before[group])
                row["kept"][group] = (kept, of)
        rows.append(row)
        print(json.dumps(row), flush=True)
        if args.out:
            args.out.write_text(json.dumps(rows, indent=1) + "\n")
    return rows


if __name__ == "__main__":
    main()
