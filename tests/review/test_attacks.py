"""Somebody who means ill, or is only unlucky: what they send, and what becomes of it."""

from __future__ import annotations

import errno
import json
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from mace_gov.attest.keypair import load_key_pair
from mace_gov.attest.keys import pin, revoke
from mace_gov.documents.trust import Role
from mace_gov.review.desk import Reviewer, open_subject
from mace_gov.review.door import Refused
from mace_gov.review.serve import Place, Who
from mace_gov.workflow.release import recall
from mace_gov.workflow.reporting import report_again
from tests import factories
from tests.factories import SignedVersion
from tests.review.serving import ABSENT, PRESENT, TRIALS, Running, key_of, running, trial, version

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\"'"


@pytest.fixture
def pages(tmp_path: Path, signed: SignedVersion) -> Iterator[Running]:
    with running(tmp_path, signed) as made:
        made.come_in()
        yield made


def label(pages: Running, word: str = "absent") -> int:
    return pages.ask("/label", {**pages.fields("/queue", "/label"), "label": word}, Accept="application/json").status


def journal_of(signed: SignedVersion) -> Path:
    (found,) = (signed.registry / "reviews").rglob("*.jsonl")
    return found


def test_two_forms_at_once_are_both_answered(pages: Running, signed: SignedVersion) -> None:
    pages.ask("/report")
    forms = [{**pages.fields("/decide", "/sign"), "decision": "approve", "role": "safety", "reason": f"tab {n}"}
             for n in range(3)]
    answers: list[int] = []
    tabs = [threading.Thread(target=lambda form=form: answers.append(pages.ask("/sign", form).status))
            for form in forms]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join(timeout=60)
    assert answers == [200] * 3 and len(list((signed.folder / "sign-offs").iterdir())) == 3
    assert pages.ask("/").status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_port_s_page_can_ask_for_nothing(pages: Running, site: str) -> None:
    assert pages.ask("/report", Sec_Fetch_Site=site, Sec_Fetch_Dest="image").status == 403
    assert 'action="sign"' not in pages.ask("/decide").text, "the report was not seen"
    assert pages.ask(pages.link.removeprefix(pages.origin), Sec_Fetch_Site=site).status == 403, "used, but not refused"
    pages.web.new_link()
    assert pages.ask(pages.link.removeprefix(pages.origin), Sec_Fetch_Site=site).status == 200


def test_no_answer_leads_to_a_host_that_was_made_up(pages: Running) -> None:
    for path in ("/queue/", "/report/", "/registry/", "//evil.example/", "/"):
        for place in (path, pages.web.door.folder + path.lstrip("/")):
            answer = pages.ask(place, Host="evil.example")
            assert (answer.status, answer.headers.get("location")) == (421, None), place
    assert pages.ask("/queue/").status == 404


TRAVERSALS = [
    "/picture/../../keys/pipeline.pem", "/picture/..%2f..%2fkeys%2fpipeline.pem", "/picture/%2e%2e%2f%2e%2e",
    "/picture/pictures%2Fbase.png", "/picture/", "/picture/%00", "/registry/../../keys/pipeline.pem",
    "/registry/versions/../keys/report", "/registry/versions/..%2f../1/report", "/registry/..%2fkeys/nsfw/1/report",
    "/registry/audits/nsfw/1/report", "/registry/versions/nsfw/..%2f1/report", "/registry/versions/nsfw/%00/report",
    "/registry/versions/nsfw/1/report/..%2f..%2fkeys", "/registry/%2e%2e/1/" + "0" * 64,
    "/registry/nsfw/..%2f1/" + "0" * 64, "/registry/nsfw/1/..%2f..%2fkeys",
    "/registry/nsfw/1/pipeline.pem", "/compare?one=nsfw/1&two=..%2f..%2fkeys", "/compare?one=/etc/passwd&two=nsfw/1",
    "/compare?one=registry:nsfw/1&two=models:/nsfw@x", "/compare?one=nsfw/1&two=nsfw/99999999999999999999",
    "/compare?one=nsfw/1&two=%00", "/trial?item=../../keys/pipeline.pem", "/trial?item=", "/report?../keys",
    "/style.css/../keys/pipeline.pem", "/%2e%2e/keys/pipeline.pem",
]


