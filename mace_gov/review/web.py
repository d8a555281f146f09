"""The plumbing between requests and pages: every request passes the door, every answer carries its headers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import ChoiceLoader, Environment, PackageLoader
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mace_gov.core.errors import IntegrityError, MaceGovError
from mace_gov.report.html import content_security_policy, script, style_sheet
from mace_gov.report.html import environment as report_environment
from mace_gov.review.door import HEADERS, Door, Refused, Session

LONGEST_BODY = 64 << 10
"""Bytes of a form; the longest comment has two thousand letters."""

_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """One request that was let in."""

    request: Request
    """The request."""
    session: Session
    """Its session."""
    form: dict[str, str]
    """Fields of a form that was sent; empty for a page that was asked for."""

    @property
    def wants_json(self) -> bool:
        """Whether the page's own script asks."""
        return self.request.headers.get("accept", "") == "application/json"

    def once(self) -> None:
        """Use up the form. Raises Refused for one that was sent before."""
        self.session.take_form(self.form.get("once", ""))


Handler = Callable[[Call], Awaitable[Response]]


def signed_page(data: bytes) -> HTMLResponse:
    """A report's own page, byte by byte.

    The author of the report is who must not decide: its page may run no script but ours, from nowhere. In a sandbox it
    has an origin of its own, from which neither these pages can be read nor forms sent.
    """
    css = found[1].decode() if (found := _STYLE.search(data)) else ""
    policy = f"{content_security_policy(css, script())}; frame-ancestors 'none'; sandbox allow-scripts"
    return HTMLResponse(data, headers={"content-security-policy": policy})


@cache
def environment() -> Environment:
    """The report's templates, filters and plots, with the pages of this package beside them."""
    return report_environment().overlay(
        loader=ChoiceLoader([PackageLoader("mace_gov.review"), PackageLoader("mace_gov.report")]))


def static(name: str) -> str:
    """A file of this package that pages load."""
    return resources.files("mace_gov.review").joinpath(f"static/{name}").read_text(encoding="utf-8")


