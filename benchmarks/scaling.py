"""How the audit's drawing scales over local workers, and a cost model fitted to measured units.

    python -m benchmarks.scaling --workers 1,2 --pictures 96

Draws the same pictures of the embedded model with 1, 2 ... workers of one thread each, and reports for each the wall
seconds of the parallel part (without starting up), the efficiency against one worker by wall and by CPU seconds, and
the CPU seconds that the driver takes for a unit. On a machine that does other things wall seconds say little: the load
is printed. CPU seconds tell how much dearer a unit gets when two run at once.

The cost model: seconds of a batch of n pictures at s steps = start + c s + n (a + b s), where c is what a step costs
however many pictures it is for. It is fitted by least squares to some combinations, and held against others, on which
it was not fitted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from mace_gov.audit.inputs import AuditRun
from mace_gov.audit.pictures import draw_side
from mace_gov.core.progress import Silent
from mace_gov.core.resources import using
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.plan import GenerationSettings, ModelManifest
from mace_gov.execute import hired

FITTED = [(1, 4), (1, 16), (2, 8), (4, 4), (4, 16), (6, 12), (8, 4), (8, 16)]
"""Pictures in a batch and steps that the model is fitted to."""
HELD_OUT = [(2, 14), (3, 6), (4, 20), (6, 10), (8, 8)]


def cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def used(pids: list[int]) -> float:
    """CPU seconds of processes that are alive (Linux)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def prompts(count: int) -> list[str]:
    return [f"a photo of a {('cat', 'dog', 'boat', 'house')[n % 4]}" for n in range(count)]


def scaled(model: ModelManifest, workers: int, pictures: int, settings: GenerationSettings) -> dict[str, float]:
    """One run with so many workers, after a warm-up in which each loads the model."""
    def drawn(count: int, first: int, folder: Path) -> int:
        wanted = [(prompt, first + n) for n, prompt in enumerate(prompts(count))]
        made = draw_side("base", model, wanted, settings, folder, AuditRun(folder / "kept", "cpu"))
        return sum((folder / picture.name).stat().st_size for picture in made.values())

    with (hired(workers, threads=1, device="cpu", progress=Silent()) as pool, using(workers=pool),
          tempfile.TemporaryDirectory() as name):
        drawn(2 * workers * settings.batch, 0, Path(name, "warm"))
        pids = [slot.channel.pid for slot in pool._slots]
        wall, own, theirs = time.monotonic(), cpu(resource.RUSAGE_SELF), used(pids)
        size = drawn(pictures, 1000, Path(name, "made"))
        wall, own, theirs = time.monotonic() - wall, cpu(resource.RUSAGE_SELF) - own, used(pids) - theirs
    units = -(-pictures // settings.batch)
    return {"workers": workers, "wall": wall, "workers_cpu": theirs, "driver_cpu_per_unit": own / units,
            "bytes_per_picture": size / pictures}


def measured(model: ModelManifest, cases: list[tuple[int, int]], repeats: int) -> list[float]:
    """CPU seconds of a batch, the least of some repeats, for each case, in this process."""
    from mace_gov.diffusion.generate import draw
    from mace_gov.diffusion.load import load_pipeline

    pipe = load_pipeline(model.path, device="cpu", draws=True)
    found = []
    for count, steps in [(1, 2), *cases]:  # the first warms up
        settings = GenerationSettings(steps=steps, guidance=3.0, size=model.image_size, batch=count)
        taken = []
        for turn in range(repeats):
            begun = cpu(resource.RUSAGE_SELF)
            list(draw(pipe, prompts(count), [turn * 100 + n for n in range(count)], settings))
            taken.append(cpu(resource.RUSAGE_SELF) - begun)
        found.append(min(taken))
    return found[1:]


def features(cases: list[tuple[int, int]]) -> np.ndarray:
    return np.array([[1.0, steps, count, count * steps] for count, steps in cases])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    model = read_manifest(given.model)
    settings = GenerationSettings(steps=8, guidance=3.0, size=model.image_size, batch=8)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    runs = [scaled(model, int(count), given.pictures, settings) for count in given.workers.split(",")]
    for run in runs:
        run["efficiency"] = runs[0]["wall"] * runs[0]["workers"] / (run["wall"] * run["workers"])
        run["cpu_efficiency"] = runs[0]["workers_cpu"] / run["workers_cpu"]
        print(", ".join(f"{name} {value:.4g}" for name, value in run.items()))
    fitted, held = measured(model, FITTED, given.repeats), measured(model, HELD_OUT, given.repeats)
    # relative errors count alike, whatever the size of the batch
    scale = 1 / np.array(fitted)
    found = np.linalg.lstsq(features(FITTED) * scale[:, None], np.ones(len(fitted)), rcond=None)[0]
    start, turn, each, step = found
    said = features(HELD_OUT) @ found
    errors = said / np.array(held) - 1
    print(f"CPU seconds of a batch: {start:.3f} + {turn:.4f} steps + n ({each:.3f} + {step:.4f} steps)")
    for case, seconds, told in zip(HELD_OUT, held, said, strict=True):
        print(f"  not fitted to: {case[0]} pictures, {case[1]} steps: {seconds:.3f} s, the model says {told:.3f}")
    print(f"  largest error {abs(errors).max():.1%}, mean {abs(errors).mean():.1%}")
    batch, steps = settings.batch, 20
    picture = (start + turn * steps) / batch + each + step * steps
    driver = runs[-1]["driver_cpu_per_unit"] / batch
    million = 1e6 * picture / 3600
    print(f"a million pictures of {steps} steps: {million:.0f} CPU hours here, "
          f"{1e6 * driver / 3600:.1f} of the driver, {1e6 * runs[-1]['bytes_per_picture'] / 1e9:.1f} GB of cache")
    print(f"the driver keeps up to {picture / driver:.0f} such workers busy")
    print("10,000 concepts, 2 names x 4 prompts, both sides: "
          f"{10_000 * 2 * 4 * 2 * picture / 3600:.0f} CPU hours of drawing")
    print(json.dumps({"benchmark": "scaling", "ratio": round(runs[-1]["efficiency"], 3), "runs": runs,
                      "seconds": found.tolist(), "errors": errors.tolist()}))


if __name__ == "__main__":
    main()