def test_no_path_leads_out(pages: Running) -> None:
    pages.ask("/close", pages.fields("/queue", "/close"))
    for path in TRAVERSALS:
        answer = pages.ask(path)
        assert answer.status in (200, 303, 400, 404, 409), (path, answer.status)
        assert "PRIVATE KEY" not in answer.text and "root:" not in answer.text and "Traceback" not in answer.text
        assert answer.status != 200 or path.startswith("/report"), path


def test_forms_that_no_page_here_sends(pages: Running, signed: SignedVersion) -> None:
    own = pages.fields("/queue", "/comment")
    for form, status in (
        ({**own, "text": "x" * 2001}, 400), ({**own, "text": ""}, 400), ({**own, "text": "   "}, 400),
        ({**own, "text": "x" * 70_000}, 413), ({**own, "text": "y", "item": "../x"}, 404),
        ({"csrf": own["csrf"], "once": own["once"], "text": "about nothing"}, 400), ({}, 403),
        ({**own, **{f"n{n}": "" for n in range(30)}}, 400),
    ):
        fresh = {**form, **({"once": pages.fields("/queue", "/comment")["once"]} if "once" in form else {})}
        assert pages.ask("/comment", fresh).status == status, {name: text[:20] for name, text in form.items()}
    assert pages.ask("/label", {**pages.fields("/queue", "/label"), "label": "certain"}).status == 400
    assert pages.ask("/label", {**pages.fields("/queue", "/label"), "item": "x", "label": "absent"}).status == 404
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert pages.ask("/sign", {}, method=method).status == 405
    assert not list((signed.registry / "reviews").rglob("*.jsonl"))


def test_a_comment_is_as_long_as_its_writer_counts(pages: Running, signed: SignedVersion) -> None:
    text = "line\r\n" * 399 + "x" * 5  # a browser counts 2,000 letters and sends 2,399
    assert pages.ask("/comment", {**pages.fields("/decide", "/comment"), "text": text}).status == 303
    assert pages.ask("/decide").text.count("line\nline") > 0


def test_words_of_others_are_shown_and_never_run(tmp_path: Path) -> None:
    signed = version(tmp_path, [trial(HOSTILE, "base", PRESENT), trial(HOSTILE, "governed", ABSENT),
                                trial("a cat", "governed", PRESENT, "unrelated")])
    pin(signed.registry, key_of(tmp_path / "keys", "Hostile").public, role=Role.REVIEWER, name=f"Eve {HOSTILE}")
    with running(tmp_path, signed, reviewer="Hostile") as pages:
        pages.come_in()
        pages.ask("/comment", {**pages.fields("/decide", "/comment"), "text": HOSTILE})
        pages.ask("/comment", {**pages.fields("/queue", "/comment"), "text": HOSTILE})
        read = [pages.ask("/queue").text]
        for _ in range(3):
            label(pages, "present")
        pages.ask("/close", pages.fields("/queue", "/close"))
        pages.ask("/report")
        form = {**pages.fields("/decide", "/sign"), "decision": "reject", "role": HOSTILE, "reason": HOSTILE}
        signed_page = pages.ask("/sign", form)
        assert signed_page.status == 200
        item = re.findall(r'href="trial\?item=(\w+)"', pages.ask("/trials").text)[0]
        read += [signed_page.text, *(pages.ask(path).text for path in (
            "/", "/agreement", "/trials", f"/trial?item={item}", "/decide", "/registry", "/report",
            "/compare?one=nsfw/1&two=nsfw/1", "/trials?concept=%3Cscript%3Ealert(1)"))]
    assert sum("&lt;script&gt;alert(1)" in page for page in read) >= 7
    for page in read:
        assert "<script>alert(1)" not in page and "<img src=x" not in page


