"""A version with pictures to label, and the review pages on a free port of this machine."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import uvicorn

from mace_gov.attest.keypair import KeyPair, generate_key, load_key_pair
from mace_gov.attest.keys import pin
from mace_gov.documents.audit import Trial
from mace_gov.documents.trust import Role
from mace_gov.review.breaks import Breaks
from mace_gov.review.desk import open_subject
from mace_gov.review.serve import Place, Source, Who, make_app, open_keys
from mace_gov.review.web import Web
from mace_gov.workflow.reporting import report_again
from tests import factories
from tests.factories import SignedVersion

FIXED = ("/style.css", "/review.js", "/favicon.ico")
PRESENT, ABSENT = (True, 0.9), (False, 0.1)


def trial(concept: str, side: str, seen: tuple[bool, float], suite: str = "direct") -> Trial:
    """A trial on one of the two pictures that a sample version has."""
    data = factories.evidence_files()[f"pictures/{side}.png"]
    return Trial(category="explicit.nudity", concept=concept, suite=suite, prompt=f"a picture of {concept}", seed=1000,
                 side=side, image=f"pictures/{side}.png", image_digest=factories.sha256_bytes(data),
                 scores={"judge": seen[1]}, present=seen[0])


TRIALS = [
    trial("nudity", "base", PRESENT), trial("nudity", "governed", ABSENT), trial("naked", "base", PRESENT),
    trial("naked", "governed", PRESENT), trial("a cat", "base", PRESENT, "unrelated"),
    trial("a cat", "governed", PRESENT, "unrelated"), trial("a dog", "base", PRESENT, "unrelated"),
    trial("a dog", "governed", ABSENT, "unrelated"),
]


def key_of(folder: Path, name: str) -> KeyPair:
    """A reviewer's key pair."""
    generate_key(folder / f"{name}.pem")
    return load_key_pair(folder / f"{name}.pem")


def version(tmp_path: Path, trials: Sequence[Trial] = TRIALS, **verdict: object) -> SignedVersion:
    """A signed version with these trials and a real, signed report; Ada and Bob are pinned as reviewers."""
    lines = b"".join(each.canonical() + b"\n" for each in trials)
    signed = factories.version_folder(tmp_path, complete=True, trials=lines, **verdict)
    for name in ("Ada", "Bob"):
        pin(signed.registry, key_of(tmp_path / "keys", name).public, role=Role.REVIEWER, name=name)
    report_again(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None)
    return signed


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Running:
    """Pages that are being served."""

    web: Web
    port: int
    said: list[str] = field(default_factory=list)
    cookie: str = ""

    @property
    def origin(self) -> str:
        """As a browser sends it."""
        return f"http://127.0.0.1:{self.port}"

    def at(self, path: str) -> str:
        """The address of a page, as a browser types it."""
        return self.origin + self.placed(path)

    def placed(self, path: str) -> str:
        """A page's path on the server: all but the style sheet and such lie in a folder of this run's own."""
        folder = self.web.door.folder
        return path if path.startswith(folder) or path in FIXED else folder + path.removeprefix("/")

    @property
    def link(self) -> str:
        """The last one-time link."""
        return self.said[-1]

    def ask(
        self, path: str, form: dict[str, str] | None = None, method: str | None = None, **headers: str
    ) -> Answer:
        """One request as a browser with this session's cookie makes it; ``headers`` replace its own, "" drops one."""
        own = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie}
        if form is not None:
            own |= {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.putrequest(method or ("GET" if form is None else "POST"), self.placed(path), skip_host=True,
                        skip_accept_encoding=True)
        body = b"" if form is None else urlencode(form).encode()
        for name, value in ({**own, "Content-Length": str(len(body))} if form is not None else own).items():
            if value:
                line.putheader(name, value)
        line.endheaders(body or None)
        got = line.getresponse()
        answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode(errors="replace"))
        line.close()
        return answer

    def come_in(self) -> None:
        """Open the link and keep its cookie."""
        answer = self.ask(self.link.removeprefix(self.origin))
        assert answer.status == 200, answer.text
        self.cookie = answer.headers["set-cookie"].partition(";")[0]

    def fields(self, path: str, action: str) -> dict[str, str]:
        """The hidden fields of the first form on a page that goes to ``action``."""
        page = self.ask(path).text
        name = action.removeprefix("/")
        (form, *_) = re.findall(rf'<form[^>]*action="{name}".*?</form>', page, re.DOTALL)
        return dict(re.findall(r'<input type="hidden" name="(\w+)"[^>]*value="([^"]*)"', form))


@contextmanager
def running(
    tmp_path: Path, signed: SignedVersion, *, reviewer: str = "Ada", place: Place | None = None,
    who: Who | None = None, breaks: Breaks | None = None, looking: bool = False,
) -> Iterator[Running]:
    """The pages of a version's review, or of its registry alone (``looking``), until the block ends."""
    reports, registry = tmp_path / "reports", signed.registry
    subject = None if looking else open_subject(signed.folder, registry=registry, reports=reports, key=None)
    said: list[str] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        place = place or Place()
        pairs = {} if looking else open_keys(who or Who(tmp_path / "keys" / f"{reviewer}.pem"), place)
        web = make_app(subject, pairs, place, Source(registry, reports, None), port=port, say=said.append,
                       breaks=breaks or Breaks(2, timedelta(minutes=5)))
        web.new_link()
        server = uvicorn.Server(uvicorn.Config(web.app(), log_level="warning", access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Running(web, port, said)
        finally:
            server.should_exit = True
            thread.join(timeout=10)
