"""Which cases of a large campaign a run tries: a sixth, by a seed that is told; in the nightly run all of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import conftest

LARGE = [f"tests/campaign/test_a.py::test_a[{n}]" for n in range(120)]
SMALL = [f"tests/campaign/test_a.py::test_b[{n}]" for n in range(conftest.MANY)]
ELSEWHERE = [f"tests/core/test_c.py::test_c[{n}]" for n in range(200)]
SAMPLED = [f"tests/core/test_d.py::test_d[{n}]" for n in range(9)]


class Item(SimpleNamespace):
    """A case, as the hook sees it."""

    __hash__ = object.__hash__

    def get_closest_marker(self, _name: str) -> SimpleNamespace | None:
        """``sampled(n)``, where the test is one of those."""
        return SimpleNamespace(args=(3,)) if "test_d" in self.nodeid else None


def drawn(monkeypatch: pytest.MonkeyPatch, seed: int, markers: str = "not nightly") -> set[str]:
    """The cases that are no nightly ones."""
    monkeypatch.setenv(conftest.SEED, str(seed))
    left = {*LARGE, *SMALL, *ELSEWHERE, *SAMPLED}
    items = [Item(path=Path(name.partition("::")[0]), nodeid=name,
                  add_marker=lambda _mark, name=name: left.remove(name)) for name in sorted(left)]
    conftest.pytest_collection_modifyitems(SimpleNamespace(option=SimpleNamespace(markexpr=markers)), items)
    return left


def test_a_sixth_of_a_large_campaign_is_drawn_and_all_of_what_is_small_or_none(monkeypatch):
    one, again, other = (drawn(monkeypatch, seed) for seed in (1, 1, 2))
    assert len(one & set(LARGE)) == 20 and one >= {*SMALL, *ELSEWHERE}
    assert one == again != other and len(one & set(SAMPLED)) == 3


def test_every_case_comes_up_and_the_nightly_run_has_them_all(monkeypatch):
    assert set().union(*(drawn(monkeypatch, seed) for seed in range(80))) >= {*LARGE, *SAMPLED}
    assert drawn(monkeypatch, 1, "nightly").isdisjoint({*LARGE, *SAMPLED})
