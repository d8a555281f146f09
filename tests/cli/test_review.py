"""mace-gov review: what it refuses before it serves anything, and how it starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from mace_gov.attest.keypair import generate_key
from tests import factories
from tests.review.serving import key_of, version


def test_it_refuses_before_it_serves(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = version(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run("review", "nsfw/1") [0] == 2
    code, _, said = run("review", "nsfw/1", "--signing-key", signed.registry / "keys" / "pipeline.pem")
    assert (code, "a reviewer is not the author" in said) == (2, True)
    key_of(tmp_path / "keys", "Eve")
    code, _, said = run("review", "nsfw/1", "--signing-key", "keys/Eve.pem")
    assert (code, "keys trust" in said) == (2, True)
    code, _, said = run("review", "nsfw/1", "--signing-key", "keys/Ada.pem", "--bind", "0.0.0.0")
    assert (code, "loopback" in said) == (2, True)
    code, _, said = run("review", "nsfw/1", "--signing-key", "keys/Ada.pem", "--reports", "elsewhere")
    assert (code, "mace-gov report" in said) == (3, True)
    picture = signed.folder / "evidence" / "pictures" / "base.png"
    picture.write_bytes(factories.png(7))
    code, _, said = run("review", "nsfw/1", "--signing-key", "keys/Ada.pem")
    assert (code, "pictures/base.png" in said) == (4, True)


def test_the_passphrase_is_asked_for_before_anything_else(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    generate_key(tmp_path / "ada.pem", passphrase=b"open sesame")
    code, _, said = run("review", "nowhere/1", "--signing-key", "ada.pem")
    assert (code, "is encrypted and no passphrase was given" in said) == (2, True)
    monkeypatch.setenv("MACE_GOV_PASSPHRASE", "close sesame")
    code, _, said = run("review", "nowhere/1", "--signing-key", "ada.pem")
    assert (code, "does not open" in said, "sesame" in said) == (2, True, False)
    monkeypatch.setenv("MACE_GOV_PASSPHRASE", "open sesame")
    assert "nowhere/1" in run("review", "nowhere/1", "--signing-key", "ada.pem")[2]


def test_it_says_which_extra_is_missing(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    code, _, said = run("review")
    assert (code, "mace-gov[review]" in said) == (3, True)


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    signed = version(tmp_path)
    command = [sys.executable, "-m", "mace_gov", "review", "--registry", str(signed.registry)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        try:
            lines = [process.stdout.readline() for _ in range(2)]
            link = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/open\?token=\S+", "".join(lines))[0]
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            browser.open(link, timeout=30).close()
            with browser.open(link.partition("open?")[0] + "registry", timeout=30) as page:
                assert "nsfw/1" in page.read().decode()
            process.terminate()
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 143
