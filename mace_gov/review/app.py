"""The pages of a review: overview, the report, the queue, agreement, the decision."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from mace_gov.attest.sign_off import ReviewerDecision
from mace_gov.core.clock import wall_clock
from mace_gov.core.digest import sha256_bytes, sha256_file
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.core.files import read_file
from mace_gov.documents.registry import REPORT_NAME
from mace_gov.documents.review import Act, Label
from mace_gov.documents.sign_off import Decision
from mace_gov.report.render import PAGE
from mace_gov.review.agreement_page import agreement_context, keep_calibrations
from mace_gov.review.breaks import Breaks
from mace_gov.review.desk import Desk, Item, Reviewer, Subject, standing_now
from mace_gov.review.door import Refused
from mace_gov.review.journal import comments
from mace_gov.review.trials import trial_context, trials_context
from mace_gov.review.web import Call, Handler, Web, signed_page
from mace_gov.workflow.signing_off import sign_off_with


@dataclass
class ReviewApp:
    """The review of one subject by one or more reviewers, each with a desk."""

    subject: Subject
    """What is reviewed."""
    reviewers: Mapping[str, Reviewer]
    """Who may come, by the name that the door knows."""
    breaks: Breaks = Breaks()
    """How many hidden pictures may be revealed in a row."""
    desks: dict[str, Desk] = field(default_factory=dict)
    """Desks that are open."""

    def serve(self, web: Web) -> None:
        """Add every page."""
        for path, handler in (("/", self.overview), ("/report", self.report), ("/queue", self.queue),
                              ("/picture/{item}", self.picture), ("/agreement", self.agreement),
                              ("/trials", self.trials), ("/trial", self.trial), ("/decide", self.decide)):
            web.add(path, self._at(web, handler))
        for path, posted in (("/label", self.label), ("/reveal", self.reveal), ("/comment", self.comment),
                             ("/close", self.close), ("/calibrate", self.calibrate), ("/sign", self.sign)):
            web.add(path, self._at(web, posted), "POST")

    def _at(self, web: Web, handler: Callable[[Web, Call, Desk], Awaitable[Response]]) -> Handler:
        async def called(call: Call) -> Response:
            return await handler(web, call, self._desk(call))

        return called

    def blind(self, call: Call) -> bool:
        """Whether a reviewer has not ended the labelling."""
        return not self._desk(call).journal.closed

    def _desk(self, call: Call) -> Desk:
        user = call.session.user
        if user not in self.reviewers:
            raise Refused(403, f"no reviewer's key is known for {user}")
        if user not in self.desks:
            self.desks[user] = Desk.of(self.subject, self.reviewers[user])
        return self.desks[user]

    async def overview(self, web: Web, call: Call, desk: Desk) -> HTMLResponse:
        """How the version stands, and how far this reviewer is."""
        check, said = await run_in_threadpool(standing_now, self.subject)
        return web.page(call, "overview.html.j2", desk=desk, subject=self.subject, check=check, sign_offs=said,
                        verdict=self.subject.verified.verdict)

    async def report(self, web: Web, call: Call, desk: Desk) -> Response:
        """The page that was signed, byte by byte; from now on this session has seen it."""
        page = self.subject.report / PAGE
        data = await run_in_threadpool(read_file, page)
        if sha256_file(self.subject.report / REPORT_NAME) != self.subject.report_digest or (
                sha256_bytes(data) != self.subject.page_digest):
            raise IntegrityError(f"{page}: was written anew since this review began",
                                 hint="Start `mace-gov review` again to look at the new one.")
        call.session.seen = self.subject.report_digest
        return signed_page(data)

    async def queue(self, web: Web, call: Call, desk: Desk) -> Response:
        """The next picture, or the one that was labelled last."""
        if desk.journal.closed:
            return RedirectResponse("agreement", 303)
        item = (desk.last_item() if "back" in call.request.query_params else None) or self._next(desk)
        if item is None or item.id != call.session.revealed:
            call.session.revealed = None
        return web.page(call, "queue.html.j2", desk=desk, **self._shown(call, desk, item))

    def _next(self, desk: Desk) -> Item | None:
        resting = self.breaks.until(desk.journal.entries, wall_clock()) is not None
        return (desk.next_item(clear=True) if resting else None) or desk.next_item()

    def _shown(self, call: Call, desk: Desk, item: Item | None) -> dict[str, Any]:
        """What the queue's page shows of a picture: never what the detectors said, nor which model drew it."""
        return {
            "item": item.id if item else None, "question": item.question if item else "",
            "hidden": bool(item and item.hidden and call.session.revealed != item.id),
            "revealed": bool(item and item.hidden and call.session.revealed == item.id),
            "done": len(desk.labels), "of": len(desk.order),
            "label": desk.labels[item.id].value if item and item.id in desk.labels else None,
            "rest": self._rest(desk),
            "left": self.breaks.left(desk.journal.entries, wall_clock()),
        }

    def _rest(self, desk: Desk) -> str | None:
        """Until when the reviewer rests, in words."""
        until = self.breaks.until(desk.journal.entries, wall_clock())
        return until.strftime("%H:%M UTC") if until else None

    async def picture(self, web: Web, call: Call, desk: Desk) -> Response:
        """One picture's file; a hidden one only while it is revealed."""
        item = self._item(call.request.path_params["item"])
        if item.hidden and call.session.revealed != item.id:
            raise Refused(403, "this picture is hidden until it is revealed")
        data, kind = await run_in_threadpool(self.subject.picture, item)
        return Response(data, media_type=kind)

    def _item(self, name: str) -> Item:
        if name not in self.subject.items:
            raise Refused(404, "there is no such picture")
        return self.subject.items[name]

    async def label(self, web: Web, call: Call, desk: Desk) -> Response:
        """Take a label; the next picture follows."""
        item = self._item(call.form.get("item", ""))
        label = Label(call.form["label"]) if call.form.get("label") in set(Label) else None
        if label is None:
            raise Refused(400, f"found no label, expected one of {', '.join(Label)}")
        if item.hidden and call.session.revealed != item.id and label is not Label.UNSURE:
            raise UsageError("the picture is hidden: reveal it, or say that you are unsure")
        desk.label(item, label)
        call.session.revealed = None
        if call.wants_json:
            following = self._next(desk)
            ahead = desk.next_item(clear=True, but=following)
            return JSONResponse({**self._shown(call, desk, following), "ahead": ahead.id if ahead else None})
        return RedirectResponse("queue", 303)

    async def reveal(self, web: Web, call: Call, desk: Desk) -> Response:
        """Show one hidden picture, for a reason that is signed; none during a break."""
        call.once()
        item = self._item(call.form.get("item", ""))
        if until := self.breaks.until(desk.journal.entries, wall_clock()):
            raise UsageError(f"{self.breaks.most} hidden pictures in a row are enough: the next one can be shown at "
                             f"{until:%H:%M} UTC", hint="Take the break. Pictures that are not hidden go on meanwhile.")
        desk.journal.add(desk.reviewer.pair, Act.REVEAL, picture=item.ref, text=call.form.get("reason", ""))
        call.session.revealed = item.id
        if desk.journal.closed:
            return RedirectResponse(f"trial?item={item.id}", 303)
        return RedirectResponse(f"queue{'?back' if item.id in desk.labels else ''}", 303)

    async def comment(self, web: Web, call: Call, desk: Desk) -> Response:
        """Take a comment on a picture or on a rule."""
        call.once()
        rule, name = call.form.get("rule"), call.form.get("item")
        if (rule is None) is (name is None):
            raise Refused(400, "found a comment on no rule and no picture, or on both")
        if rule is not None and rule not in {finding.rule for finding in self._findings()}:
            raise Refused(404, "there is no such rule")
        picture = self._item(name).ref if name is not None else None
        desk.journal.add(desk.reviewer.pair, Act.COMMENT, picture=picture, rule=rule, text=call.form.get("text", ""))
        after = f"trial?item={name}" if desk.journal.closed else "queue"
        return RedirectResponse("decide" if rule else after, 303)

    async def close(self, web: Web, call: Call, desk: Desk) -> Response:
        """End the labelling; from now on the detectors' answers are shown."""
        call.once()
        if not desk.journal.closed:
            desk.journal.add(desk.reviewer.pair, Act.CLOSE)
        return RedirectResponse("agreement", 303)

    async def agreement(self, web: Web, call: Call, desk: Desk) -> HTMLResponse:
        """People against detectors, once this reviewer has ended."""
        context = agreement_context(desk) if desk.journal.closed else {}
        return web.page(call, "agreement.html.j2", desk=desk, closed=desk.journal.closed, **context)

    async def trials(self, web: Web, call: Call, desk: Desk) -> HTMLResponse:
        """Every trial with what the detectors said, once this reviewer has ended."""
        call.session.revealed = None
        context = trials_context(desk, call.request.query_params) if desk.journal.closed else {}
        return web.page(call, "trials.html.j2", closed=desk.journal.closed, **context)

    async def trial(self, web: Web, call: Call, desk: Desk) -> Response:
        """One trial: both pictures, a hidden one only while it is revealed, and all that is known of them."""
        item = self._item(call.request.query_params.get("item", ""))
        if not desk.journal.closed:
            return RedirectResponse("trials", 303)
        context = trial_context(desk, item)
        if call.session.revealed not in {one.id for one in context["sides"]}:
            call.session.revealed = None
        return web.page(call, "trial.html.j2", desk=desk, rest=self._rest(desk), revealed=call.session.revealed,
                        left=self.breaks.left(desk.journal.entries, wall_clock()), **context)

    async def calibrate(self, web: Web, call: Call, desk: Desk) -> HTMLResponse:
        """Keep what people measured as the detectors' errors, for the audits of this registry."""
        call.once()
        if not desk.journal.closed:
            raise UsageError("the labelling has not ended yet")
        kept = await run_in_threadpool(keep_calibrations, desk)
        return web.message(call, "Kept", "\n".join(f"{path}" for path in kept))

    async def decide(self, web: Web, call: Call, desk: Desk) -> HTMLResponse:
        """The form of the decision, with everything that was said so far."""
        check, said = await run_in_threadpool(standing_now, self.subject)
        others, spoilt = self.subject.others(desk.reviewer.keyid)
        return web.page(
            call, "decide.html.j2", desk=desk, subject=self.subject, check=check, sign_offs=said,
            verdict=self.subject.verified.verdict, findings=self._findings(),
            comments=comments([desk.journal, *others]), spoilt=spoilt,
            seen=call.session.seen == self.subject.report_digest,
        )

    async def sign(self, web: Web, call: Call, desk: Desk) -> HTMLResponse:
        """Sign the decision over the report that this session saw."""
        call.once()
        if call.session.seen != self.subject.report_digest:
            raise UsageError("the report was not opened in this session: look at it, then decide")
        if call.form.get("decision") not in set(Decision):
            raise Refused(400, f"found no decision, expected one of {', '.join(Decision)}")
        decision = Decision(call.form["decision"])

        def signed() -> Path:
            with desk.signing:  # not around an await: two forms at once would wait for each other for ever
                made = ReviewerDecision(decision, desk.reviewer.name, call.form.get("role", ""),
                                        call.form.get("reason", ""), desk.journal.head)
                return sign_off_with(desk.reviewer.pair, self.subject.report, made, key=self.subject.key,
                                     registry=self.subject.registry, seen=self.subject.report_digest)[0]

        written = await run_in_threadpool(signed)
        check, said = await run_in_threadpool(standing_now, self.subject)
        return web.page(call, "signed.html.j2", decision=decision, written=written, check=check, sign_offs=said,
                        subject=self.subject, verdict=self.subject.verified.verdict)

    def _findings(self) -> Any:
        verdict = self.subject.verified.verdict
        return verdict.findings if verdict else []
