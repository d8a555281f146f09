"""What a broken detector said is signed and published: without its passwords."""

from __future__ import annotations

from PIL import Image

from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.scoring import ConfiguredDetector


class Remote:
    """A plugin that asks a server."""

    def score(self, images, queries) -> list[float]:
        raise OSError("no answer from https://ann:hunter2222@judge/score")


def test_no_password_of_a_plugin_reaches_the_evidence() -> None:
    configured = ConfiguredDetector(Remote())
    assert configured.score([Image.new("RGB", (8, 8))], [Query((), "subject", True, 8)]) == [None]
    assert list(configured.reasons) == ["OSError: no answer from https://***@judge/score"]
