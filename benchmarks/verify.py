"""Verification of a governed version against `sha256sum` over the same files.

    python benchmarks/verify.py               # 4 GiB of weights in three files, as a Stable Diffusion 1.x folder has
    python benchmarks/verify.py --gib 0.5

The baseline is `find -type f | xargs sha256sum`: what anybody must pay who re-hashes the folder. Ours is a process of
its own, `mace-gov verify VERSION --key KEY --json`, interpreter and signatures included. Both read the files from the
page cache, in turns; the least of the runs counts. `ratio` is our seconds over the baseline's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

PARTS = {"unet/diffusion_pytorch_model.safetensors": 0.80, "text_encoder/model.safetensors": 0.12,
         "vae/diffusion_pytorch_model.safetensors": 0.08}
"""Share of the bytes by file, as in Stable Diffusion 1.x in float32."""
BLOCK = 1 << 20


def write_weights(folder: Path, gib: float) -> dict[str, str]:
    """Weights of random blocks below ``folder``; their digests by name."""
    from mace_gov.core.digest import sha256_file

    block = os.urandom(BLOCK)
    for name, share in PARTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            for index in range(max(1, round(gib * 1024 * share))):
                out.write(index.to_bytes(8, "big") + block[8:])
    return {name: sha256_file(folder / name) for name in PARTS}


def version(root: Path, gib: float) -> tuple[Path, Path]:
    """A signed version whose model weighs ``gib``; its folder and the public key."""
    from mace_gov.attest.keys import ensure_key_pair, ensure_model_pair
    from mace_gov.attest.provenance import Build
    from mace_gov.attest.sign import collect_files, sign_build, sign_evidence, sign_results, sign_summary
    from mace_gov.core.digest import folder_digest, sha256_file
    from tests import factories

    signed = factories.version_folder(root)
    files = {**factories.digests(factories.MODEL_FILES), **write_weights(signed.folder / "model", gib)}
    digest = folder_digest(files)
    record = factories.erasure(governed_files=files, governed_digest=digest)
    audit = factories.audit_result(governed_digest=digest)
    pair = ensure_key_pair(signed.registry)
    build = Build("nsfw/1", signed.policy, sha256_file(signed.folder / "policy.yaml"), factories.plan(), record, audit)
    sign_build(signed.folder, build, pair=pair, model_pair=ensure_model_pair(signed.registry))
    (signed.folder / "verdict.dsse.json").unlink()
    evidence = factories.evidence(erasure=record, audit=audit, lineage=factories.lineage(governed_digest=digest),
                                  files=collect_files(signed.folder))
    envelope = sign_evidence(signed.folder, evidence, pair)
    verdict = factories.verdict(governed_digest=digest, evidence_digest=sha256_file(envelope))
    sign_results(signed.folder, evidence, verdict, pair)
    sign_summary(signed.folder, evidence, verdict, pair)
    return signed.folder, signed.key


def seconds(command: list[str], folder: Path) -> float:
    """Wall time of a command that must succeed."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=4.0, help="weight of the model (default 4)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, in turns (default 3)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mace-gov-verify-") as scratch:
        folder, key = version(Path(scratch), asked.gib)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        code = "from mace_gov.cli import main; main()"
        ours = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}", "verify", str(folder),
                "--key", str(key), "--registry", scratch, "--json"]
        theirs = ["sh", "-c", "find . -type f -print0 | xargs -0 sha256sum"]
        times = {"verify": [], "sha256sum": []}
        for run in range(asked.runs):
            for name, command in (("sha256sum", theirs), ("verify", ours)):
                times[name].append(seconds(command, folder))
                print(f"run {run + 1}: {name} {times[name][-1]:.2f} s", flush=True)
    best = {name: min(values) for name, values in times.items()}
    print(json.dumps({
        "benchmark": "verify", "bytes": size, "seconds": round(best["verify"], 3),
        "baseline": "sha256sum over the same files", "baseline_seconds": round(best["sha256sum"], 3),
        "ratio": round(best["verify"] / best["sha256sum"], 3), "cpus": os.cpu_count(), "runs": asked.runs,
    }))


if __name__ == "__main__":
    main()
