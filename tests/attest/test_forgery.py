"""The forgery campaign: whatever an attacker without the keys does to a folder, it is refused with exit 4 and named.

An attack is one of WAYS on a place (a version, a report or a copy of the model) and, where it is about one, a file in
it; hypothesis draws the rest. A version whose waiver has ended is refused with exit 1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace_gov import workflow
from mace_gov.attest.verify import Expectations, verify
from mace_gov.core.errors import IntegrityError, MaceGovError
from tests.attest.forgeries import CIRCUMSTANCES, ENDLESS, NIGHTLY, WAYS, Attack, forge
from tests.attest.forgery_target import Range, build_range
from tests.attest.json_edits import Draw
from tests.moved_clock import move_clock


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    with pytest.MonkeyPatch.context() as patch:
        # The base is no part of what is attacked, and the embedded one takes a while to re-hash.
        patch.setattr("mace_gov.attest.verify.MODEL_DIR", tmp_path_factory.mktemp("base"))
        yield build_range(tmp_path_factory)


def _verify(attack: Attack, target: Range, root: Path) -> None:
    if attack.exit_code == 1:  # as typed: evidence alone says nothing of waivers
        workflow.verify_path(attack.place, key=root / "registry/keys/trust.json", registry=root / "registry")
    else:
        verify(attack.place, key=target.trust, registry=root / "registry", expected=Expectations(**attack.asked))


def _refused(way: str, draw: Draw, target: Range) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        root = target.copy(Path(folder))
        attack = forge(way, draw, target, root)
        if attack.now:
            move_clock(patch, attack.now)
        with pytest.raises(MaceGovError) as refused:
            _verify(attack, target, root)
        assert refused.value.exit_code == attack.exit_code
        assert isinstance(refused.value, IntegrityError) == (attack.exit_code == 4)
        named = Path(attack.named).name in refused.value.message
        assert named or (way not in CIRCUMSTANCES and "no evidence for this model" in refused.value.message)


CAMPAIGN = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def _campaign(way: str, target: Range, count: int, **more: Any) -> None:
    @settings(max_examples=count, **CAMPAIGN, **more)
    @given(data=st.data())
    def refused(data: st.DataObject) -> None:
        _refused(way, data.draw, target)

    refused()


def test_the_campaign_is_as_large_as_it_says() -> None:
    assert sum(WAYS.values()) >= 100
    assert NIGHTLY * sum(WAYS[way] for way in ENDLESS) >= 1000


@pytest.mark.parametrize("way", WAYS)
def test_a_hundred_forgeries_are_refused(target: Range, way: str, record_property: Any) -> None:
    _campaign(way, target, WAYS[way], derandomize=True)
    record_property("tried", WAYS[way])


@pytest.mark.nightly
@pytest.mark.parametrize("way", WAYS)
def test_a_thousand_forgeries_are_refused(target: Range, way: str, record_property: Any) -> None:
    _campaign(way, target, NIGHTLY * WAYS[way])
    record_property("tried", NIGHTLY * WAYS[way])
