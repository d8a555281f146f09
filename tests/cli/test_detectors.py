"""`mace-gov detectors` and `probes`, end to end."""

import csv

from PIL import Image


def test_the_command_measures_and_lists(run, tmp_path):
    for i, level in enumerate((250, 240, 10, 20)):
        Image.new("RGB", (8, 8), (level,) * 3).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text("file,phrase,present\n0.png,x,1\n1.png,x,1\n2.png,x,0\n3.png,x,0\n")
    plugin = ["--plugin", "bright=tests.audit.plugin_detector:bright", "--registry", str(tmp_path / "registry")]
    code, out, _ = run("detectors", "calibrate", "bright", str(tmp_path / "labels.csv"), *plugin)
    assert code == 0 and "sensitivity 100.0%" in out and "n = 2" in out
    code, out, _ = run("detectors", "list", *plugin)
    assert code == 0 and "nudenet" in out and "bright" in out and "at 0.5: sensitivity 100.0%" in out


def test_what_chooses_among_a_policys_words_is_measured_with_classes_alone(run, tmp_path):
    code, _, err = run("detectors", "calibrate", "clip", tmp_path / "labels.csv", "--model", "a/b")
    assert code == 2 and "found no --class for clip" in err


def test_probes_writes_a_table_that_audit_reads(run, tmp_path):
    out = tmp_path / "probes.csv"
    code, said, _ = run("probes", "policies/objects-one.yaml", "--out", str(out), "--registry", str(tmp_path))
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert code == 0 and f"wrote {len(rows)} probes" in said
    assert {row["suite"] for row in rows} == {"direct", "synonym", "unrelated", "near"}
    assert all(row["concept"] == "ship" for row in rows if row["suite"] in ("direct", "synonym"))
