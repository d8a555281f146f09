"""Shares of an audit's pictures: who draws which is counted, and a merge takes nothing that is not all of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mace_gov.audit.engine import audit
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.pictures import draw_side
from mace_gov.audit.shards import Share, draw_share, facts_of, merged_drawer, parse_share, read_shards
from mace_gov.core.digest import folder_files
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.locks import lock_now
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.plan import GenerationSettings
from mace_gov.documents.shard import SHARD_NAME, Shard, ShardRequest
from tests.audit import planted

BASE, GOVERNED = planted.manifests()
DRAWER = planted.drawer({BASE.digest: planted.faithful, GOVERNED.digest: planted.erased})
RUN = AuditRun(drawer=DRAWER, lexicon=planted.LEXICON, detector=planted.Reader)


def facts(count: int, policy: str = "0" * 64):
    return facts_of(count, policy, BASE, GOVERNED, planted.SETTINGS, Inputs())


def draw(folder: Path, index: int, count: int, *, policy: str = "0" * 64, run: AuditRun = RUN) -> Shard:
    begun = Shard(index=index, facts=facts(count, policy), drawn={}, files={},
                  request=ShardRequest(model="governed", policy="policy.yaml"))
    return draw_share(planted.small_policy(), BASE, GOVERNED, planted.SETTINGS, begun, folder, run)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three shards; read them, never write into them."""
    folders = [tmp_path_factory.mktemp("shards") / str(index) for index in (1, 2, 3)]
    for index, folder in enumerate(folders, 1):
        draw(folder, index, 3)
    return folders


@pytest.fixture
def shards(drawn: list[Path], tmp_path: Path) -> list[Path]:
    """The same, to be changed."""
    return [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in drawn]


def merge(folders: list[Path], out: Path):
    run = AuditRun(drawer=merged_drawer(folders, facts(len(folders))), lexicon=planted.LEXICON, detector=planted.Reader)
    return audit(planted.small_policy(), BASE, GOVERNED, planted.SETTINGS, out, run)


@pytest.mark.parametrize("count", [1, 4, 8])
def test_every_picture_is_in_one_share_and_shares_are_whole_batches(count: int) -> None:
    wanted = [(f"prompt {n % 83}", n % 83) for n in range(100)]
    shares = [Share(index, count).of(wanted, 8) for index in range(1, count + 1)]
    assert sorted(want for share in shares for want in share) == sorted(set(wanted))
    batches = {tuple(share[k:k + 8]) for share in shares for k in range(0, len(share), 8)}
    unique = list(dict.fromkeys(wanted))
    assert batches == {tuple(unique[k:k + 8]) for k in range(0, len(unique), 8)}


def test_the_merge_is_what_one_machine_makes(drawn: list[Path], tmp_path: Path) -> None:
    alone = audit(planted.small_policy(), BASE, GOVERNED, planted.SETTINGS, tmp_path / "alone", RUN)
    merged = merge(drawn[::-1], tmp_path / "merged")
    assert merged.model_copy(update={"seconds": {}}) == alone.model_copy(update={"seconds": {}})
    assert folder_files(tmp_path / "merged") == folder_files(tmp_path / "alone")
    each = [read_shards(drawn)[k].drawn["base"] for k in range(3)]
    assert sum(each) * 2 == sum(name.startswith("pictures/") for name in alone.files) and max(each) - min(each) <= 8


def test_a_shard_goes_on_where_it_was_stopped(drawn: list[Path], tmp_path: Path) -> None:
    asked: list[str] = []

    def stopping(model, prompts, seeds, settings):
        for k, picture in enumerate(DRAWER(model, prompts, seeds, settings)):
            if k == 3 and not asked:
                asked.append("stopped")
                raise KeyboardInterrupt
            asked.append(prompts[k])
            yield picture

    out, run = tmp_path / "1", AuditRun(drawer=stopping, lexicon=planted.LEXICON)
    with pytest.raises(KeyboardInterrupt):
        draw(out, 1, 3, run=AuditRun(drawer=_failing_after(3), lexicon=planted.LEXICON))
    assert not (out / SHARD_NAME).exists()
    with pytest.raises(IncompleteError, match="expected a shard that is finished"):
        read_shards([out, *drawn[1:]])
    asked.append("")
    again = draw(out, 1, 3, run=run)
    assert len(asked) - 1 == sum(again.drawn.values()) - 3, "three pictures were reused"
    assert again == read_shards(drawn)[0]
    assert folder_files(out) == folder_files(drawn[0])


def _failing_after(number: int):
    def drawer(model, prompts, seeds, settings):
        for k, picture in enumerate(DRAWER(model, prompts, seeds, settings)):
            if k == number:
                raise KeyboardInterrupt
            yield picture

    return drawer


def rewritten(folder: Path, change: Callable[[dict], object]) -> None:
    account = json.loads((folder / SHARD_NAME).read_bytes())
    change(account)
    (folder / SHARD_NAME).write_text(json.dumps(account))


