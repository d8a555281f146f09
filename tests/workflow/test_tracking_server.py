"""A team's tracking server, PostgreSQL and `mlflow server` really started: versions go there and come back verified."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import IncompleteError, IntegrityError, RecalledError, UsageError
from mace_gov.core.progress import Silent
from mace_gov.documents.verdict import Outcome
from mace_gov.record.store import TRACKING_VARIABLE, open_store
from tests.factories import Said
from tests.record.tracking import postgres, postgres_programs, tracking_server
from tests.workflow.planting import World, policy_file

COMPLIANT = Path("models:/nsfw@compliant")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """The server's address, its artifact folder, and the socket of its database."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    artifacts = tmp_path_factory.mktemp("server") / "artifacts"
    artifacts.mkdir()
    with postgres(programs) as database, tracking_server(database, artifacts) as address:
        yield address, artifacts, database


def deploy_job(folder: Path, key: Path) -> str:
    """Verify what is compliant on a machine that has nothing but the public key; the version."""
    verified, verdict, now = workflow.verify_path(COMPLIANT, key=key, registry=folder)
    assert verdict.outcome is Outcome.PASS
    assert now.released
    return f"{verified.evidence.lineage.name}/{verified.evidence.lineage.version}"


def test_a_version_goes_to_the_server_and_comes_back(server, world: World, tmp_path: Path) -> None:
    address, artifacts, database = server
    world.monkeypatch.setenv(TRACKING_VARIABLE, address)
    made = world.apply()
    assert made.verdict.outcome is Outcome.PASS
    assert not (world.registry / "mlflow.db").exists()
    key = tmp_path / "pinned.pub.pem"
    shutil.copyfile(world.registry / "keys" / "pipeline.pub.pem", key)
    query = ["-h", database, "-U", "mlflow", "-tAc", "SELECT count(*) FROM model_versions"]
    counted = subprocess.run([postgres_programs() / "psql", *query], capture_output=True, text=True, check=True)
    assert counted.stdout.strip() == "1"

    # Another machine asks for the newest version, promotes nothing, and gets it only once it is released.
    with pytest.raises(UsageError, match="knows no"):
        deploy_job(tmp_path / "early", key)
    assert workflow.promote("models:/nsfw@candidate", registry=world.registry, by="ann").exit_code == 0
    assert deploy_job(tmp_path / "deploy", key) == "nsfw/1"
    held = tmp_path / "deploy" / "versions" / "nsfw" / "1"
    assert folder_files(held) == folder_files(made.folder)

    # Any MLflow client gets a plain diffusers folder by the same name.
    with open_store(world.registry):
        import mlflow

        mlflow.artifacts.download_artifacts(str(COMPLIANT), dst_path=str(tmp_path / "plain"))
    assert folder_digest(folder_files(tmp_path / "plain")) == made.audit.governed_digest

    # One byte changed in the artifact folder: refused, and what was fetched is not kept.
    weights = next(path for path in artifacts.rglob("unet/diffusion_pytorch_model.safetensors")
                   if path.read_bytes() == (made.model / "unet/diffusion_pytorch_model.safetensors").read_bytes())
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="diffusion_pytorch_model"):
        deploy_job(tmp_path / "tampered", key)
    assert not (tmp_path / "tampered" / "versions" / "nsfw" / "1").exists()
    weights.write_bytes(good)
    assert deploy_job(tmp_path / "tampered", key) == "nsfw/1"

    # A second machine with a registry of its own gets the next number, not the same one.
    shutil.copytree(world.registry / "keys", tmp_path / "second" / "keys")
    other = world.apply(registry=tmp_path / "second", reports=tmp_path / "reports")
    assert other.version == "nsfw/2"

    # A recall on one machine stops the deployment on every other one, also where the version is at hand already. The
    # second version is the same model, file by file, so it is recalled with the first.
    workflow.recall("nsfw/1", registry=world.registry, by="bob", reason="it came back")
    with pytest.raises(UsageError, match="knows no"):
        deploy_job(tmp_path / "deploy", key)
    with pytest.raises(RecalledError, match="it came back"):
        workflow.verify_path(Path("nsfw/1"), key=key, registry=tmp_path / "deploy")
    with pytest.raises(RecalledError, match="it came back"):
        workflow.promote("nsfw/2", registry=tmp_path / "second", by="ann")


def test_a_server_that_is_not_there_is_named(world: World) -> None:
    world.monkeypatch.setenv(TRACKING_VARIABLE, "http://127.0.0.1:9")
    world.monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(IncompleteError, match=TRACKING_VARIABLE):
        world.apply()
    world.monkeypatch.setenv(TRACKING_VARIABLE, "postgresql://mlflow@database/mlflow")
    with pytest.raises(UsageError, match="expected the http"):
        world.apply()


class Relay:
    """A way to a server that can be cut, at once or once so many more pieces of what is sent there were let through."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self.target, self.left = (host, int(port)), None
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.socket.accept()
                far = socket.create_connection(self.target)
                for pair in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with suppress(OSError), source, target:
            # Connections are kept open between requests, so that what is counted are pieces, not connections.
            while data := source.recv(2**16):
                if asks and self.left is not None:
                    self.left -= 1
                    if self.left < 0:
                        break
                target.sendall(data)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)


class Cuts(Silent):
    """Cuts the relay when the recording begins."""

    def __init__(self, relay: Relay, after: int) -> None:
        self.relay, self.after = relay, after

    def start(self, task: str, total: int):
        if task == "recording in MLflow":
            self.relay.left = self.after
        return super().start(task, total)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("after", [0, 6, 40])
def test_a_server_that_goes_while_a_version_is_recorded(server, world: World, tmp_path: Path, after: int) -> None:
    relay, world = Relay(server[0]), replace(world, root=tmp_path)  # the module's registry has called this model back
    world.monkeypatch.setenv(TRACKING_VARIABLE, relay.address)
    world.monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    policy = policy_file(world.root, name=f"cut-{after}")
    with pytest.raises(IncompleteError, match="the tracking server in .* could not be used") as told:
        world.apply(policy, progress=Cuts(relay, after))
    assert "finished work is kept" in told.value.hint
    relay.left, said = None, Said()
    again = world.apply(policy, progress=said)
    assert again.verdict.outcome is Outcome.PASS
    assert any("pictures reused" in note for note in said.notes)
    with open_store(world.registry) as client:
        place = client.get_experiment_by_name(f"cut-{after}").experiment_id
        assert {run.info.status for run in client.search_runs([place])} == {"FINISHED"}
    relay.socket.close()
