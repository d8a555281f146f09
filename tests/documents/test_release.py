"""What a chain of releases says about which version may be deployed."""

from __future__ import annotations

import pytest

from mace_gov.documents.release import Release, ReleaseLog
from tests import factories


def log(*steps: str, models: dict[int, str] | None = None) -> ReleaseLog:
    """Steps like ``promote 1``; every version has a model of its own unless ``models`` says otherwise."""
    entries = []
    for place, step in enumerate(steps, 1):
        action, version = step.split()
        model = (models or {}).get(int(version), f"model {version}")
        entries.append(Release(
            number=place, action=action, name="nsfw", version=int(version), governed_digest=factories.hexa(model),
            evidence_digest=factories.hexa(f"evidence {version}"), reason="because", by="ann", at=factories.CREATED,
        ))
    return ReleaseLog(tuple(entries))


@pytest.mark.parametrize(
    ("steps", "compliant", "target"),
    [
        ((), None, None),
        (("promote 1",), 1, None),
        (("promote 1", "promote 3"), 3, 1),
        (("promote 1", "recall 1"), None, None),
        (("recall 2",), None, None),
        (("promote 1", "promote 2", "recall 2"), None, 1),
        (("promote 1", "promote 2", "recall 2", "rollback 1"), 1, None),
        (("promote 1", "promote 2", "promote 3", "recall 2"), 3, 1),
        (("promote 1", "promote 2", "rollback 1"), 1, 2),
        (("promote 1", "recall 1", "promote 1"), None, None),
    ],
)
def test_what_is_compliant_and_where_a_rollback_leads(steps, compliant, target) -> None:
    made = log(*steps)
    assert (made.compliant, made.rollback_target) == (compliant, target)


def test_a_recall_is_about_the_version_and_about_its_model() -> None:
    made = log("promote 1", "recall 1", models={1: "same", 2: "same"})
    assert made.recall_of("nsfw", 1, factories.hexa("rebuilt")) == made.entries[1]
    assert made.recall_of("nsfw", 2, factories.hexa("same")) == made.entries[1]
    assert made.recall_of(None, None, factories.hexa("same")) == made.entries[1]
    assert made.recall_of("nsfw", 2, factories.hexa("other")) is None
    assert made.recall_of("violence", 1, factories.hexa("other")) is None
