"""Pipes, sockets, devices, folders and endless files where a file is expected: named at once, never waited for."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mace_gov.attest.keys import ensure_key_pair, revoke
from mace_gov.audit.decoding import read_picture
from mace_gov.core.errors import IncompleteError
from mace_gov.core.store import Store
from mace_gov.preflight import costs
from mace_gov.record.store import open_store
from tests import factories
from tests.campaign.test_bad_input import GOOD

pytestmark = pytest.mark.skipif(os.name != "posix", reason="named pipes and devices are POSIX's")
KINDS = {"pipe": "a named pipe", "socket": "a socket", "device": "a device", "folder": "a folder", "endless": "larger"}


@pytest.fixture(autouse=True)
def _never_waited_for() -> Iterator[None]:
    def late(*_: object) -> None:
        pytest.fail("it waited")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _put(kind: str, path: Path) -> None:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        place = Path.cwd()
        os.chdir(path.parent)  # a socket's path must be short
        server = socket.socket(socket.AF_UNIX)
        server.bind(path.name)
        server.close()
        os.chdir(place)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(10**12)


TYPED = {
    "a policy": (2, "x.yaml", ("policy", "lint", "x.yaml")),
    "a policy to plan": (2, "x.yaml", ("plan", "x.yaml")),
    "a policy compared": (2, "x.yaml", ("policy", "diff", "x.yaml", "x.yaml")),
    "waivers": (2, "x.yaml", ("gate", "{folder}", "--policy", "policy.yaml", "--waivers", "x.yaml")),
    "a report": (2, "x.json", ("export", "x.json", "--output", "csv=-")),
    "a trust file": (4, "x.json", ("verify", "{folder}", "--key", "x.json")),
    "a key": (4, "x.pem", ("verify", "{folder}", "--key", "x.pem")),
    "a key's fingerprint": (4, "x.pem", ("keys", "fingerprint", "x.pem")),
    "prompts": (2, "x.csv", ("audit", "embedded", "--policy", "policy.yaml", "--prompts", "x.csv")),
    "labels": (2, "x.csv", ("detectors", "calibrate", "judge", "x.csv")),
    "a sigstore bundle": ((2, 3, 4), "x.json", ("verify", "{folder}", "--key", "{key}", "--bundle", "x.json",
                                                "--certificate-identity", "a", "--certificate-oidc-issuer", "b")),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> factories.SignedVersion:
    return factories.version_folder(tmp_path_factory.mktemp("odd"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", TYPED)
def test_a_file_that_was_typed(run, made, what: str, kind: str):
    wanted, name, typed = TYPED[what]
    if (what, kind) == ("a report", "folder"):
        return  # its report.json is looked for
    Path("policy.yaml").write_text(GOOD)
    _put(kind, Path(name))
    words = [word.format(folder=made.folder, key=made.key) for word in typed]
    code, _, err = run(*words, *(["--registry", made.registry] if "{folder}" in typed else []))
    assert code == wanted or (isinstance(wanted, tuple) and code in wanted), err
    assert name in err and (KINDS[kind] in err or isinstance(wanted, tuple)), err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["evidence.dsse.json", "verdict.dsse.json", "policy.yaml", "evidence/trials.jsonl",
                                  "model/unet/diffusion_pytorch_model.safetensors", "model/model_index.json",
                                  "sign-offs/x.json", "evidence/added"])
def test_a_file_of_a_version(run, tmp_path, name: str, kind: str):
    if kind == "endless" and not name.endswith("dsse.json") or kind == "folder" and name.endswith(("x.json", "added")):
        return  # weights may be large, they are hashed as a stream; an empty folder is nothing
    made = factories.version_folder(tmp_path)
    (made.folder / name).parent.mkdir(exist_ok=True)
    _put(kind, made.folder / name)
    code, _, err = run("verify", made.folder, "--registry", made.registry, "--key", made.key)
    assert code == 4 and Path(name).name in err, err
    code, _, _ = run("registry", "list", "--registry", made.registry)
    assert code in (0, 4)


@pytest.mark.parametrize("name", ["mlflow.db", ".mlflow.db.lock"])
def test_a_pipe_for_the_registrys_database(tmp_path, name: str):
    _put("pipe", tmp_path / name)
    with pytest.raises(IncompleteError, match=f"{name}.* is a named pipe, expected a file"), open_store(tmp_path):
        pass


def test_a_pipe_for_a_public_key_keeps_nobody_from_revoking_it(tmp_path):
    pair = ensure_key_pair(tmp_path)
    _put("pipe", pair.public_path)
    assert revoke(tmp_path, pair.public.fingerprint, "stolen").revoked


def test_pipes_in_a_cache_and_among_pictures(tmp_path):
    kept = Store(tmp_path)
    kept.put("pictures/x.png", b"x")
    _put("pipe", tmp_path / "digests" / "pictures" / "x.png")
    assert kept.get("pictures/x.png") is None and not kept.holds("pictures/x.png")
    _put("pipe", tmp_path / "y.png")
    with pytest.raises(ValueError, match="a named pipe"):
        read_picture(tmp_path / "y.png")


def test_an_envelope_that_is_a_pipe_tells_no_time(tmp_path):
    made = factories.version_folder(tmp_path)
    _put("pipe", made.folder / "evidence.dsse.json")
    assert list(costs._seconds(made.evidence.plan, made.registry)) == []


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", ["report.json", "report.dsse.json", "index.html"])
def test_a_file_of_a_report(run, tmp_path, name: str, kind: str):
    made = factories.version_folder(tmp_path)
    folder = factories.report_folder(tmp_path, made)
    _put(kind, folder / name)
    code, _, err = run("verify", folder, "--registry", made.registry, "--key", made.key)
    assert code == 4 and name in err, err


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json", "captions.txt", "vae/notes.txt"])
def test_a_file_of_a_base_model(run, tmp_path, name: str, kind: str):
    folder = tmp_path / "base"
    factories.write_files(folder, {**factories.MODEL_FILES, "vae/x": b"", "captions.txt": b"a ship\n"})
    Path("policy.yaml").write_text(GOOD)
    _put(kind, folder / name)
    code, _, err = run("plan", "policy.yaml", "--model", folder)
    assert code in (2, 3), err


def test_a_pipe_for_the_folder_of_keys(run, tmp_path):
    _put("pipe", tmp_path / "keys")
    code, _, err = run("keys", "init", "--registry", tmp_path)
    assert code == 3 and "keys/.gitignore: Not a directory" in err


def test_pipes_that_nobody_reads_where_something_is_written(run, tmp_path):
    made = factories.version_folder(tmp_path)
    _put("pipe", tmp_path / "out")
    code, _, err = run("--trace", tmp_path / "out", "policy", "schema")
    assert code == 2 and "named pipe that nobody reads" in err
    code, _, err = run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
                       "--key", made.key, "--output", f"json={tmp_path / 'out'}")
    assert code == 3 and "named pipe that nobody reads" in err


def test_a_pipe_that_is_read_gets_the_output(run, tmp_path):
    made = factories.version_folder(tmp_path)
    _put("pipe", tmp_path / "out")
    reader = os.open(tmp_path / "out", os.O_RDONLY | os.O_NONBLOCK)
    code, _, err = run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry,
                       "--key", made.key, "--output", f"outputs={tmp_path / 'out'}")
    assert code == 0 and os.read(reader, 8) == b"verdict=", err
    os.close(reader)


def test_no_device_is_replaced_by_a_file(run, tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    code, _, err = run("--metrics", tmp_path / "null", "policy", "schema")
    assert code == 2 and "is a device, expected a file" in err
    assert (tmp_path / "null").is_symlink()
