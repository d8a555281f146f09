"""Run the pages: on loopback for one reviewer with a one-time link, or behind a proxy that says who asks."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mace_gov.attest.keypair import KeyPair, load_key_pair
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.core.files import SMALL_BYTES, read_file
from mace_gov.core.lazy import require
from mace_gov.review.app import ReviewApp
from mace_gov.review.breaks import Breaks
from mace_gov.review.desk import Reviewer, Subject, open_subject, reviewer_of
from mace_gov.review.door import Door, Proxy
from mace_gov.review.registry_app import RegistryApp
from mace_gov.review.web import Web

EXTRA = "review"
PAGES = (("./", "Overview"), ("queue", "Pictures"), ("agreement", "Agreement"), ("trials", "Trials"),
         ("report", "Report"), ("decide", "Decision"), ("registry", "Registry"))
LEAST_SECRET = 16
"""Letters of a proxy's secret, at least."""
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}")


@dataclass(frozen=True)
class Place:
    """Where the pages are served, and to whom."""

    bind: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 0
    """Port to listen on; 0: one that is free."""
    user_header: str | None = None
    """Header in which a proxy names the user; None: no proxy, one-time links."""
    secret_file: Path | None = None
    """File with what the proxy sends in X-Mace-Gov-Secret."""
    public: str | None = None
    """The host that browsers type, behind a proxy."""


@dataclass(frozen=True)
class Who:
    """The keys that decisions are signed with."""

    signing_key: Path | None = None
    """The one reviewer's private key."""
    signing_keys: Path | None = None
    """Behind a proxy: a folder with USER.pem for each user."""


@dataclass(frozen=True)
class Source:
    """What the pages show."""

    registry: Path
    """The registry's folder."""
    reports: Path
    """The folder of its reports."""
    key: Path | None
    """The pinned public key (PEM) or trust file; None: the registry's own."""


def _web_for(place: Place, port: int, title: str, user: str, say: Callable[[str], None], *, reviews: bool) -> Web:
    """Pages behind a door that fits the place. Raises UsageError for a proxy that is only half described."""
    pages = PAGES if reviews else PAGES[-1:]
    if place.user_header is None:
        if place.bind not in ("127.0.0.1", "::1", "localhost"):
            raise UsageError(f"--bind is {place.bind}, expected a loopback address, or a proxy that says who asks",
                             hint="See docs/review.md, behind a proxy.")
        names = (place.bind if ":" not in place.bind else f"[{place.bind}]", "localhost")
        door = Door(frozenset(f"{name}:{port}" for name in names), folder=f"/{secrets.token_urlsafe(16)}/")
        return Web(door, user, say, f"http://{names[0]}:{port}", title, pages)
    if place.secret_file is None or place.public is None:
        raise UsageError("--user-header is given without --proxy-secret and --public-host, expected all three")
    secret = _secret(place.secret_file)
    door = Door(frozenset({place.public}), "https", Proxy(place.user_header, secret))
    return Web(door, None, say, f"https://{place.public}", title, pages)


def make_app(subject: Subject | None, pairs: Mapping[str, KeyPair], place: Place, source: Source, *, port: int,
             say: Callable[[str], None], breaks: Breaks) -> Web:
    """All pages, ready to be served. ``subject`` is None for a registry that is only looked at; ``pairs`` as
    ``open_keys`` gives them. Raises UsageError for a key that may not review.
    """
    reviewers = {} if subject is None else _reviewers(subject, pairs, place)
    user = next(iter(reviewers), "reader")
    title = source.registry.resolve().name if subject is None else f"{subject.policy.metadata.name}, {subject.name}"
    web = _web_for(place, port, title, user, say, reviews=subject is not None)
    shown = RegistryApp(source.registry, source.reports, source.key, home=subject is None)
    if subject is not None:
        review = ReviewApp(subject, reviewers, breaks)
        review.serve(web)
        shown.blind = review.blind
    shown.serve(web)
    return web


