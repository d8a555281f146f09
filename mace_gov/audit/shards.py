"""An audit's pictures drawn on several machines, without an engine that joins them: each draws a share into a folder.

Every picture depends on its model, prompt, seed and settings alone, so who draws which is only a matter of counting:
the pictures are taken in the order in which one machine draws them, in blocks of the plan's batch, and block k is the
share of shard k mod N. A block is a batch of one machine's run, so that rounding has no reason to differ. Detectors
look when the shards are merged: they score in other batches, and looking takes a small part of the time.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image
from pydantic import ValidationError

import mace_gov
from mace_gov.audit.decoding import decode
from mace_gov.audit.detectors.plugin import sources
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.pictures import DRAWING, Drawer, Wanted, diffusion_drawer, draw_side, picture_key
from mace_gov.audit.prepare import prepare
from mace_gov.core.atomic import write_bytes
from mace_gov.core.canonical import strict_json
from mace_gov.core.digest import sha256_bytes, sha256_file
from mace_gov.core.environment import version_of
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.files import read_file
from mace_gov.core.locks import lock_now
from mace_gov.core.resources import asked
from mace_gov.core.store import DIGESTS, LEASES, Store
from mace_gov.documents.audit import Side
from mace_gov.documents.plan import GenerationSettings, ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.shard import SHARD_NAME, Shard, ShardFacts

SCRATCH = ".drawing-"
NAMES = {
    "count": "number of shards", "policy_file_digest": "policy file", "base_digest": "base model",
    "governed_digest": "model", "generation_digest": "sampler", "inputs": "files beside the policy",
    "tiers": "tiers", "precision": "precision", "code": "versions (mace-gov, drawing, torch, diffusers)",
}


@dataclass(frozen=True)
class Share:
    """The ``index``-th of ``count`` shares, from 1."""

    index: int
    """Which."""
    count: int
    """Of how many."""

    def of(self, wanted: Sequence[Wanted], block: int) -> list[Wanted]:
        """This share of pictures that one machine would draw in this order, ``block`` at once."""
        return [want for k, want in enumerate(dict.fromkeys(wanted)) if k // block % self.count == self.index - 1]


def parse_share(text: str, environment: Mapping[str, str] = os.environ) -> Share:
    """``I/N``; ``auto`` in an array job of Slurm that is whole; ``auto/N`` with the index of Slurm or Kubernetes.

    With N given, a Slurm array is numbered 1 to N, so that some of its tasks can be run again alone; Kubernetes counts
    JOB_COMPLETION_INDEX from 0. Raises UsageError.
    """
    found = re.fullmatch(r"(?:(auto)|([0-9]{1,6}))(?:/([0-9]{1,6}))?", text, re.ASCII)
    if found is None or (found[2] and not found[3]):
        raise UsageError(f"--shard: found '{text[:40]}', expected I/N such as 1/8, auto, or auto/N")
    if found[2]:
        index, count = int(found[2]), int(found[3])
    elif (array := _number(environment, "SLURM_ARRAY_TASK_ID")) is not None:
        if found[3]:
            index, count = array, int(found[3])
        else:
            first, step = _number(environment, "SLURM_ARRAY_TASK_MIN"), _number(environment, "SLURM_ARRAY_TASK_STEP")
            index = (array - (1 if first is None else first)) // (step or 1) + 1
            if not (count := _number(environment, "SLURM_ARRAY_TASK_COUNT") or 0):
                raise UsageError("--shard auto: found no SLURM_ARRAY_TASK_COUNT, expected the array's number of tasks",
                                 hint="Give the number: --shard auto/N.")
    elif (completion := _number(environment, "JOB_COMPLETION_INDEX")) is not None:
        if not found[3]:
            raise UsageError("--shard auto: Kubernetes does not tell how many there are, expected auto/N",
                             hint="Give N as the Job's spec.completions.")
        index, count = completion + 1, int(found[3])
    else:
        raise UsageError(f"--shard {text}: found neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX, expected one",
                         hint="Give --shard I/N outside of an array job.")
    if not count:
        raise UsageError(f"--shard {text}: found 0 shards, expected at least 1")
    if not 1 <= index <= count:
        raise UsageError(f"--shard {text}: found shard {index} of {count}, expected 1 to {count}",
                         hint="Number a Slurm array 1-N; give the N of spec.completions in Kubernetes.")
    return Share(index, count)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text, re.ASCII) else None


def check_shardable(inputs: Inputs) -> None:
    """Raises UsageError for audits whose pictures depend on what was seen before them, or are there already."""
    if inputs.images is not None:
        raise UsageError("--shard: found --images, expected a model to draw with", hint="Judge them in one run.")
    if odd := sorted(inputs.tiers - {"static"}):
        raise UsageError(f"--shard: found --tier {', '.join(odd)}, expected static alone: attacks and derivatives go "
                         "on from what was seen", hint="Run them in an audit of their own.")


def facts_of(
    count: int, policy_file_digest: str, base: ModelManifest, governed: ModelManifest, generation: GenerationSettings,
    inputs: Inputs,
) -> ShardFacts:
    """What shards and their merge must agree on."""
    precision = {} if (given := asked().precision) is None else {"precision": str(given)}
    return ShardFacts(
        count=count, policy_file_digest=policy_file_digest, base_digest=base.digest, governed_digest=governed.digest,
        generation_digest=generation.content_digest(),
        inputs={path.name: sha256_file(path) for path in (*inputs.prompts, *sources(inputs.plugins))},
        tiers=sorted(inputs.tiers),
        code=[mace_gov.__version__, DRAWING, version_of("torch") or "", version_of("diffusers") or ""], **precision,
    )


def draw_share(
    policy: Policy, base: ModelManifest, governed: ModelManifest, generation: GenerationSettings, begun: Shard,
    folder: Path, run: AuditRun,
) -> Shard:
    """Draw a share of the pictures of both models into ``folder``; what lies there from an earlier try is reused.

    begun: the shard's account without pictures. Returned is the account with those that were drawn.
    Raises UsageError when ``folder`` is another shard's or something else, or is being filled, and what ``prepare`` and
    ``draw_side`` raise.
    """
    check_shardable(run.inputs)
    share = Share(begun.index, begun.facts.count)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock_now(folder):
            _refuse_other(folder, share, begun.facts)
            prepared = prepare(policy, base, run)
            drawer = prepared.drawer(run.drawer or diffusion_drawer(run.device))
            wanted = [*((probe.prompt, probe.seed) for probe in prepared.probes), *prepared.beside]
            own = share.of(wanted, generation.batch)
            sides: tuple[tuple[Side, ModelManifest], ...] = (("base", base), ("governed", governed))
            files: dict[str, str] = {}
            for side, model in sides:
                with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch:
                    made = draw_side(side, model, own, generation, Path(scratch),
                                     replace(run, cache=folder, drawer=drawer))
                files |= {_name(model, want, generation): picture.digest for want, picture in made.items()}
            shard = begun.model_copy(update={"drawn": {side: len(own) for side, _ in sides}, "files": files})
            with suppress(OSError):
                (folder / LEASES).rmdir()  # nothing is being drawn any more, and a merge has no use for it
            write_bytes(folder / SHARD_NAME, shard.canonical())
            return shard
    except BlockingIOError as error:
        raise UsageError(f"{folder} is being filled by another process, expected one process for a shard",
                         hint="Wait for it, or give another --out.") from error


def read_shards(folders: Sequence[Path]) -> list[Shard]:
    """The accounts of all shards of one audit, in the order of their indices.

    Raises IncompleteError for a shard that is missing or not finished, UsageError for one that is there twice or of
    another audit; all of them at once.
    """
    found: list[tuple[Path, Shard]] = []
    missing, wrong = [], []
    for folder in folders:
        try:
            found.append((folder, _read(folder)))
        except OSError:
            missing.append(f"{folder}: {SHARD_NAME} is missing, expected a shard that is finished")
        except ValueError as error:
            wrong.append(f"{folder}/{SHARD_NAME}: is no account of a shard: {str(error).splitlines()[0]}")
    places: dict[int, Path] = {}
    for folder, shard in found:
        wrong += [f"{folder}: {problem}" for problem in _differences(shard.facts, found[0][1].facts, str(found[0][0]))]
        if shard.index in places:
            wrong.append(f"{folder}: is shard {shard.index} of {shard.facts.count}, and so is {places[shard.index]}")
        places.setdefault(shard.index, folder)
    if found:
        count = found[0][1].facts.count
        missing += [f"shard {index} of {count} is missing" for index in range(1, count + 1) if index not in places]
    if wrong:
        raise UsageError("\n".join(["these are not the shards of one audit:", *wrong, *missing]),
                         hint="Merge each shard of one audit once.")
    if missing or not found:
        raise IncompleteError("\n".join(["the shards are not complete:", *(missing or ["none was given"])]),
                              hint="Run those shards again, with the same options: what they drew is reused.")
    return [shard for _, shard in sorted(found, key=lambda each: each[1].index)]


def merged_drawer(folders: Sequence[Path], facts: ShardFacts) -> Drawer:
    """A drawer that draws nothing: every picture comes from a shard, or the audit ends.

    Raises what ``read_shards`` raises, and UsageError when the shards are about something else than ``facts``.
    """
    shards = read_shards(folders)
    if wrong := _differences(shards[0].facts, facts, "what is merged here"):
        raise UsageError("\n".join([f"{folders[0]} and the other shards are not of this audit:", *wrong]),
                         hint="Merge with the policy, the models and the versions that the shards were drawn with.")
    homes = {name: (Store(folder), digest) for folder in folders for name, digest in _read(folder).files.items()}
    return partial(_draw, homes)


def _draw(
    homes: Mapping[str, tuple[Store, str]], model: ModelManifest, prompts: Sequence[str], seeds: Sequence[int],
    settings: GenerationSettings,
) -> Iterator[Image.Image]:
    for want in zip(prompts, seeds, strict=True):
        name = _name(model, want, settings)
        if name not in homes:
            raise IncompleteError(f"the picture of '{want[0]}' with seed {want[1]} by {model.ref} is in no shard",
                                  hint="Draw the shards anew with this version of mace-gov and these files.")
        store, digest = homes[name]
        data = store.get(name)
        if data is None or sha256_bytes(data) != digest:
            raise IncompleteError(f"{store.folder / name}: is not the picture that the shard drew, or is missing",
                                  hint="Copy that shard's folder again, or run the shard again: it mends itself.")
        yield decode(data)


def _name(model: ModelManifest, want: Wanted, settings: GenerationSettings) -> str:
    return f"pictures/{picture_key(model.digest, *want, settings)}.png"


def _read(folder: Path) -> Shard:
    return Shard.from_json(strict_json(read_file(folder / SHARD_NAME)))


def _differences(found: ShardFacts, expected: ShardFacts, place: str) -> list[str]:
    return [f"its {said} is {getattr(found, name)}, {place} has {getattr(expected, name)}"
            for name, said in NAMES.items() if getattr(found, name) != getattr(expected, name)]


def _refuse_other(folder: Path, share: Share, facts: ShardFacts) -> None:
    for left in folder.glob(f"{SCRATCH}*"):  # of a try that was killed; we hold the folder
        shutil.rmtree(left)
    if odd := sorted({path.name for path in folder.iterdir()} - {"pictures", DIGESTS, LEASES, SHARD_NAME}):
        raise UsageError(f"--out {folder}: found {odd[0]} in it, expected a new folder or this shard's own",
                         hint="Give each shard a folder of its own.")
    try:
        before = _read(folder)
    except FileNotFoundError:
        return
    except (OSError, ValidationError, ValueError) as error:
        raise UsageError(f"{folder / SHARD_NAME} cannot be read, expected a shard's account",
                         hint="Give another --out.") from error
    problems = _differences(before.facts, facts, "this one")
    if before.index != share.index:
        problems.append(f"it is shard {before.index}, this one is {share.index}")
    if problems:
        raise UsageError("\n".join([f"--out {folder}: is another shard's folder:", *problems]),
                         hint="Give each shard a folder of its own.")
