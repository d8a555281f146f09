"""Units on Ray's own test cluster of two nodes: a worker and a whole node die, and all is done all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Silent
from mace_gov.execute import hired
from tests.execute import units
from tests.execute.clusters import other_node, two_nodes
from tests.factories import Said

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'mace-gov[ray]'")
pytestmark = [
    pytest.mark.nightly,
    # Ray's clients of its own test cluster leave files open
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    with two_nodes() as made:
        yield made


def test_actors_do_units_in_order_on_both_nodes(cluster: Any, tmp_path: Path) -> None:
    said = Said()
    before = signal.getsignal(signal.SIGTERM)
    with hired(ray=cluster.address, progress=said) as pool:
        assert signal.getsignal(signal.SIGTERM) is before
        assert said.notes == [f"4 workers on the Ray cluster at {cluster.address}"]
        made = [each["made"] for each in pool.run(units.job(tmp_path, pause=1), units.listed(*range(12)))]
        assert made == [b"ship%d" % n for n in range(12)]
        with pytest.raises(Exception, match="the weight is nan"):
            list(pool.run(units.job(tmp_path), units.listed("breaks")))
        workers = {int(path.name.partition("-")[2]) for path in tmp_path.glob("opened-*")}
        assert len(workers) > 1 and os.getpid() not in workers
    assert not ray.is_initialized()


def test_a_dead_worker_and_a_dead_node_cost_what_they_were_doing(cluster: Any, tmp_path: Path) -> None:
    said = Said()
    with hired(4, cluster.address, progress=said) as pool:
        outcome = pool.run(units.job(tmp_path, pause=0.5), units.listed("kills once", *range(1, 24)))
        seen = [next(outcome)["made"] for _ in range(6)]
        cluster.remove_node(other_node(cluster), allow_graceful=False)
        seen += [each["made"] for each in outcome]
    assert seen == [b"shipkills once", *(b"ship%d" % n for n in range(1, 24))]
    assert len(list(tmp_path.glob("kills once-*"))) == 2
    assert sum("is done again" in note for note in said.notes) >= 2, said.notes


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "", "ray:"])
def test_no_cluster_is_said_before_the_work(address: str) -> None:
    with pytest.raises(UsageError, match="--ray .*: found no cluster"), hired(ray=address, progress=Silent()):
        pass
