"""Keyless signatures against stand-ins of Sigstore's servers; its own command line verifies them as well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mace_gov.cli import main
from tests import factories
from tests.attest.sigstore_servers import ISSUER, running, token

ANN = "ann@example.com"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a version, and the configurations of two Sigstores: ours.json and another's."""
    folder = tmp_path_factory.mktemp("keyless")
    factories.version_folder(folder)
    factories.version_folder(folder, number=2, weights=b"other weights")
    with running() as (servers, url), running() as (others, _):
        (folder / "ours.json").write_text(json.dumps(servers.trust_config(url)))
        (folder / "another.json").write_text(json.dumps(others.trust_config(url)))
        (folder / "down.json").write_text(json.dumps(servers.trust_config("http://127.0.0.1:9")))
        yield folder


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(place)
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", token(ANN))

    def _run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mace-gov", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsys.readouterr()
        assert "Traceback" not in seen.err and "internal error" not in seen.err
        return ended.value.code, seen.out + seen.err

    return _run


@pytest.fixture
def signed(run: Run) -> None:
    if not Path("bundle.json").exists():
        assert run("sign-keyless", "nsfw/1", "--out", "bundle.json", "--trust-config", "ours.json")[0] == 0


def check(run: Run, *, version: str = "nsfw/1", bundle: str = "bundle.json", who: str = ANN, issuer: str = ISSUER,
          config: str = "ours.json") -> tuple[int, str]:
    return run("verify", version, "--bundle", bundle, "--trust-config", config,
               "--certificate-identity", who, "--certificate-oidc-issuer", issuer)


def test_who_signed_is_verified_without_a_kept_key(run: Run, signed: None) -> None:
    code, said = check(run)
    assert code == 0 and f"signed without a kept key by {ANN}, as {ISSUER} says" in said


def test_the_standard_command_verifies_the_bundle(signed: None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sigstore", "--trust-config", "ours.json", "verify", "identity", "--bundle",
         "bundle.json", "--cert-identity", ANN, "--cert-oidc-issuer", ISSUER,
         "registry/versions/nsfw/1/verdict.dsse.json"], capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("changes", [
    {"who": "bob@example.com"}, {"issuer": "https://other.example"}, {"config": "another.json"}, {"version": "nsfw/2"},
    {"bundle": "ours.json"}, {"bundle": "nowhere.json"},
])
def test_anything_else_is_refused_and_the_bundle_is_named(run: Run, signed: None, changes: dict[str, str]) -> None:
    code, said = check(run, **changes)
    assert code == 4 and changes.get("bundle", "bundle.json") in said


@pytest.mark.parametrize("field", ["signature", "canonicalizedBody", "signedEntryTimestamp", "rootHash", "rawBytes"])
def test_a_bundle_that_was_edited_is_refused(run: Run, signed: None, field: str) -> None:
    text = json.dumps(json.loads(Path("bundle.json").read_bytes()))
    before, value = text.split(f'"{field}": "', 1)
    middle = value.index('"') // 2
    swapped = "A" if value[middle] != "A" else "B"
    Path("edited.json").write_text(f'{before}"{field}": "{value[:middle]}{swapped}{value[middle + 1:]}')
    code, said = check(run, bundle="edited.json")
    assert code == 4 and "edited.json" in said


def test_a_part_of_the_options_is_an_error(run: Run) -> None:
    assert run("verify", "nsfw/1", "--bundle", "bundle.json")[0] == 2


def test_no_token_no_server_and_no_configuration_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = ("sign-keyless", "nsfw/1", "--out", "never.json", "--trust-config")
    code, said = run(*sign, "down.json")
    assert code == 3 and f"did not sign as {ANN}" in said
    code, said = run(*sign, "bundle-of-nothing.json")
    assert code == 2 and "bundle-of-nothing.json" in said
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "no token")
    assert run(*sign, "ours.json")[0] == 2
    monkeypatch.delenv("SIGSTORE_ID_TOKEN")
    code, said = run(*sign, "ours.json")
    assert code == 2 and "no identity token" in said
    monkeypatch.setitem(sys.modules, "sigstore.sign", None)
    code, said = run(*sign, "ours.json")
    assert code == 3 and "mace-gov[sigstore]" in said
    assert not Path("never.json").exists()
