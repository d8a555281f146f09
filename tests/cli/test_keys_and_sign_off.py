"""Keys and sign-offs as a user types them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mace_gov.cli import main
from tests import factories

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def _run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mace-gov", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsys.readouterr()
        return ended.value.code, seen.out, seen.err

    return _run


def test_a_review_from_key_to_release(run: Run, tmp_path: Path) -> None:
    made = factories.version_folder(tmp_path, complete=True, outcome="REVIEW",
                                    findings=[factories.finding(outcome="REVIEW", severity="high")])
    report = factories.report_folder(tmp_path, made)
    place = ("--registry", made.registry)
    assert run("verify", made.folder, *place)[0] == 5

    key = tmp_path / "ada.pem"
    code, out, _ = run("keys", "generate", key)
    assert code == 0 and "ada.pub.pem" in out
    assert run("keys", "generate", key)[0] == 2
    assert run("keys", "trust", tmp_path / "ada.pub.pem", "--name", "Ada", *place)[0] == 0
    code, out, _ = run("sign-off", report, "--signing-key", key, "--decision", "approve", "--reviewer", "Ada",
                       "--role", "trust and safety", "--reason", "no hit is real", *place, "--json")
    assert code == 0
    written = Path(json.loads(out)["sign_off"])
    assert written.parent == made.folder / "sign-offs"

    code, out, _ = run("verify", made.folder, *place, "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["sign_offs"][0]["reviewer"]) == (0, "REVIEW", "Ada")
    assert "no hit is real" in told["review"][0]
    code, out, _ = run("verify", made.folder, *place)
    assert code == 0 and "review  Ada (trust and safety) approved it" in out
    assert run("verify", made.folder, *place, "--key", made.key)[0] == 5

    anew = ("report", made.folder, *place, "--reports", tmp_path / "reports")
    assert run(*anew)[0] == 0
    document = json.loads((report / "report.json").read_bytes())
    assert [said["reviewer"] for said in document["signOffs"]] == ["Ada"]
    page = (report / "index.html").read_text()
    assert "1 sign-off on this verdict" in page and page.count("no hit is real") >= 1
    assert "Sign-off, signed" in page
    assert run("verify", report, *place)[0] == 0
    (report / "sign-offs").mkdir()
    (report / "sign-offs" / f"{'0' * 64}.dsse.json").write_bytes(written.read_bytes())
    code, _, err = run(*anew)
    assert code == 2 and "0000.dsse.json" in err and (report / "sign-offs").exists()

    written.write_bytes(written.read_bytes()[:-1])
    code, _, err = run("verify", made.folder, *place)
    assert code == 4 and written.name in err


def test_keys_are_listed_rotated_and_revoked(run: Run, tmp_path: Path) -> None:
    made = factories.version_folder(tmp_path, complete=True)
    place = ("--registry", made.registry)
    code, out, _ = run("keys", "list", *place, "--json")
    before = {key["role"]: key["keyid"] for key in json.loads(out)["keys"]}
    assert code == 0 and set(before) == {"pipeline", "model"}
    assert run("keys", "fingerprint", made.key)[1].strip() == f"sha256:{before['pipeline']}"
    code, out, _ = run("keys", "rotate", *place)
    assert code == 0 and f"sha256:{before['pipeline']} retired" in out
    assert run("verify", made.folder, *place)[0] == 0
    code, out, _ = run("keys", "list", *place)
    assert out.count("retired") == 2 and out.count("since") == 2
    assert run("keys", "revoke", before["pipeline"][:12], "--reason", "laptop lost", *place)[0] == 0
    code, _, err = run("verify", made.folder, *place)
    assert code == 4 and "laptop lost" in err and before["pipeline"] in err


def test_a_passphrase_is_asked_of_the_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "ada.pem"
    code, _, err = run("keys", "generate", key, "--passphrase")
    assert code == 2 and "MACE_GOV_PASSPHRASE" in err and not key.exists()
    monkeypatch.setenv("MACE_GOV_PASSPHRASE", "correct horse")
    assert run("keys", "generate", key, "--passphrase")[0] == 0
    assert b"ENCRYPTED" in key.read_bytes()
    monkeypatch.setenv("MACE_GOV_NEW_PASSPHRASE", "battery staple")
    assert run("keys", "passphrase", key)[0] == 0
    assert run("keys", "passphrase", key)[0] == 2  # the old one does not open it any more
    monkeypatch.setenv("MACE_GOV_PASSPHRASE", "battery staple")
    assert run("keys", "passphrase", key)[0] == 0
    assert run("keys", "passphrase", tmp_path / "nowhere.pem")[0] == 2


def test_a_private_key_is_not_made_where_git_would_commit_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    key = tmp_path / "keys" / "ada.pem"
    code, _, err = run("keys", "generate", key)
    assert code == 2 and "must not be committed" in err and not key.parent.exists()
    (tmp_path / "docs").mkdir()
    outside = Path(tempfile.mkdtemp(dir=tmp_path.parent))
    (outside / "link").symlink_to(tmp_path / "docs")
    assert run("keys", "generate", outside / "link" / "ada.pem")[0] == 2 and not list((tmp_path / "docs").iterdir())
    monkeypatch.setenv("PATH", "")  # git cannot be asked
    assert run("keys", "generate", key)[0] == 2
    monkeypatch.undo()


def test_a_private_key_is_made_where_git_ignores_it(run: Run, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copyfile(Path(__file__).parents[2] / ".gitignore", tmp_path / ".gitignore")
    assert run("keys", "generate", tmp_path / "ada.pem")[0] == 0
    # A registry's own private keys, in whatever repository it lies.
    (tmp_path / ".gitignore").unlink()
    assert run("keys", "init", "--registry", tmp_path / "team")[0] == 0
    shown = subprocess.run(["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"], check=True, text=True,
                           capture_output=True).stdout
    assert "team/keys/pipeline.pub.pem" in shown and "team/keys/pipeline.pem" not in shown
    assert "team/keys/model.pem" not in shown


def test_a_sign_off_that_lies_beside_a_report_alone_says_where_it_must_go(run: Run, tmp_path: Path) -> None:
    made = factories.version_folder(tmp_path, complete=True)
    report = factories.report_folder(tmp_path, made)
    assert run("keys", "generate", tmp_path / "ada.pem")[0] == 0
    typed = ("sign-off", report, "--signing-key", tmp_path / "ada.pem", "--decision", "approve", "--reviewer", "Ada",
             "--role", "safety", "--reason", "looked", "--key", made.key, "--registry")
    _, here, _ = run(*typed, made.registry)
    code, elsewhere, _ = run(*typed, tmp_path / "an auditor's")
    assert f"`mace-gov report {made.folder}`" in here
    assert (code, "put it in" in here, "put it in the version's folder" in elsewhere) == (0, False, True)
