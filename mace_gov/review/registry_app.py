"""The pages of a registry: versions with their standing, trends, and two versions beside each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mace_gov.attest.verify import verify
from mace_gov.core.digest import sha256_bytes, sha256_file
from mace_gov.core.errors import IntegrityError, UsageError
from mace_gov.core.files import read_file
from mace_gov.documents.registry import SHELVES
from mace_gov.policy.diff import diff, headline
from mace_gov.record.versions import find, list_versions
from mace_gov.report.difference import differences
from mace_gov.report.render import PAGE
from mace_gov.review.registry_view import Row, Shown, beside, report_of, trends, versions
from mace_gov.review.web import Call, Web, signed_page
from mace_gov.workflow.checking import pinned_keys
from mace_gov.workflow.release_check import check_entry

ON_A_PAGE = 60
"""Pairs of pictures."""


@dataclass
class RegistryApp:
    """A registry to look at; nothing here writes."""

    registry: Path
    """Its folder."""
    reports: Path
    """Where reports lie."""
    key: Path | None
    """Keys that were pinned from outside; None: the registry's own."""
    home: bool = False
    """Whether it is all that is served."""
    blind: Callable[[Call], bool] = lambda call: False
    """Whether whoever asks must not know yet what the detectors say."""

    def serve(self, web: Web) -> None:
        """Add every page."""
        if self.home:
            async def first(call: Call) -> Response:
                return RedirectResponse("registry", 303)

            web.add("/", first)

        async def listed(call: Call) -> HTMLResponse:
            rows = await run_in_threadpool(versions, self.registry, self.reports, self.key)
            return web.page(call, "registry.html.j2", rows=rows, trends=trends([row.entry for row in rows]))

        async def compared(call: Call) -> HTMLResponse:
            asked = call.request.query_params
            return await run_in_threadpool(self._compared, web, call, asked.get("one", ""), asked.get("two", ""),
                                           asked.get("page", "1"), self.blind(call))

        async def picture(call: Call) -> Response:
            path = call.request.path_params
            data, kind = await run_in_threadpool(self._picture, path["name"], path["number"], path["digest"])
            return Response(data, media_type=kind)

        async def report(call: Call) -> Response:
            path = call.request.path_params
            return signed_page(await run_in_threadpool(self._report, path["shelf"], path["name"], path["number"]))

        web.add("/registry", listed)
        web.add("/registry/{shelf}/{name}/{number}/report", report)
        web.add("/compare", compared)
        web.add("/registry/{name}/{number}/{digest}", picture)

    def _compared(self, web: Web, call: Call, one: str, two: str, page: str, blind: bool) -> HTMLResponse:
        """Two versions: what differs in words, then picture by picture, what changed first."""
        entries = list_versions(self.registry)
        known = [entry.reference for entry in entries]
        following = [pair for pair in pairwise(entries) if pair[0].name == pair[1].name] or [*pairwise(entries)]
        newest = [each.reference for each in max(following, key=lambda pair: pair[1].created, default=())] or ["", ""]
        chosen = (one or newest[0], two or newest[1])
        if blind or not (one and two):
            return web.page(call, "compare.html.j2", known=known, chosen=chosen, one="", two="", blind=blind)
        before, after = Shown.of(find(self.registry, one)), Shown.of(find(self.registry, two))
        trust = pinned_keys(self.key, self.registry)
        stand = [Row(each.entry, check_entry(each.entry, self.registry, trust)) for each in (before, after)]
        changes = differences(before.evidence, after.evidence, before.entry.verdict(), after.entry.verdict())
        pairs = beside(before, after)
        last = max(1, -(-len(pairs) // ON_A_PAGE))
        number = min(max(1, int(page[:6])), last) if page.isdecimal() else 1
        return web.page(call, "compare.html.j2", known=known, chosen=chosen, one=one, two=two, blind=False,
                        changes=changes, of=len(pairs), stand=stand, asks=diff(before.policy, after.policy),
                        summary=headline, pairs=pairs[(number - 1) * ON_A_PAGE:number * ON_A_PAGE], page=number,
                        last=last)

    def _report(self, shelf: str, name: str, number: str) -> bytes:
        """The page of a report, verified with all that it stands for. That of a recalled version says that it is."""
        known = next((each for each in SHELVES if each == shelf), None)
        entry = find(self.registry, f"{name}/{number}", shelf=known) if known else None
        if entry is None or (place := report_of(entry, self.reports)) is None:
            raise UsageError(f"{name}/{number} has no report in {self.reports}",
                             hint=f"Write it: `mace-gov report {name}/{number}`, where the pipeline's key is.")
        data = read_file(place / PAGE)
        verify(place, key=pinned_keys(self.key, self.registry), registry=self.registry, need_verdict=True)
        if sha256_file(place / PAGE) != sha256_bytes(data):
            raise IntegrityError(f"{place / PAGE}: was written anew while it was read", hint="Open it again.")
        return data

    def _picture(self, name: str, number: str, digest: str) -> tuple[bytes, str]:
        shown = Shown.of(find(self.registry, f"{name}/{number}"))
        found = shown.picture(digest)
        if found is None:
            raise UsageError(f"{name}/{number} has no picture {digest[:12]} that is shown here")
        return found
