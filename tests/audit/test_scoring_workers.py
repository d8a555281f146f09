"""Detectors at workers: the scores of this process, with what broke there counted here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from mace_gov.audit import looking
from mace_gov.audit.detectors.by_name import DETECTORS, make_detector
from mace_gov.audit.looking import score_probes
from mace_gov.audit.pictures import Picture, Wanted, png_bytes
from mace_gov.audit.probes.probe import Probe
from mace_gov.audit.scoring import Detectors, Scored
from mace_gov.audit.scoring_workers import can_hand
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.errors import DetectorError, IncompleteError
from mace_gov.core.resources import using
from mace_gov.core.workers import Job, Made, Unit
from mace_gov.documents.terms import Suite
from mace_gov.execute import hired
from tests import factories
from tests.factories import Said

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def asked(out: Path, word: str = "cat") -> tuple[list[Probe], dict[Wanted, Picture]]:
    """Six probes of two suites and their pictures."""
    probes, pictures = [], {}
    for n in range(6):
        suite, expected = (Suite.DIRECT, ("nudity",)) if n % 2 else (Suite.UNRELATED, (word,))
        probes.append(Probe("explicit.nudity", "nudity", suite, f"prompt {n}", n, expected, "subject", ()))
        data = png_bytes(Image.linear_gradient("L").rotate(40 * n).resize((32, 32)).convert("RGB"))
        (out / f"{n}.png").write_bytes(data)
        pictures[f"prompt {n}", n] = Picture(f"{n}.png", sha256_bytes(data))
    return probes, pictures


def looked(detectors: Detectors, out: Path, word: str = "cat") -> list[Scored]:
    probes, pictures = asked(out, word)
    return score_probes(probes, pictures, detectors, out, advance=lambda _n: None)


def made(known: dict[str, str] | None = None) -> Detectors:
    known = {name: DETECTORS[name] for name in ("judge", "always-absent")} if known is None else known
    return Detectors(factories.policy(detectors=("judge", "always-absent")), make_detector, known=known)


def test_workers_give_the_same_scores_and_count_what_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "CHUNK", 2)
    here, there, broken, again = made(), made(), made(), made()
    alone, odd = looked(here, tmp_path), looked(broken, tmp_path, "nobody's word")
    assert {"judge", "always-absent"} == set(alone[0].scores) and len({each.scores["judge"] for each in alone}) > 1
    with hired(2, None, threads=1, device="cpu", progress=Said()) as crew, using(workers=crew):
        assert list(map(repr, looked(there, tmp_path))) == list(map(repr, alone)), "in their order, too: it is signed"
        assert looked(again, tmp_path, "nobody's word") == odd
        wrong = made()
        card = wrong.of("explicit.nudity")["judge"].detector.card()
        monkeypatch.setattr(wrong.of("explicit.nudity")["judge"].detector, "card",
                            lambda: card.model_copy(update={"version": "another"}))
        with pytest.raises(IncompleteError, match="expected another"):
            looked(wrong, tmp_path)
    assert [each.failures for each in broken.all()] == [3, 0] and not any(each.failures for each in there.all())
    assert [(each.failures, each.reasons) for each in again.all()] == [
        (each.failures, each.reasons) for each in broken.all()]


def test_what_is_on_this_machine_alone_is_not_handed_over() -> None:
    assert can_hand(made())
    assert not can_hand(made({})), "a seam made them"
    assert not can_hand(made({"judge": DETECTORS["judge"], "always-absent": "somewhere.else:Detector"}))


def test_a_worker_that_lacks_a_detector_leaves_it_to_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(looking, "CHUNK", 2)

    class Lacks:
        device = None

        def run(self, job: Job, units: Sequence[Unit]) -> Iterator[Made]:
            raise DetectorError("no weights in models/clip")
            yield

    alone = looked(made(), tmp_path)
    with using(workers=Lacks()):
        assert looked(made(), tmp_path) == alone
    assert "a worker cannot (no weights in models/clip)" in caplog.text
