"""What the policy commands print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NSFW = str(Path(__file__).parents[2] / "policies/nsfw.yaml")


@pytest.fixture
def write(tmp_path: Path):
    def _write(name: str, *change: str) -> str:
        path = tmp_path / name
        text = Path(NSFW).read_text()
        assert not change or change[0] in text
        path.write_text(text.replace(*change) if change else text)
        return str(path)

    return _write


def test_a_file_that_cannot_be_read_is_one_error_and_the_others_are_linted(run, write, tmp_path) -> None:
    bad = write("bad.yaml", "severity: critical", "severity: dire")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    names = ["gone.yaml", "folder.yaml", bad, "latin.yaml", write("good.yaml")]
    files = [name if name.startswith("/") else str(tmp_path / name) for name in names]
    code, out, err = run("policy", "lint", *files)
    assert code == 2 and "5 policies: 4 errors, 0 warnings" in out
    assert [line.split("'")[0].count("cannot read the policy") for line in err.splitlines()] == [1, 1, 0, 0]
    assert "'dire'" in err and "not UTF-8" in err
    code, out, _ = run("policy", "lint", "--json", *files)
    assert code == 2 and len(json.loads(out)["errors"]) == 4


@pytest.mark.parametrize("change", [
    ("target: naked", 'target: "nudity "'), ("target: naked", 'target: "nud\\u00adity"'),
    ("detectors: [judge, nudenet]", "detectors: [{name: judge, threshold: 1}, {name: judge, threshold: 1.0}]"),
])
def test_what_fails_names_at_least_one_error(run, write, change) -> None:
    code, out, err = run("policy", "lint", write("bad.yaml", *change))
    assert code == 2 and "1 policy: 1 errors" in out and len(err.splitlines()) == 1


def test_no_command_prints_what_would_steer_a_terminal(run, write) -> None:
    steering = write("esc.yaml", "  description: No", '  description: "\\u2066red\\u202e"\n#')
    code, out, _ = run("policy", "explain", steering)
    assert code == 0 and r"\u2066red\u202e" in out and "\u2066" not in out and "\u202e" not in out
    model = write("model.yaml", "{ref: embedded}", '{ref: "\\u202ex"}')
    code, out, _ = run("policy", "diff", NSFW, model, "--exit-code")
    assert code == 1 and r"model.ref: \u202ex, was embedded" in out and "\u202e" not in out
    code, out, err = run("policy", "lint", write("key.yaml", "mode: enforce", '"\\e[2J": enforce'))
    assert code == 2 and r"\u001b[2J" in err and "\x1b" not in err + out


@pytest.mark.parametrize(("change", "subject"), [
    (("kind: explicit", "kind: object"), "explicit.nudity.kind"), (("2027-06-01", "2099-06-01"), "metadata.reviewBy"),
    (("[judge, nudenet]", "[judge]"), "explicit.nudity.detectors.nudenet"),
])
def test_a_looser_policy_ends_with_1(run, write, change, subject) -> None:
    other = write("other.yaml", *change)
    code, out, _ = run("policy", "diff", NSFW, other, "--exit-code")
    assert code == 1 and "loosens 1" in out and f"loosens   {subject}:" in out
    assert run("policy", "diff", NSFW, write("same.yaml", "# Explicit content", "# Other words"), "--exit-code")[0] == 0


def test_explain_says_who_looks_at_one_side_only(run) -> None:
    code, out, _ = run("policy", "explain", Path(NSFW).parent / "stable-diffusion/explicit.yaml")
    assert code == 0 and "looked for by: nudenet, opennsfw, clip (kept)" in out


def test_a_policy_that_ships_is_copied_and_passes_lint(run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("policy", "init")
    assert code == 0 and "nsfw" in out.splitlines()
    assert run("policy", "init", "nsfw")[:2] == (0, "policies/nsfw.yaml\n")
    assert run("policy", "lint", "policies/nsfw.yaml")[0] == 0
    assert run("policy", "init", "nsfw")[0] == 2


def test_the_difference_is_a_page_as_well(run, write, tmp_path) -> None:
    other = write("other.yaml", "target: naked", 'target: "<script>alert(1)</script>"')
    page = tmp_path / "pages" / "diff.html"
    code, out, _ = run("policy", "diff", NSFW, other, "--html", page)
    text = page.read_text("utf-8")
    assert code == 0 and out.splitlines()[0] in text and "Asks less somewhere" in text
    assert "&lt;script&gt;alert(1)" in text and "<script" not in text and "default-src &#39;none&#39;" in text
    run("policy", "diff", NSFW, NSFW, "--html", page)
    assert "Asks the same" in page.read_text("utf-8")
    code, _, said = run("policy", "diff", NSFW, other, "--html", other)
    assert code == 2 and "ends in .html" in said and "kind: ErasurePolicy" in Path(other).read_text()
