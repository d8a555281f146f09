"""Eight applies at once on one registry, equal and different ones: how much longer do they take than one alone?

    python -m benchmarks.at_once                          # some minutes on two cores
    python -m benchmarks.at_once --policy policies/objects-one.yaml --applies 4

One apply runs alone on a registry of its own; then, in the same number of threads each, half of the others run the very
same policy, a quarter the same name with another seed of the erasure, a quarter the same under another name, all on one
new registry. The policy is a small one unless `--policy` gives another: few pictures, so that it ends as REVIEW, and an
exit code of 0, 1 or 5 counts as finished. `ratio` is their seconds over those of the one; `cpu` the same of processor
seconds, which other work on the machine does not change.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

SMALL = {
    "audit": {"prompts": 3, "unrelated": 12}, "model": {"ref": "embedded", "sampler": {"steps": 4}},
    "method": {"fit": {"pictures": 0}, "lora": {"steps": 5}, "preserve": {"prior": "general"}},
}
"""What makes a shipped policy a small one."""
FINISHED = (0, 1, 5)


def written(policy: dict, folder: Path, number: int) -> Path:
    """The policy of the n-th apply: every fourth has another seed, every fourth another name."""
    made = copy.deepcopy(policy)
    if number % 4 == 2:
        made["spec"].setdefault("method", {})["seed"] = 1
    if number % 4 == 3:
        made["metadata"]["name"] += "-too"
    path = folder / f"{number}.yaml"
    path.write_text(yaml.safe_dump(made), "utf-8")
    return path


def applied(policies: list[Path], folder: Path, threads: int) -> tuple[float, float]:
    """Wall and processor seconds of applying all of them at once on a new registry."""
    own = {**os.environ, "OMP_NUM_THREADS": str(threads), "MLFLOW_DISABLE_TELEMETRY": "true"}
    start, running = time.monotonic(), []
    for number, policy in enumerate(policies):
        said = (folder / f"{number}.log").open("wb")
        running.append(subprocess.Popen(
            [sys.executable, "-m", "mace_gov", "apply", str(policy), "--registry", str(folder / "registry"),
             "--reports", str(folder / "reports"), "--device", "cpu", "--threads", str(threads)],
            env=own, stdout=said, stderr=said))
    used = 0.0
    for number, each in enumerate(running):
        _, status, spent = os.wait4(each.pid, 0)
        used += spent.ru_utime + spent.ru_stime
        code = os.waitstatus_to_exitcode(status)
        if code not in FINISHED:
            raise SystemExit(f"apply {number} ended with {code}: {(folder / f'{number}.log').read_text()[-2000:]}")
    return time.monotonic() - start, used


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path, default=None, help="default a small form of policies/objects-one.yaml")
    parser.add_argument("--applies", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    policy = yaml.safe_load((args.policy or Path("policies/objects-one.yaml")).read_text("utf-8"))
    if args.policy is None:
        policy["spec"] |= SMALL
    with tempfile.TemporaryDirectory(prefix="mace-gov-at-once-") as name:
        folders = [Path(name, each) for each in ("policies", "one", "all")]
        for each in folders:
            each.mkdir()
        paths = [written(policy, folders[0], number) for number in range(args.applies)]
        one, one_cpu = applied(paths[:1], folders[1], args.threads)
        print(f"one apply: {one:.0f} s, {one_cpu:.0f} s of processor, load {os.getloadavg()[0]:.1f}", flush=True)
        every, every_cpu = applied(paths, folders[2], args.threads)
        print(f"{args.applies} at once: {every:.0f} s, {every_cpu:.0f} s of processor, load {os.getloadavg()[0]:.1f}")
    result = {"benchmark": "at_once", "baseline": "one apply alone", "ratio": round(every / one, 2),
              "cpu": round(every_cpu / one_cpu, 2), "applies": args.applies, "threads": args.threads,
              "seconds": [round(one, 1), round(every, 1)], "cpu_seconds": [round(one_cpu, 1), round(every_cpu, 1)]}
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