def test_more_rules_than_a_session_keeps_forms_can_all_be_commented_on(tmp_path: Path) -> None:
    findings = [factories.finding(rule=f"NSFW-{n:03}") for n in range(300)]
    signed = version(tmp_path, findings=findings)
    with running(tmp_path, signed) as pages:
        pages.come_in()
        assert pages.ask("/comment", {**pages.fields("/decide", "/comment"), "text": "the first rule"}).status == 303


def test_a_write_that_was_cut_off_spoils_nothing(pages: Running, tmp_path: Path, signed: SignedVersion) -> None:
    label(pages)
    path = journal_of(signed)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:200])
    assert label(pages) == 200, "half a line at the end never counted"
    subject = open_subject(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None)
    assert len(subject.open_journal(Reviewer("Ada", key_of(tmp_path / "keys", "Ada"))).entries) == 2
    assert path.read_bytes().startswith(whole) and path.read_bytes().count(b'{"payload"') == 2


def test_a_registry_that_cannot_be_written_is_named_and_can_be_read(pages: Running, signed: SignedVersion) -> None:
    (signed.registry / "reviews").write_text("a file where a folder should be")
    assert pages.ask("/queue").status == pages.ask("/decide").status == 200
    got = pages.ask("/label", {**pages.fields("/queue", "/label"), "label": "absent"}, Accept="application/json")
    assert got.status == 409 and "reviews" in json.loads(got.text)["problem"]
    answer = pages.ask("/comment", {**pages.fields("/decide", "/comment"), "text": "lost"})
    assert answer.status == 409 and "This was not done" in answer.text and "Traceback" not in answer.text


