"""Methods of erasing, on the first 1, 10, 100, ... concepts of a policy, equally tuned, on a model of your choice.

    python -m benchmarks.compare --out people.jsonl --plot people.svg
    python -m benchmarks.compare policies/objects-ten.yaml --counts 1,10 --model FOLDER --out objects.jsonl
    python -m benchmarks.compare benchmarks/twin/characters-100.yaml --twin FOLDER --out twin.jsonl   # training/twin

Every method has the same number of attempts (``--attempts``), but for mace, whose fit is a search of its own, and
neurons, which has nothing to tune. The first is at its own defaults, on tuning probes: other wordings and seeds than
the audit's (``audit.probes.tuning_probes``). The attempt with the highest H there is asked the audit's own prompts. A
line of ``--out`` is an attempt, or a cell: a method at a number of concepts, at its best attempt. What is there already
is not run again, so that a long run can be stopped at any time and go on. benchmarks/results holds the lines behind
docs/methods.md.

The judge's first choice decides. Held out is what nobody named to the erasure and no caption of its prior holds
(suites `near` and `unrelated`), preserved is what was named; H is of what is erased, by name and by synonym, and of
what is held out. Intervals are two-sided 95 %, clustered by prompt and concept. A cell's erasure starts from the base
with nothing kept but the moments of general captions, where ``--cache`` has them: every method reads the same, and a
registry keeps them. Its seconds are the processor's, the fit's with them. Attempts share all of ``--cache``.
`ratio` is the H of ``--method`` over the best other's at the largest number that all were run at.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import twin
from benchmarks.ablation import evenly, load_judge, of_first, set_weights
from benchmarks.compare_results import BASE, markdown, plotted, rates_of
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.judge import JudgeDetector
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import Lexicon, lexicon_for
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.tuning_probes import tuning_lexicon, tuning_policy
from mace_gov.audit.probes.unrelated import held_out
from mace_gov.core.errors import NumericalError, UsageError
from mace_gov.core.memory import peak_memory
from mace_gov.diffusion.generate import draw
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.diffusion.projections import projections
from mace_gov.diffusion.save import save_governed
from mace_gov.documents.method import Method
from mace_gov.documents.plan import ErasurePlan
from mace_gov.documents.policy import Policy
from mace_gov.erase.engine import compute
from mace_gov.fitting.fit import fit
from mace_gov.plan.build import make_plan
from mace_gov.policy.load import load_policy

WEIGHTS = [{"preserve": {"weight": weight}} for weight in (0.3, 3.0, 0.1, 10.0)]
GRIDS: dict[str, tuple[dict, list[dict]]] = {
    "mace": ({"name": "mace"}, []),
    "mace-hardened": ({"name": "mace", "harden": {"rounds": 1, "searches": 1, "steps": 40}}, []),
    "neurons": ({"name": "neurons"}, []),
    "uce": ({"name": "uce"}, WEIGHTS),
    "uce-paper": ({"name": "uce", "preset": "paper"}, [
        {"preserve": {"conceptScale": scale}} for scale in (0.1, 10.0)] + [
        {"refine": {"ridge": ridge}} for ridge in (1.0, 0.01)]),
    "nullspace": ({"name": "nullspace"}, [{"preserve": {"leak": leak}} for leak in (0.1, 0.01, 0.3, 0.003)]),
    "oce": ({"name": "oce"}, [{"preserve": {"weight": weight}} for weight in (0.1, 0.01, 0.001, 10.0)]),
    "cure": ({"name": "cure"}, [{"expansion": alpha} for alpha in (100.0, 1e4, 1e6, 10.0)]),
    "valuespace": ({"name": "valuespace"}, WEIGHTS),
    "esd": ({"name": "esd"}, [{"esd": {"steps": steps}} for steps in (15, 60)] + [
        {"esd": {"guidance": guidance}} for guidance in (0.5, 2.0)]),
}
"""By method what its policy says, and what it is tuned over beside its defaults, the likeliest first. ``mace`` fits
itself to the model, by pictures of what is banned alone. Its rounds of search are few and short here, so that a hundred
concepts can have them."""


def with_settings(policy: Policy, method: str, settings: dict) -> Policy:
    """The policy with a method of ``GRIDS`` and settings of its own; what the policy preserves by name stays."""
    value = {"seed": policy.spec.method.seed, "preserve": {"concepts": policy.spec.method.preserve.concepts or []}}
    for block in (GRIDS[method][0], settings):
        for name, own in block.items():
            value[name] = {**value.get(name, {}), **own} if isinstance(own, dict) else own
    spec = policy.spec.model_copy(update={"method": Method.from_json(value)})
    return policy.model_copy(update={"spec": spec})


class Bench:
    """A loaded base model, and what is asked of it."""

    def __init__(
        self, model: str, judge: JudgeDetector, lexicon: Lexicon | None, tuning: int, most: int | None,
        cache: Path | None,
    ) -> None:
        self.base = read_manifest(model)
        self.lexicon = lexicon or lexicon_for(self.base)
        self.pipe = load_pipeline(self.base.path)
        self.layers = projections(self.pipe.unet)
        self.pristine = {name: layer.weight.detach().clone() for name, layer in self.layers.items()}
        self.judge = judge
        self.tuning, self.most, self.cache = tuning, most, cache

    def plan(self, policy: Policy) -> ErasurePlan:
        """The plan of a policy with a method in it."""
        return make_plan(policy, self.base, held_out=held_out(policy, self.lexicon))

    def tuning_probes(self, policy: Policy) -> list[Probe]:
        """Questions of ``tuning_policy``, evenly taken: as many as asked for, half of them about what is erased."""
        probes = build_probes(Asking(tuning_policy(policy), tuning_lexicon(policy, self.lexicon)))
        return evenly(probes, self.tuning // 2)

    def erased(
        self, policy: Policy, probes: Sequence[Probe], plan: ErasurePlan, *, base: bool = False,
        cache: Path | None = None,
    ) -> dict:
        """Rates of the erased model, or the base's own, and what it took."""
        cost, pipe = {}, self.pipe
        if not base:
            start = time.process_time()
            with peak_memory() as peak, tempfile.TemporaryDirectory() as own:
                kept = cache or self._moments(Path(own))
                plan = fit(policy, plan, cache=kept, detector=lambda _spec: self.judge)
                delta = compute(plan, self.pipe, cache=kept).delta.rounded()
            cost = {"seconds": round(time.process_time() - start, 1), "peak_mib": round(peak.bytes / 2**20)}
            with tempfile.TemporaryDirectory() as folder:
                delta.write(file := Path(folder) / "erasure.safetensors")
                cost["delta_bytes"] = file.stat().st_size
                if delta.neurons:  # they widen text encoders, which a loaded one is not
                    save_governed(Path(self.base.path), model := Path(folder) / "model", {}, delta.neurons)
                    pipe = load_pipeline(model)
            set_weights(self.layers, delta.apply(self.pristine))
        try:
            pictures = list(draw(pipe, [p.prompt for p in probes], [p.seed for p in probes], plan.generation))
        finally:
            set_weights(self.layers, self.pristine)
        queries = [Query(p.expected, p.facet, p.suite.banned, plan.generation.size) for p in probes]
        present = [score >= self.judge.threshold for score in self.judge.score(pictures, queries)]
        return {"rates": rates_of(probes, present), **cost}

    def _moments(self, folder: Path) -> Path:
        """A cache that holds what the shared one knows of general captions, and nothing that was drawn or trained."""
        for name in ("moments", "digests/moments"):
            if self.cache is not None and (self.cache / name).is_dir():
                shutil.copytree(self.cache / name, folder / name)
        return folder

    def attempt(self, policy: Policy, method: str, settings: dict) -> dict:
        """One choice of settings, on tuning probes."""
        return self._tried(with_settings(policy, method, settings), self.tuning_probes(policy), cache=self.cache)

    def cell(self, policy: Policy, method: str, settings: dict) -> dict:
        """One method with its settings, or the base, on the audit's own prompts."""
        own = with_settings(policy, "mace" if method == BASE else method, settings)
        templates = self.plan(own).templates
        probes = build_probes(Asking(own, self.lexicon, templates))
        return self._tried(own, evenly(probes, self.most or len(probes)), base=method == BASE)

    def _tried(
        self, policy: Policy, probes: Sequence[Probe], *, base: bool = False, cache: Path | None = None
    ) -> dict:
        try:
            return self.erased(policy, probes, self.plan(policy), base=base, cache=cache)
        except (NumericalError, UsageError) as error:
            return {"problem": str(error)}