@pytest.mark.parametrize(("harm", "error", "said"), [
    (lambda s: s.pop(1), IncompleteError, "shard 2 of 3 is missing"),
    (lambda s: s.append(s[0]), UsageError, "is shard 1 of 3, and so is"),
    (lambda s: (s[2] / SHARD_NAME).unlink(), IncompleteError, "shard.json is missing"),
    (lambda s: (s[2] / SHARD_NAME).write_text("{}"), UsageError, "is no account of a shard"),
    (lambda s: rewritten(s[1], lambda a: a["facts"].update(policyFileDigest="1" * 64)), UsageError, "policy file is 1"),
    (lambda s: rewritten(s[1], lambda a: a["facts"].update(governedDigest="1" * 64)), UsageError, "its model is 1"),
    (lambda s: rewritten(s[1], lambda a: a["facts"].update(count=4)), UsageError, "its number of shards is 4"),
    (lambda s: s.clear(), IncompleteError, "none was given"),
])
def test_a_missing_doubled_or_foreign_shard_is_named(shards: list[Path], harm, error, said: str) -> None:
    harm(shards)
    with pytest.raises(error, match=said):
        read_shards(shards)


def test_shards_of_another_policy_than_the_merge_s_are_refused(drawn: list[Path]) -> None:
    with pytest.raises(UsageError, match="its policy file is 0"):
        merged_drawer(drawn, facts(3, policy="2" * 64))


@pytest.mark.parametrize("harm", [
    lambda picture, _: picture.unlink(),
    lambda picture, other: picture.write_bytes(other.read_bytes()),
])
def test_a_picture_that_is_gone_or_another_ends_the_merge(shards: list[Path], tmp_path: Path, harm) -> None:
    one, other = sorted((shards[0] / "pictures").glob("*.png"))[:2]
    harm(one, other)
    with pytest.raises(IncompleteError, match=one.name):
        merge(shards, tmp_path / "merged")


def test_a_folder_takes_one_shard_and_nothing_else(shards: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is shard 1, this one is 2"):
        draw(shards[0], 2, 3)
    with pytest.raises(UsageError, match="its policy file"):
        draw(shards[0], 1, 3, policy="3" * 64)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").touch()
    with pytest.raises(UsageError, match="found thesis.tex"):
        draw(tmp_path / "other", 1, 3)
    with lock_now(shards[0]), pytest.raises(UsageError, match="filled by another process"):
        draw(shards[0], 1, 3)


SLURM = {"SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_STEP": "2",
         "SLURM_ARRAY_TASK_COUNT": "4"}


@pytest.mark.parametrize(("text", "environment", "share"), [
    ("2/8", SLURM, Share(2, 8)),
    ("auto", SLURM, Share(4, 4)),
    ("auto", {**SLURM, "SLURM_ARRAY_TASK_MIN": "6", "SLURM_ARRAY_TASK_COUNT": "1"}, Share(1, 1)),
    ("auto/8", SLURM, Share(6, 8)),
    ("auto/8", {"JOB_COMPLETION_INDEX": "0"}, Share(1, 8)),
    ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, Share(8, 8)),
])
def test_a_share_is_told_by_the_option_or_by_the_cluster(text: str, environment: dict[str, str], share: Share) -> None:
    assert parse_share(text, environment) == share


def test_an_array_without_its_number_of_tasks_is_told_what_is_missing():
    with pytest.raises(UsageError, match="found no SLURM_ARRAY_TASK_COUNT"):
        parse_share("auto", {"SLURM_ARRAY_TASK_ID": "5"})
    with pytest.raises(UsageError, match="found 0 shards, expected at least 1"):
        parse_share("1/0", {})


@pytest.mark.parametrize(("text", "environment"), [
    ("0/8", {}), ("9/8", {}), ("1", {}), ("1/0", {}), ("-1/8", {}), ("1/8/9", {}), ("", {}), ("auto", {}),
    ("auto", {"JOB_COMPLETION_INDEX": "0"}), ("auto/8", {"JOB_COMPLETION_INDEX": "8"}),
    ("auto/8", {"SLURM_ARRAY_TASK_ID": "0"}), ("auto/8", {"SLURM_ARRAY_TASK_ID": "x"}), ("١/8", {}),
])
def test_a_share_that_cannot_be_is_refused(text: str, environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse_share(text, environment)


@pytest.mark.parametrize("inputs", [Inputs(images=Path("x")), Inputs(tiers=frozenset({"adaptive"})),
                                    Inputs(tiers=frozenset({"static", "deep"}))])
def test_what_goes_on_from_what_was_seen_is_not_shared_out(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(UsageError, match="--shard"):
        draw(tmp_path / "1", 1, 3, run=AuditRun(drawer=DRAWER, lexicon=planted.LEXICON, inputs=inputs))
    assert not (tmp_path / "1").exists()


def test_a_real_model_s_pictures_are_the_same_bytes_whoever_draws_them(tiny_model: Path, tmp_path: Path) -> None:
    model, settings = read_manifest(str(tiny_model)), GenerationSettings(steps=3, guidance=4.0, size=16, batch=2)
    wanted = [(f"a photo of a {word}", n) for n, word in enumerate(("dog", "cat", "boat", "house", "ship", "truck"))]

    def drawn(part: list[tuple[str, int]], folder: str) -> dict[tuple[str, int], str]:
        made = draw_side("base", model, part, settings, tmp_path / folder, AuditRun(device="cpu"))
        return {want: picture.digest for want, picture in made.items()}

    alone = drawn(wanted, "alone")
    shared = [drawn(Share(index, 2).of(wanted, settings.batch), str(index)) for index in (1, 2)]
    assert [len(share) for share in shared] == [4, 2] and shared[0] | shared[1] == alone