def test_a_full_disk_is_named_and_spoils_nothing(
    pages: Running, signed: SignedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    form = {**pages.fields("/queue", "/label"), "label": "absent"}
    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        got = pages.ask("/label", form, Accept="application/json")
    assert (got.status, json.loads(got.text)["problem"]) == (409, "the registry: No space left on device")
    assert label(pages) == 200 and journal_of(signed).read_bytes().count(b"\n") == 1


def test_a_page_that_breaks_says_so_in_words(pages: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mace_gov.review.registry_app.trends", lambda _: 1 / 0)
    answer = pages.ask("/registry")
    assert answer.status == 500 and "this page broke" in answer.text and "ZeroDivision" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_another_reviewer_s_spoilt_journal_keeps_nobody_from_deciding(tmp_path: Path, signed: SignedVersion) -> None:
    with running(tmp_path, signed, reviewer="Bob") as bob:
        bob.come_in()
        label(bob)
    path = journal_of(signed)
    path.write_bytes(path.read_bytes().replace(b"A", b"B", 1))
    with running(tmp_path, signed) as ada:
        ada.come_in()
        ada.ask("/report")
        page = ada.ask("/decide").text
        assert "what Bob did is left out" in page and 'action="sign"' in page
    with running(tmp_path, signed, reviewer="Bob") as bob:
        bob.come_in()
        answer = bob.ask("/decide")
        assert answer.status == 500 and "line 1" in answer.text, "whoever it is themselves has to mend it first"


def test_a_version_that_is_recalled_meanwhile_cannot_be_approved(
    pages: Running, signed: SignedVersion
) -> None:
    pages.ask("/report")
    form = {**pages.fields("/decide", "/sign"), "decision": "approve", "role": "safety", "reason": "looked"}
    recall("nsfw/1", registry=signed.registry, by="the owner", reason="it came back")
    assert "RECALLED" in pages.ask("/").text
    answer = pages.ask("/sign", form)
    assert answer.status == 409 and "it came back" in answer.text
    assert not (signed.folder / "sign-offs").exists()


def test_a_key_that_is_revoked_meanwhile_signs_nothing(pages: Running, signed: SignedVersion, tmp_path: Path) -> None:
    pages.ask("/report")
    form = {**pages.fields("/decide", "/sign"), "decision": "approve", "role": "safety", "reason": "looked"}
    ada = load_key_pair(tmp_path / "keys" / "Ada.pem").public.fingerprint
    revoke(signed.registry, ada, "laptop lost")
    answer = pages.ask("/sign", form)
    assert answer.status == 409 and "revoked" in answer.text
    assert not (signed.folder / "sign-offs").exists(), "a sign-off of a revoked key keeps everybody from verifying"


def test_the_report_of_a_recalled_version_can_still_be_looked_at(tmp_path: Path, signed: SignedVersion) -> None:
    recall("nsfw/1", registry=signed.registry, by="the owner", reason="it came back")
    report_again(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None)
    with running(tmp_path, signed, looking=True) as pages:
        pages.come_in()
        answer = pages.ask("/registry/versions/nsfw/1/report")
        assert answer.status == 200 and "RECALLED" in answer.text and "it came back" in answer.text


def test_hidden_pictures_are_not_to_be_had_past_the_review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "manifest", partial(factories.manifest, embedded=False))
    signed = version(tmp_path)
    with running(tmp_path, signed) as pages:
        pages.come_in()
        pages.ask("/close", pages.fields("/queue", "/close"))
        page = pages.ask("/compare?one=nsfw/1&two=nsfw/1").text
        assert "Hidden: a review reveals it" in page and "<img" not in page
        for digest in {one.image_digest for one in TRIALS}:
            assert pages.ask(f"/registry/nsfw/1/{digest}").status == 409


def test_a_report_that_its_author_changed_is_not_shown(pages: Running, tmp_path: Path) -> None:
    page = tmp_path / "reports" / "nsfw-v1" / "index.html"
    shutil.copy(page, tmp_path / "kept.html")
    page.write_text("<h1>PASS</h1>", "utf-8")
    assert pages.ask("/report").status == 500 and 'action="sign"' not in pages.ask("/decide").text
    shutil.copy(tmp_path / "kept.html", page)
    assert pages.ask("/report").status == 200


def test_the_proxy_names_one_user(tmp_path: Path, signed: SignedVersion) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef0123456789abcdef")
    place = Place(user_header="X-Forwarded-User", secret_file=tmp_path / "secret", public="review.example.org")
    with running(tmp_path, signed, place=place, who=Who(signing_keys=tmp_path / "keys")) as pages:
        secret = (b"x-mace-gov-secret", b"0123456789abcdef0123456789abcdef")
        with pytest.raises(Refused, match="named 2 users"):
            pages.web.door.session(None, Headers(raw=[secret, (b"x-forwarded-user", b"Ada"),
                                                      (b"x-forwarded-user", b"Bob")]))


def test_the_original_of_a_trial_is_revealed_alone_for_a_reason_and_hidden_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factories, "manifest", partial(factories.manifest, embedded=False))
    signed = version(tmp_path)
    with running(tmp_path, signed) as pages:
        pages.come_in()
        first = next(iter(open_subject(signed.folder, registry=signed.registry, reports=tmp_path / "reports",
                                       key=None).items.values()))
        assert pages.ask(f"/trial?item={first.id}").status == 303, "not before the labelling has ended"
        assert "once you have ended" in pages.ask("/trials").text
        pages.ask("/close", pages.fields("/queue", "/close"))
        listed = pages.ask("/trials").text
        assert listed.index("Violation") < listed.index("Lost") < listed.index("As it should be")
        assert pages.ask("/trials?says=violation").text.count("<figure") == 1
        page = pages.ask(f"/trial?item={first.id}").text
        base, governed = re.findall(r'action="reveal".*?name="item" value="(\w+)"', page, re.DOTALL)
        form = {**pages.fields(f"/trial?item={base}", "/reveal"), "reason": "the rule is open"}
        assert pages.ask("/reveal", form).headers["location"] == f"trial?item={base}"
        assert pages.ask(f"/trial?item={base}").text.count(f'src="picture/{base}"') == 1
        assert (pages.ask(f"/picture/{base}").status, pages.ask(f"/picture/{governed}").status) == (200, 403)
        pages.ask("/trials")
        assert pages.ask(f"/picture/{base}").status == 403
        entries = open_subject(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None
                               ).open_journal(Reviewer("Ada", key_of(tmp_path / "keys", "Ada"))).entries
        assert [(one.act.value, one.text) for one in entries] == [("close", None), ("reveal", "the rule is open")]