def main(argv: list[str] | None = None) -> dict:
    """Run what is missing, print one table and one JSON line and return that."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="?", default=Path("policies/characters-100.yaml"))
    parser.add_argument("--counts", default="1,10,100", help="numbers of concepts")
    parser.add_argument("--methods", default=",".join(GRIDS))
    parser.add_argument("--method", default="mace", help="whose ratio is printed")
    parser.add_argument("--attempts", type=int, default=5, help="settings that each method is tried at, 1 to 5")
    parser.add_argument("--tuning", type=int, default=48, help="pictures of an attempt")
    parser.add_argument("--most", type=int, help="pictures of each suite of a cell, default all that the audit asks")
    parser.add_argument("--out", type=Path, default=Path("compare.jsonl"))
    parser.add_argument("--plot", type=Path, default=None, help="an .svg or .png of H by number of concepts")
    parser.add_argument("--cache", type=Path, default=None, help="folder of what attempts share, default none")
    parser.add_argument("--model", default=None, help="base model, default the policy's own")
    parser.add_argument("--judge", type=Path, default=None, help="folder of a judge, default the one that ships")
    parser.add_argument("--twin", type=Path, default=None, help="the twin's folder: base model, judge and words")
    args = parser.parse_args(argv)
    if not 1 <= args.attempts <= 5:
        parser.error("--attempts: expected 1 to 5")
    policy = load_policy(args.policy).policy
    if args.twin:
        os.environ["MACE_TWIN"] = str(args.twin)
        judge, lexicon = twin.TwinJudge(), twin.lexicon(args.twin)
    else:
        judge, lexicon = JudgeDetector(judge=load_judge(args.judge)), None
    model = args.model or (str(args.twin) if args.twin else policy.spec.model.ref)
    bench = Bench(model, judge, lexicon, args.tuning, args.most, args.cache)
    found = [json.loads(line) for line in args.out.read_text("utf-8").splitlines()] if args.out.is_file() else []
    done = {_key(line): line for line in found}

    def once(about: dict, make) -> dict:
        about = {"policy": policy.metadata.name, "model_digest": bench.base.digest, **about}
        if _key(about) not in done:
            done[_key(about)] = {**about, **make()}
            with args.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[_key(about)]) + "\n")
            print(json.dumps(done[_key(about)]), flush=True)
        return done[_key(about)]

    cells = []
    methods = args.methods.split(",")
    for count in map(int, args.counts.split(",")):
        own = of_first(policy, count)
        for method in (BASE, *methods):
            settings: dict = {}
            if method != BASE and args.attempts > 1 and GRIDS[method][1]:
                tried = [once({"concepts": count, "method": method, "attempt": n, "settings": each},
                              lambda method=method, own=own, each=each: bench.attempt(own, method, each))
                         for n, each in enumerate([{}, *GRIDS[method][1]][:args.attempts])]
                settings = max(tried, key=_score)["settings"]
            cells.append(once({"concepts": count, "method": method, "settings": settings},
                              lambda method=method, own=own, settings=settings: bench.cell(own, method, settings)))
    print(markdown(cells))
    if args.plot:
        plotted(cells, args.plot)
    result = {"benchmark": "compare", "attempts": args.attempts, "baseline": "best other method",
              **_ratio(cells, methods, args.method)}
    print(json.dumps(result))
    return result


def _key(line: dict) -> str:
    names = ("policy", "model_digest", "concepts", "method", "attempt", "settings")
    return json.dumps([line.get(name) for name in names], sort_keys=True)


def _score(attempt: dict) -> float:
    return attempt["rates"]["H"]["value"] if "rates" in attempt else -1.0


def _ratio(cells: list[dict], methods: list[str], own: str) -> dict:
    """The H of a method over the best other's at the largest number of concepts that all were run at."""
    values = {(cell["concepts"], cell["method"]): cell["rates"]["H"]["value"] for cell in cells if "rates" in cell}
    shared = [count for count, _ in values if all((count, method) in values for method in methods)]
    others = [method for method in methods if method != own]
    if not shared or not others or own not in methods:
        return {"ratio": None}
    count = max(shared)
    best = max(others, key=lambda method: values[count, method])
    ratio = values[count, own] / values[count, best] if values[count, best] else None
    return {"concepts": count, "best_other": best, "H": {m: values[count, m] for m in methods}, "ratio": ratio}


if __name__ == "__main__":
    main()
