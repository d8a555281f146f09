"""The chain of releases: every entry signed, every link checked, nothing taken out or put in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mace_gov.attest.keys import ensure_key_pair, registry_trust, revoke, rotate
from mace_gov.attest.releases import add_release, read_releases
from mace_gov.attest.trust import Trust
from mace_gov.core.errors import IncompleteError, IntegrityError
from mace_gov.documents.registry import Layout
from mace_gov.documents.release import Action, Release, ReleaseLog
from mace_gov.documents.trust import Role
from tests import factories


def entry(version: int = 1, **overrides) -> Release:
    fields = {"number": 1, "action": Action.PROMOTE, "name": "nsfw", "version": version, "by": "ann",
              "governed_digest": factories.hexa(f"model {version}"), "evidence_digest": factories.hexa("evidence"),
              "at": factories.CREATED}
    return Release(**{**fields, **overrides})


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A registry with three entries about ``nsfw``."""
    pair, log = ensure_key_pair(tmp_path), ReleaseLog()
    for made in (entry(1), entry(2), entry(1, action=Action.RECALL, reason="it came back")):
        _, log = add_release(tmp_path, log, made, pair)
    return tmp_path


def read(registry: Path) -> ReleaseLog:
    return read_releases(registry, "nsfw", registry_trust(registry))


def test_entries_come_back_in_order_and_linked(chain: Path) -> None:
    log = read(chain)
    assert [(e.number, e.action, e.version) for e in log.entries] == [(1, "promote", 1), (2, "promote", 2),
                                                                     (3, "recall", 1)]
    assert log.entries[0].previous is None
    assert log.entries[1].previous is not None
    assert log.compliant == 2
    assert read_releases(chain, "violence", registry_trust(chain)) == ReleaseLog()


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_a_changed_byte_is_refused(chain: Path, victim: int) -> None:
    path = Layout(chain).chain("nsfw") / f"000{victim}.dsse.json"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=path.name):
        read(chain)


def take_out(folder: Path) -> None:
    (folder / "0002.dsse.json").unlink()


def take_out_and_close_the_gap(folder: Path) -> None:
    (folder / "0003.dsse.json").replace(folder / "0002.dsse.json")


def swap(folder: Path) -> None:
    one, two = folder / "0001.dsse.json", folder / "0002.dsse.json"
    held = one.read_bytes()
    two.replace(one)
    two.write_bytes(held)


def repeat(folder: Path) -> None:
    shutil.copyfile(folder / "0002.dsse.json", folder / "0004.dsse.json")


def put_in(folder: Path) -> None:
    (folder / "notes.txt").write_text("compliant: 1")


@pytest.mark.parametrize("attack", [take_out, take_out_and_close_the_gap, swap, repeat, put_in])
def test_a_broken_link_is_refused(chain: Path, attack) -> None:
    attack(Layout(chain).chain("nsfw"))
    with pytest.raises(IntegrityError, match=r"releases/nsfw/"):
        read(chain)


def test_a_chain_of_another_model_or_another_key_is_refused(chain: Path, tmp_path_factory) -> None:
    shutil.copytree(Layout(chain).chain("nsfw"), Layout(chain).chain("violence"))
    with pytest.raises(IntegrityError, match="of violence"):
        read_releases(chain, "violence", registry_trust(chain))
    other = Trust.of(ensure_key_pair(tmp_path_factory.mktemp("other")).public)
    with pytest.raises(IntegrityError, match="signed by key"):
        read_releases(chain, "nsfw", other)


def test_of_two_writers_only_one_succeeds(chain: Path) -> None:
    log, pair = read(chain), ensure_key_pair(chain)
    add_release(chain, log, entry(3), pair)
    with pytest.raises(IncompleteError, match=r"0004\.dsse\.json"):
        add_release(chain, log, entry(4), pair)
    assert read(chain).compliant == 3


def test_a_rotated_key_still_counts_for_what_it_signed_and_a_revoked_one_for_nothing(chain: Path) -> None:
    old, _ = rotate(chain, Role.PIPELINE)
    add_release(chain, read(chain), entry(3, at="2099-01-01T00:00:00Z"), ensure_key_pair(chain))
    assert read(chain).compliant == 3
    revoke(chain, old.keyid, "stolen")
    with pytest.raises(IntegrityError, match="revoked"):
        read(chain)
