"""The real PostgreSQL and the real `mlflow server`, as deploy/tracking/compose.yaml starts them, on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

COMPOSE = Path(__file__).parents[2] / "deploy" / "tracking" / "compose.yaml"


def postgres_programs() -> Path | None:
    """Where initdb and pg_ctl lie; None when PostgreSQL is not installed."""
    found = [Path(name).resolve().parent for name in (shutil.which("initdb"), shutil.which("pg_ctl")) if name]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """A new PostgreSQL on a Unix socket; yields the folder of the socket."""
    home = Path(tempfile.mkdtemp(prefix="mace-gov-pg-"))
    # PostgreSQL refuses to run as root: there its own user does it.
    prefix: list[str] = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(home, user.pw_uid, user.pw_gid)
        prefix = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *arguments: str) -> None:
        command = [*prefix, str(programs / program), *arguments]
        subprocess.run(command, check=True, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    data = str(home / "data")
    try:
        run("initdb", "-D", data, "-U", "mlflow", "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"-k {home} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-o", options, "-l", str(home / "log"), "-w", "start")
        try:
            run("createdb", "-h", str(home), "-U", "mlflow", "mlflow")
            yield str(home)
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def tracking_server(database: str, artifacts: Path) -> Iterator[str]:
    """`mlflow server` with the compose file's own options, moved to this machine's places; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {"mlflow@database/mlflow": f"mlflow@/mlflow?host={database}",
            "=/artifacts": f"={artifacts}", "0.0.0.0": "127.0.0.1", "5000": str(port)}
    service = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["tracking"]
    options = service["command"][1:]
    for there, place in here.items():
        options = [option.replace(there, place) for option in options]
    # A relay on a port of its own speaks to it too.
    options = [f"{option},127.0.0.1:*" if option.startswith("--allowed-hosts=") else option for option in options]
    log = (artifacts.parent / "server.log").open("wb")
    environment = {**os.environ, **{name: value for name, value in service["environment"].items() if "$" not in value}}
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MACE_GOV_TRACKING_URI"):
        environment.pop(name, None)
    with log, subprocess.Popen(
        [sys.executable, "-m", "mlflow", *options], stdout=log, stderr=log, env=environment, start_new_session=True
    ) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(address, server, artifacts.parent / "server.log")
            yield address
        finally:
            if server.poll() is None:
                os.killpg(server.pid, 15)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"mlflow server did not come up:\n{log.read_text('utf-8', 'replace')[-4000:]}")
