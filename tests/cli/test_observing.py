"""What a program is told of a run: events, a timeline, metrics; however the run ends."""

from __future__ import annotations

import json
import logging
import re
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from mace_gov.cli import observing
from mace_gov.cli.metrics import metrics
from mace_gov.cli.observing import Observed, Observer
from mace_gov.cli.sinks import JsonLines, Metrics, Run, Task, Trace
from mace_gov.core.progress import Silent, working
from tests import factories

LABEL = r'[a-z]+="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"mace_gov_[a-z_]+(\{{{LABEL}(,{LABEL})*\}})? [0-9.e+-]+")


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def tell(self, run: Run, event: dict[str, Any]) -> None:
        self.events.append(event)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def parsed(text: str) -> dict[str, float]:
    """Every sample of the text format; a line that is neither one nor a comment is an error."""
    samples = [line for line in text.splitlines() if not line.startswith("# ")]
    assert samples and all(SAMPLE.fullmatch(line) for line in samples), samples
    names = [line.rpartition(" ")[0] for line in samples]
    assert len(set(names)) == len(names)
    declared = re.findall(r"^# TYPE (\S+) gauge$", text, re.M)
    assert {name.partition("{")[0] for name in names} == set(declared) and len(set(declared)) == len(declared)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in samples}


def test_a_run_is_told_as_json_lines_and_prints_what_it_printed(run, tmp_path: Path) -> None:
    registry = factories.version_folder(tmp_path).registry
    plain = run("registry", "check", "--registry", registry, "--json")
    code, out, err = run("--log", "json", "registry", "check", "--registry", registry, "--json")
    assert (code, json.loads(out)) == (plain[0], json.loads(plain[1])) and code == 0
    events = lines(err)
    assert events[0]["event"] == "run_started" and events[0]["command"] == "registry"
    assert {key: events[-1][key] for key in ("event", "exit_code", "reason")} == {
        "event": "run_ended", "exit_code": 0, "reason": "passed"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]) for event in events)
    begun = [event["id"] for event in events if event["event"] == "task_started"]
    assert begun and begun == sorted(begun)
    assert sorted(event["id"] for event in events if event["event"] == "task_ended") == begun
    assert "verifying versions" in {event.get("task") for event in events}


def test_an_error_is_told_with_its_reason_and_what_to_do_next(run, tmp_path: Path) -> None:
    code, _, err = run("--log", "json", "registry", "check", "--registry", tmp_path / "none")
    ended = lines(err)[-1]
    assert code == 2 == ended["exit_code"] and ended["reason"] == "usage"
    assert "expected a registry" in ended["message"] and "--registry" in ended["hint"]
    assert run("registry", "check", "--registry", tmp_path / "none")[2].startswith("error: ")


def test_a_timeline_and_metrics_are_written_however_the_run_ends(run, tmp_path: Path) -> None:
    registry, trace, kept = factories.version_folder(tmp_path).registry, tmp_path / "trace.json", tmp_path / "m.prom"
    (registry / "versions/nsfw/1/verdict.dsse.json").unlink()
    code, _, _ = run("--trace", trace, "--metrics", kept, "registry", "check", "--registry", registry)
    assert code == 3
    events = json.loads(trace.read_text())
    spans = [event for event in events if event["ph"] == "X"]
    assert {"verifying versions", "re-hashing the cache"} & {span["name"] for span in spans}
    assert all(span["dur"] >= 0 and span["ts"] >= 0 for span in spans)
    assert events[-1]["name"] == "exit 3: incomplete"
    samples = parsed(kept.read_text())
    assert samples["mace_gov_run_exit_code"] == 3 and samples["mace_gov_run_active"] == 0
    assert samples['mace_gov_task_steps_done{task="verifying versions"}'] == 1
    assert observing.current() is None


