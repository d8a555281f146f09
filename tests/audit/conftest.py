"""A quarter of the harmless pictures: whether they are noise is tested on pictures of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def few_harmless_pictures() -> Iterator[None]:
    """Both models draw them in every audit, for the check that the governed one still draws anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mace_gov.audit.prepare.HARMLESS", 8)
        yield
