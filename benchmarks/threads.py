"""What do OpenMP's threads cost, alone and beside three other jobs, by their number and by how they wait?

A job draws with the embedded model. The three others do the same without end, set as torch sets itself: a thread for
each processor that the host shows.

    PYTHONPATH=. python benchmarks/threads.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from mace_gov.core.threads import usable_cpus

ROUNDS, BESIDE, STEPS = 5, 3, 2
CPUS = str(usable_cpus())
WAYS = {
    "as torch is": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "short spin": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def work(endless: bool) -> None:
    """Draw once to warm up, say so, then draw whenever a line comes in, or without end."""
    import torch

    from mace_gov.diffusion.generate import sample
    from mace_gov.diffusion.load import load_pipeline
    from mace_gov.diffusion.text import TextReader
    from mace_gov.documents.plan import GenerationSettings
    from mace_gov.embedded import MODEL_DIR

    pipe = load_pipeline(MODEL_DIR, device="cpu")
    reader = TextReader.of(pipe)
    text, empty = reader.conditions(["a cat"] * 8), reader.conditions([""])

    def draw(steps: int) -> tuple[float, float]:
        wall, cpu = time.monotonic(), time.process_time()
        sample(pipe, text, empty, list(range(8)), GenerationSettings(steps=steps, guidance=4.0, size=64, batch=8))
        return time.monotonic() - wall, time.process_time() - cpu

    draw(1)
    print(torch.get_num_threads(), flush=True)
    while endless or sys.stdin.readline():
        took = draw(STEPS)
        if not endless:
            print(json.dumps(took), flush=True)


def start(settings: dict[str, str], kind: str) -> subprocess.Popen:
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    job = subprocess.Popen([sys.executable, __file__, kind], env={**kept, **settings}, text=True, bufsize=1,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    job.stdout.readline()
    return job


def measured(jobs: dict[str, subprocess.Popen]) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each way; the ways take turns, so that what else runs here meets all alike."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in jobs}
    for _ in range(ROUNDS):
        for way, job in jobs.items():
            job.stdin.write("\n")
            found[way].append(tuple(json.loads(job.stdout.readline())))
            print(f"{way}: {found[way][-1]}", file=sys.stderr)
    return found


def main() -> None:
    jobs = {way: start(settings, "once") for way, settings in WAYS.items()}
    alone = measured(jobs)
    others = [start({}, "endless") for _ in range(BESIDE)]
    try:
        beside = measured(jobs)
    finally:
        for job in (*others, *jobs.values()):
            job.kill()
            job.wait()
    print(f"{CPUS} processors, load {os.getloadavg()[0]:.1f}; wall seconds, median of {ROUNDS} (least to most) [CPU]")
    medians = {}
    for way in WAYS:
        cells = []
        for name, found in (("alone", alone), ("beside", beside)):
            walls, cpus = zip(*found[way], strict=True)
            medians[f"{way}, {name}"] = statistics.median(walls)
            cells.append(f"{name} {statistics.median(walls):6.2f} ({min(walls):.2f} to {max(walls):.2f}) "
                         f"[{statistics.median(cpus):.2f}]")
        print(f"{way:12} {'   '.join(cells)}")
    ratio = medians["passive, beside"] / medians["as torch is, beside"]
    print(json.dumps({"benchmark": "threads", "ratio": round(ratio, 3),
                      "seconds": {way: round(each, 3) for way, each in medians.items()}}))


if __name__ == "__main__":
    work(sys.argv[1] == "endless") if len(sys.argv) > 1 else main()