@dataclass
class Web:
    """Pages behind a door. ``pages`` are the links on top of each, as (address, name)."""

    door: Door
    """Who may come in."""
    user: str | None
    """Whom a new link is for when the last was used up; None behind a proxy."""
    say: Callable[[str], None]
    """Prints a line where the command was started."""
    address: str
    """Of this server, as a browser types it."""
    title: str
    """What all pages are about."""
    pages: Sequence[tuple[str, str]] = ()
    """Links on top of every page."""
    routes: list[Route] = field(default_factory=list)
    """What is served."""

    def add(self, path: str, handler: Handler, method: str = "GET") -> None:
        """Serve ``path`` to open sessions. All pages lie in one folder, and link to one another without a slash."""

        async def endpoint(request: Request) -> Response:
            return await self._guarded(request, handler)

        self.routes.append(Route(self.door.folder + path.removeprefix("/"), endpoint, methods=[method]))

    def app(self) -> ASGIApp:
        """The application: the routes, what browsers need before a session is open, and headers on everything."""
        files = {"/favicon.ico": ("image/svg+xml", static("icon.svg")),
                 "/style.css": ("text/css", style_sheet() + static("review.css")),
                 "/review.js": ("text/javascript", static("review.js"))}

        async def file(request: Request) -> Response:
            kind, text = files[request.url.path]
            return self._refused(request) or Response(text, media_type=kind)

        fixed = [*(Route(path, file) for path in files), Route(f"{self.door.folder}open", self._open, methods=["GET"])]
        made = Starlette(routes=[*fixed, *self.routes], exception_handlers={
            404: self._missing, 405: self._missing, 500: self._broke})
        made.router.redirect_slashes = False  # it would answer before the door does, to whatever host was named
        return _with_headers(made)

    def new_link(self) -> None:
        """Print a link that opens a session."""
        if self.user is not None:
            self.say(f"{self.address}{self.door.folder}open?token={self.door.new_link(self.user)}")

    def page(self, call: Call, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page of an open session."""
        here = call.request.url.path.removeprefix(self.door.folder) or "./"
        return self._html(template, status, session=call.session, here=here, once=call.session.new_form(), **context)

    def message(self, call: Call, title: str, text: str, status: int = 200) -> HTMLResponse:
        """A page that says one thing."""
        return self.page(call, "message.html.j2", status=status, heading=title, text=text)

    def _undone(self, call: Call, text: str, status: int) -> HTMLResponse:
        return self.page(call, "message.html.j2", status=status, heading="This was not done", text=text)

    def _html(self, template: str, status: int, **context: Any) -> HTMLResponse:
        made = environment().get_template(f"review/{template}")
        return HTMLResponse(made.render(title=self.title, pages=self.pages, **context), status)

    async def _guarded(self, request: Request, handler: Handler) -> Response:
        try:
            self.door.check(request.method, request.headers)
            cookie, session = self.door.session(request.cookies.get(self.door.cookie), request.headers)
            form = await _form(request) if request.method == "POST" else {}
            if request.method == "POST":
                self.door.check_form(session, form)
            call = Call(request, session, form)
            try:
                answer = await handler(call)
            except ValidationError as error:
                first = error.errors()[0]
                raise Refused(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
            except MaceGovError as error:
                if call.wants_json:
                    return JSONResponse({"problem": error.message}, 409)
                status = 500 if isinstance(error, IntegrityError) else 409
                answer = self._undone(call, f"{error.message}\n{error.hint}", status)
            except OSError as error:  # a full disk, a registry that may not be written
                problem = f"{error.filename or 'the registry'}: {error.strerror or error}"
                if call.wants_json:
                    return JSONResponse({"problem": problem}, 409)
                answer = self._undone(call, problem, 409)
        except Refused as refused:
            return self._no(refused, request)
        if request.cookies.get(self.door.cookie) != cookie:
            self._keep(answer, cookie)
        return answer

    async def _open(self, request: Request) -> Response:
        try:
            self.door.check(request.method, request.headers, opening=True)
            cookie = self.door.open(request.query_params.get("token", ""))
        except Refused as refused:
            return self._no(refused, request)
        # A page that goes on by itself: on a redirect, a browser that came from another site's link leaves out the
        # cookie that it was just given.
        answer = self._html("open.html.j2", 200, session=None, here="")
        self._keep(answer, cookie)
        return answer

    def _keep(self, answer: Response, cookie: str) -> None:
        # Cookies know no ports: without the path, whatever else listens on this machine would be sent it, too.
        answer.set_cookie(self.door.cookie, cookie, path=self.door.folder, httponly=True, samesite="strict",
                          secure=self.door.scheme == "https")

    def _refused(self, request: Request) -> Response | None:
        try:
            self.door.check(request.method, request.headers)
        except Refused as refused:
            return self._no(refused, request)
        return None

    def _no(self, refused: Refused, request: Request) -> Response:
        if refused.status == 401 and self.user is not None and not self.door.has_link():
            self.new_link()
        if request.headers.get("accept", "") == "application/json":
            return JSONResponse({"problem": refused.reason}, refused.status)
        hint = "A link that opens a new session stands where the command was started." if self.user else ""
        return self._html("message.html.j2", refused.status, session=None, here="", heading="Refused",
                          text=f"{refused.reason}\n{hint}")

    async def _missing(self, request: Request, _: Exception) -> Response:
        return self._refused(request) or self._no(Refused(404, "there is no such page"), request)

    async def _broke(self, request: Request, _: Exception) -> Response:
        return self._no(Refused(500, "this page broke: how stands where the command was started"), request)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, each once. Raises Refused for more than anyone would type."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LONGEST_BODY:
            raise Refused(413, "found more than a form holds")
    try:
        fields = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
        # Browsers send a line's end as two letters, and count one.
        return {name: text.replace("\r\n", "\n") for name, text in fields}
    except ValueError as error:  # too many fields, or no text
        raise Refused(400, "this is no form") from error


def _with_headers(app: ASGIApp) -> ASGIApp:
    """``app`` with the door's headers on every answer that does not say otherwise itself."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, sending)

    return wrapped
