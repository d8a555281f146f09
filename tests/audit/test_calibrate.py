"""A detector's errors, measured on labelled pictures, saved, and used by the audits that they fit."""

import numpy as np
import pytest

from mace_gov.audit.calibrate import calibrate, load_all, read_labels, save
from mace_gov.audit.inputs import Inputs
from mace_gov.audit.metrics.intervals import bounds
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.documents.policy import DetectorSpec
from tests.audit import planted
from tests.audit.test_outside import run


def labelled(tmp_path, wrong_present=2, wrong_absent=1, count=20):
    """Pictures of planted patterns; some labels are wrong, which is what a detector's error looks like."""
    rows = ["file,phrase,present"]
    for i in range(2 * count):
        shown = i < count
        planted.faithful("a tiger" if shown else "a lion", i).save(tmp_path / f"{i}.png")
        wrong = i < wrong_present or count <= i < count + wrong_absent
        rows.append(f"{i}.png,{'lion' if shown and wrong else 'tiger' if not wrong or shown else 'lion'},{int(shown)}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "labels.csv"


def test_sensitivity_and_specificity_are_the_shares_that_are_right(tmp_path):
    labels = read_labels(labelled(tmp_path), tmp_path)
    found = calibrate(planted.Reader(DetectorSpec(name="judge")), labels)
    rates = (found.sensitivity, found.specificity)
    assert [(rate.hits, rate.n) for rate in rates] == [(18, 20), (19, 20)]
    assert (found.sensitivity.low, found.sensitivity.high) == pytest.approx(bounds(18, 20, 0.95))
    assert found.detector == "judge" and found.failures == 0
    assert load_all(tmp_path / "none") == []
    save(found, tmp_path / "kept")
    assert load_all(tmp_path / "kept") == [found]


def test_an_audit_uses_the_calibration_of_just_this_detector(tmp_path):
    labels = read_labels(labelled(tmp_path), tmp_path)
    found = calibrate(planted.Reader(DetectorSpec(name="judge")), labels)
    save(found, tmp_path / "kept")
    result = run(tmp_path / "out", planted.erased, planted.small_policy(), Inputs(calibrations=tmp_path / "kept"))
    assert result.detectors[0].sensitivity == found.sensitivity
    assert next(m for m in result.measurements if m.rule == "NSFW-001").corrected.detector == "judge"
    save(found.model_copy(update={"threshold": 0.7}), tmp_path / "other")
    other = run(tmp_path / "out2", planted.erased, planted.small_policy(), Inputs(calibrations=tmp_path / "other"))
    assert other.detectors[0].sensitivity is None


def test_pictures_that_it_breaks_on_are_in_neither_rate(tmp_path):
    class Odd(planted.Reader):
        def score(self, images, queries):
            if any(np.asarray(image).sum() % 2 for image in images):
                raise RuntimeError("odd")
            return super().score(images, queries)

    found = calibrate(Odd(DetectorSpec(name="judge")), read_labels(labelled(tmp_path, 0, 0), tmp_path))
    assert found.failures > 0 and found.sensitivity.n + found.specificity.n + found.failures == 40
    assert found.sensitivity.value == found.specificity.value == 1

    class Broken(planted.Reader):
        def score(self, images, queries):
            raise RuntimeError("out of order")

    with pytest.raises(IncompleteError, match="out of order"):
        calibrate(Broken(DetectorSpec(name="judge")), read_labels(labelled(tmp_path), tmp_path))


@pytest.mark.parametrize(("row", "said"), [
    ("no.png,tiger,1", "no.png"), ("../a.png,tiger,1", "below"), ("0.png,,1", "no phrase"),
    ("0.png,tiger,maybe", "expected 1 or 0"), (",tiger,1", "file = ''"),
])
def test_a_malformed_label_is_named_by_its_line(tmp_path, row, said):
    labelled(tmp_path)
    (tmp_path / "labels.csv").write_text(f"file,phrase,present\n{row}\n")
    with pytest.raises(UsageError, match=f"labels.csv:2: .*{said}"):
        read_labels(tmp_path / "labels.csv", tmp_path)


def test_labels_of_one_kind_or_pictures_that_are_none_measure_nothing(tmp_path):
    labels = read_labels(labelled(tmp_path), tmp_path)
    detector = planted.Reader(DetectorSpec(name="judge"))
    with pytest.raises(UsageError, match="do not show"):
        calibrate(detector, [label for label in labels if label.present])
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="not readable as a picture"):
        calibrate(detector, labels)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/x.json").write_text("{}")
    with pytest.raises(IncompleteError, match="x.json"):
        load_all(tmp_path / "kept")
