"""What a kept picture depends on."""

from __future__ import annotations

from mace_gov.audit.pictures import picture_key
from mace_gov.core.resources import using
from mace_gov.documents.plan import GenerationSettings

SETTINGS = GenerationSettings(steps=2, guidance=4.0, size=32, batch=8)


def key(**changes) -> str:
    return picture_key("0" * 64, "a cat", 1, SETTINGS.model_copy(update=changes))


def test_a_precision_of_the_users_choice_has_pictures_of_its_own_and_a_batch_has_not():
    usual = key()
    assert key(batch=1) == usual != key(steps=3)
    with using(batch=2):
        assert key() == usual
    with using(precision="float32"):
        whole = key()
    with using(precision="bfloat16"):
        assert len({usual, whole, key()}) == 3
