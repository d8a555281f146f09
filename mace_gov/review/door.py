"""Authentication of requests: one-time links, sessions that expire, hosts, origins, forms that count once.

A browser sends requests that its user never made: other pages can post forms here, frame a page, or, by rebinding a
name, speak to this port. So every request must name a host that is served, every POST must come from a page of this
very origin and carry a secret of its session, and no page may be framed.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

FORMS_KEPT = 256
"""One-use form secrets that a session keeps; older ones are void."""
FRAMED = ("frame", "iframe", "embed", "object", "fencedframe")
HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY", "x-content-type-options": "nosniff",
    # "no-referrer" would have browsers send forms with the origin "null".
    "referrer-policy": "same-origin",
    "cache-control": "no-store", "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), clipboard-read=()",
}
"""Of every answer."""


class Refused(Exception):
    """A request that is not let in."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Proxy:
    """A proxy that has authenticated whoever asks, and says who it is."""

    user_header: str
    """Header with the user's name."""
    secret: str
    """What the proxy alone sends in ``X-Mace-Gov-Secret``: who reaches the port past it cannot name themselves."""


@dataclass
class Session:
    """One browser that came in."""

    user: str
    """Who it is."""
    csrf: str
    """Secret that every form of it carries."""
    started: float
    """Seconds, by the door's clock."""
    used: float
    """The same: its last request."""
    forms: list[str] = field(default_factory=list)
    """Secrets of forms that may be sent once."""
    revealed: str | None = None
    """The one hidden picture that is shown now."""
    seen: str | None = None
    """Digest of the report that was opened."""

    def new_form(self) -> str:
        """The secret of a form that may be sent once."""
        made = secrets.token_urlsafe(16)
        self.forms = [*self.forms, made][-FORMS_KEPT:]
        return made

    def take_form(self, secret: str) -> None:
        """Use up a form's secret. Raises Refused for one that was used before, or never given."""
        if secret not in self.forms:
            raise Refused(409, "this form was sent before, or is older than this page")
        self.forms.remove(secret)


@dataclass
class Door:
    """Lets requests in, or says why not. ``clock`` gives seconds that never go back."""

    hosts: frozenset[str]
    """Values of the Host header that are served."""
    scheme: str = "http"
    """Of the origin that browsers see."""
    proxy: Proxy | None = None
    """None: one-time links and cookies."""
    folder: str = "/"
    """Address below which all pages lie, with a slash at both ends. One that nobody can guess keeps the cookie from
    whatever else listens on this machine."""
    idle: float = 30 * 60
    """Seconds without a request after which a session ends."""
    longest: float = 8 * 3600
    """Seconds after which it ends anyhow."""
    clock: Callable[[], float] = time.monotonic
    """Tells the time."""
    cookie: str = field(default_factory=lambda: f"mace_gov_review_{secrets.token_hex(8)}")
    """What the cookie is called: a name of one's own, so that nothing else on this machine can set another over it."""
    _links: dict[str, str] = field(default_factory=dict, repr=False)
    _sessions: dict[str, Session] = field(default_factory=dict, repr=False)

    def new_link(self, user: str) -> str:
        """The secret of a link that opens a session for ``user``, once."""
        self._links = {secret: name for secret, name in self._links.items() if name != user}
        made = secrets.token_urlsafe(32)
        self._links[made] = user
        return made

    def has_link(self) -> bool:
        """Whether there is a link that nobody has used yet."""
        return bool(self._links)

    def open(self, secret: str) -> str:
        """Use up a link. Returns the value of the session's cookie; raises Refused."""
        known = next((each for each in self._links if hmac.compare_digest(each.encode(), secret.encode())), None)
        if known is None:
            raise Refused(403, "this link is wrong, or was used before: each opens one session")
        return self._start(self._links.pop(known))

    def check(self, method: str, headers: Mapping[str, str], *, opening: bool = False) -> None:
        """What every request must be. opening: it may come from a link on another site. Raises Refused."""
        if headers.get("host", "") not in self.hosts:
            raise Refused(421, "this address is not served here")
        if headers.get("sec-fetch-dest") in FRAMED:
            raise Refused(403, "no page of this is shown in a frame")
        if not opening and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(403, "this was asked for by another page than this one's")
        if method not in ("GET", "HEAD", "POST"):
            raise Refused(405, "found a method that is not used here")
        if method == "POST":
            own = {f"{self.scheme}://{host}" for host in self.hosts}
            if headers.get("origin") not in own:
                raise Refused(403, "this was sent from another page than this one's")
            if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                raise Refused(415, "found another kind of content than a form's")

    def session(self, cookie: str | None, headers: Mapping[str, str]) -> tuple[str, Session]:
        """The session of a request and the value of its cookie. Raises Refused, 401 where none is open."""
        user = self._named(headers)
        now = self.clock()
        found = self._sessions.get(cookie or "")
        if found and (now - found.used > self.idle or now - found.started > self.longest):
            del self._sessions[cookie or ""]
            if self.proxy is None:
                raise Refused(401, "the session has expired")
            found = None
        if found is None or (user is not None and found.user != user):
            if user is None:
                raise Refused(401, "no session is open")
            cookie = self._start(user)
            found = self._sessions[cookie]
        found.used = now
        return cookie or "", found

    @staticmethod
    def check_form(session: Session, form: Mapping[str, str]) -> None:
        """That a form comes from a page of this very session. Raises Refused."""
        if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            raise Refused(403, "this form does not come from a page of this session")

    def _named(self, headers: Mapping[str, str]) -> str | None:
        if self.proxy is None:
            return None
        if not hmac.compare_digest(headers.get("x-mace-gov-secret", "").encode(), self.proxy.secret.encode()):
            raise Refused(403, "this did not come through the proxy")
        named = [value for name, value in headers.items() if name.lower() == self.proxy.user_header.lower()]
        user = named[0] if len(named) == 1 else ""  # of two, one may be the browser's own
        if not user or len(user) > 120 or not user.isprintable():
            raise Refused(401, f"the proxy named {len(named)} users, expected one")
        return user

    def _start(self, user: str) -> str:
        now = self.clock()
        self._sessions = {key: each for key, each in self._sessions.items()
                          if now - each.used <= self.idle and now - each.started <= self.longest}
        made = secrets.token_urlsafe(32)
        self._sessions[made] = Session(user, secrets.token_urlsafe(32), now, now)
        return made