def serve(version: Path | None, who: Who, place: Place, source: Source, *, breaks: Breaks,
          say: Callable[[str], None]) -> None:
    """Verify, then serve until interrupted; the link to open is printed with ``say``.

    Raises MissingExtraError without the extra, UsageError for a key that may not review, and what ``open_subject``
    raises.
    """
    uvicorn = require("uvicorn", EXTRA)
    # Whoever is asked for a passphrase is asked at once, not after the files were hashed.
    pairs = {} if version is None else open_keys(who, place)
    subject = None if version is None else open_subject(
        version, registry=source.registry, reports=source.reports, key=source.key)
    with _listening(place) as listener:
        web = make_app(subject, pairs, place, source, port=listener.getsockname()[1], say=say, breaks=breaks)
        server = uvicorn.Server(uvicorn.Config(web.app(), log_level="warning", access_log=False, server_header=False,
                                               proxy_headers=False, lifespan="off"))
        if web.user is None:
            say(f"listening on {place.bind}:{listener.getsockname()[1]} for the proxy of {web.address}")
        else:
            say("open this link once; it ends with the session:")
            web.new_link()
        server.run(sockets=[listener])


def _listening(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.bind else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((place.bind, place.port))
        listener.listen()  # whoever opens the link at once waits for the pages instead of being refused
    except OSError as error:
        listener.close()
        raise IncompleteError(f"cannot listen on {place.bind}:{place.port}: {error.strerror}",
                              hint="Give another --port, or none for one that is free.") from error
    return listener


def open_keys(who: Who, place: Place) -> dict[str, KeyPair]:
    """The reviewers' keys, by the user that a proxy names; one without a name where there is no proxy.

    Encrypted ones are opened as every command does it: the environment's passphrase, or one that is asked for.
    Raises UsageError for keys that are missing, of odd names, or that do not open.
    """
    if place.user_header is None:
        if who.signing_key is None or who.signing_keys is not None:
            raise UsageError("no key to sign with, expected --signing-key FILE",
                             hint="Make one with `mace-gov keys generate ~/.config/mace-gov/reviewer.pem`.")
        return {"": _pair(who.signing_key)}
    if who.signing_keys is None or who.signing_key is not None:
        raise UsageError("no keys to sign with, expected --signing-keys FOLDER with USER.pem for each reviewer")
    files = sorted(path for path in who.signing_keys.glob("*.pem") if not path.name.endswith(".pub.pem"))
    if not files:
        raise UsageError(f"{who.signing_keys}: found no USER.pem, expected one for each reviewer")
    if odd := [path.name for path in files if not _USER.fullmatch(path.stem)]:
        raise UsageError(f"{who.signing_keys}: {', '.join(odd)} names no user that a proxy could name")
    return {path.stem: _pair(path) for path in files}


def _reviewers(subject: Subject, pairs: Mapping[str, KeyPair], place: Place) -> dict[str, Reviewer]:
    """Reviewers by the name that the door knows. Raises UsageError for a key that may not review."""
    made = {user: reviewer_of(pair, subject) for user, pair in pairs.items()}
    return made if place.user_header else {one.name: one for one in made.values()}


def _pair(path: Path) -> KeyPair:
    if not path.is_file():
        raise UsageError(f"{path} is not a file, expected the reviewer's private key",
                         hint="Make one with `mace-gov keys generate ~/.config/mace-gov/reviewer.pem`.")
    return load_key_pair(path)


def _secret(path: Path) -> str:
    try:
        text = read_file(path, SMALL_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--proxy-secret: {path} cannot be read: {error}") from error
    if len(text) < LEAST_SECRET:
        raise UsageError(f"--proxy-secret: {path} holds {len(text)} letters, expected {LEAST_SECRET} or more",
                         hint="`openssl rand -hex 32` makes one.")
    return text