def test_environment_variables_ask_for_the_same(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MACE_GOV_LOG", "json")
    monkeypatch.setenv("MACE_GOV_METRICS", str(tmp_path / "m.prom"))
    code, _, err = run("registry", "check", "--registry", tmp_path)
    assert code == 0 and lines(err)[-1]["exit_code"] == 0
    assert parsed((tmp_path / "m.prom").read_text())["mace_gov_run_exit_code"] == 0


@pytest.mark.parametrize("option", ["--trace", "--metrics"])
def test_a_file_that_cannot_be_written_ends_the_run_before_the_work(run, tmp_path: Path, option: str) -> None:
    code, _, err = run(option, tmp_path, "registry", "check", "--registry", tmp_path)
    assert code == 2 and "cannot be written" in err


def test_overlapping_tasks_lie_in_lanes_and_a_killed_run_leaves_a_timeline(tmp_path: Path) -> None:
    seen = Observer("apply", [Trace(tmp_path / "trace.json")])
    outer, inner = seen.start("outer", 2), seen.start("inner", 1)
    inner(1)
    third = seen.start("third", 1)
    outer(2)
    third(1)
    text = (tmp_path / "trace.json").read_text()  # as it lies there when the process is killed
    spans = {event["name"]: event for event in json.loads(text.rstrip(",\n") + "]") if event["ph"] == "X"}
    assert [spans[name]["tid"] for name in ("outer", "inner", "third")] == [0, 1, 1]
    assert spans["outer"]["args"] == {"done": 2, "total": 2}
    seen.finish(0, "", "")
    assert json.loads((tmp_path / "trace.json").read_text())


def test_units_lie_in_a_timeline_below_their_task_or_in_their_worker_s_lane_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "SHORTEST", 0)
    told, kept = StringIO(), tmp_path / "m.prom"
    seen = Observer("apply", [Trace(tmp_path / "trace.json"), JsonLines(told), Metrics(kept)])
    shown = Observed(Silent(), seen)
    advance, now = shown.start("drawing", 3), time.monotonic()
    advance(2)
    shown.unit(4, "drawing 7", now, now + 1)
    advance(1)
    advance(1)
    kept.unlink()
    shown.unit(4, "drawing 8", now + 1, now + 2)
    assert not kept.exists(), "metrics are not written for each unit"
    seen.finish(0, "", "")
    spans = [event for event in json.loads((tmp_path / "trace.json").read_text()) if event["ph"] == "X"]
    units = {span["name"]: span for span in spans if span["cat"] == "unit"}
    task, = (span for span in spans if span["cat"] == "task")
    assert list(units) == ["to 2 of 3", "drawing 7", "to 3 of 3", "drawing 8"]
    for part in ("to 2 of 3", "to 3 of 3"):
        assert (units[part]["pid"], units[part]["tid"]) == (task["pid"], task["tid"])
        assert task["ts"] <= units[part]["ts"] <= units[part]["ts"] + units[part]["dur"] <= task["ts"] + task["dur"] + 2
    assert (units["drawing 7"]["pid"], units["drawing 7"]["tid"], units["drawing 7"]["dur"]) == (2, 4, 10**6)
    assert "unit" not in {event["event"] for event in lines(told.getvalue())}


def test_what_goes_on_is_told_though_it_stands_still_and_ends_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "INTERVAL", 0.02)
    heard = Heard()
    seen = Observer("apply", [heard])
    seen.start("long", 3)(1)
    for _ in range(500):
        if any(event["event"] == "task_progress" for event in heard.events):
            break
        seen._over.wait(0.01)
    else:
        pytest.fail("nothing was told of a task that stands still")
    seen.finish(143, "interrupted", "")
    assert [event["event"] for event in heard.events[-2:]] == ["task_ended", "run_ended"]
    assert heard.events[-2]["done"] == 1 and heard.events[-1]["reason"] == "interrupted"


def test_a_disk_that_fills_up_costs_the_record_and_not_the_run() -> None:
    class Full(Heard):
        def tell(self, run: Run, event: dict[str, Any]) -> None:
            super().tell(run, event)
            if event["event"] != "run_started":
                raise OSError(28, "No space left on device")

    full, heard = Full(), Heard()
    seen = Observer("apply", [full, heard])
    with working(Observed(Silent(), seen), "work"):
        pass
    seen.finish(0, "", "")
    assert [event["event"] for event in heard.events] == ["run_started", "task_started", "task_ended", "run_ended"]


def test_notes_and_what_the_package_logs_are_events(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    observing.begin("x", as_json=True, trace=None, metrics_file=None)
    logging.getLogger("mace_gov.record").warning("swept up\nhttps://ann:secret@host/")
    Observed(Silent(), observing.current()).note("reused")
    observing.finish(0)
    logging.getLogger("mace_gov.record").debug("no more")
    events = lines(capsys.readouterr().err)
    assert [(event["event"], event.get("level")) for event in events[1:-1]] == [("log", "warning"), ("note", None)]
    assert "secret" not in events[1]["message"]


def test_metrics_add_tasks_of_one_name_and_escape_what_they_are_called() -> None:
    run = Run("apply", tasks=[Task('a "b"\\\n', 2, 0.0, 1, 4.0), Task('a "b"\\\n', 3, 5.0, 3, 6.0), Task("c", 9, 0.0)])
    samples = parsed(metrics(run))
    label = r'{task="a \"b\"\\\n"}'
    assert samples[f"mace_gov_task_steps{label}"] == 5 and samples[f"mace_gov_task_duration_seconds{label}"] == 5
    assert samples[f"mace_gov_task_active{label}"] == 0 and samples['mace_gov_task_active{task="c"}'] == 1
    assert samples["mace_gov_run_active"] == 1 and "mace_gov_run_exit_code" not in samples


def test_verbose_lines_have_the_time_and_the_memory(run, tmp_path: Path) -> None:
    registry = factories.version_folder(tmp_path).registry
    _, _, err = run("--verbose", "registry", "check", "--registry", registry)
    assert re.search(r"^\d\d:\d\d:\d\d \d+ MiB  verifying versions: done in", err, re.M), err
    assert not re.search(r"MiB", run("registry", "check", "--registry", registry)[2])
