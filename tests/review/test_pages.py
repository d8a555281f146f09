"""What the pages take and refuse, request by request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from html import unescape
from pathlib import Path

import pytest

from mace_gov.attest.keypair import generate_key, load_key_pair
from mace_gov.attest.keys import ensure_key_pair, pin, registry_trust
from mace_gov.attest.verify import verify
from mace_gov.core.errors import UsageError
from mace_gov.documents.detector import Calibration
from mace_gov.documents.terms import Kind, Suite
from mace_gov.documents.trust import Role
from mace_gov.report.render import PAGE
from mace_gov.review.breaks import Breaks
from mace_gov.review.desk import Desk, Reviewer, open_subject, question_of, reviewer_of
from mace_gov.review.serve import Place, Who
from tests import factories
from tests.factories import SignedVersion
from tests.review.serving import TRIALS, Running, key_of, running, version


@pytest.fixture
def pages(tmp_path: Path, signed: SignedVersion) -> Iterator[Running]:
    with running(tmp_path, signed) as made:
        made.come_in()
        yield made


def decide(pages: Running, decision: str = "approve", **words: str) -> tuple[int, str]:
    pages.ask("/report")
    said = {"decision": decision, "role": "safety", "reason": "looked at every picture", **words}
    answer = pages.ask("/sign", {**pages.fields("/decide", "/sign"), **said})
    return answer.status, answer.text


def test_a_link_opens_one_session(pages: Running) -> None:
    used, wrong = pages.link.removeprefix(pages.origin), "/open?token=wrong"
    assert [pages.ask(path).status for path in ("/", used, wrong)] == [200, 403, 403]
    pages.cookie = ""
    assert [pages.ask(path).status for path in ("/", "/queue", "/report", "/decide", "/registry")] == [401] * 5
    assert len(pages.said) == 2, "one new link is printed where the command was started, and not one more each time"
    pages.come_in()
    assert pages.ask("/").status == 200


def test_a_session_ends(pages: Running) -> None:
    now = [0.0]
    pages.web.door.clock = lambda: now[0]
    pages.web.new_link()
    pages.come_in()
    now[0] = pages.web.door.idle - 1
    assert pages.ask("/").status == 200
    now[0] += pages.web.door.idle + 1
    answer = pages.ask("/")
    assert (answer.status, "expired" in answer.text) == (401, True)


@pytest.mark.parametrize(("headers", "status"), [
    ({"Host": "evil.example"}, 421), ({"Host": ""}, 400), ({"Sec_Fetch_Dest": "iframe"}, 403), ({}, 200),
])
def test_no_page_is_served_to_other_hosts_or_into_frames(pages: Running, headers: dict[str, str], status: int) -> None:
    for path in ("/", "/report", "/style.css"):
        assert pages.ask(path, **headers).status == status


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec_Fetch_Site": "cross-site"},
    {"Content_Type": "text/plain"}, {"Host": "evil.example"},
])
def test_forms_from_elsewhere_are_refused(pages: Running, signed: SignedVersion, headers: dict[str, str]) -> None:
    pages.ask("/report")
    form = {**pages.fields("/decide", "/sign"), "decision": "approve", "role": "safety", "reason": "forged"}
    assert pages.ask("/sign", form, **headers).status in (403, 415, 421)
    assert pages.ask("/sign", {**form, "csrf": "guessed"}).status == 403
    assert not (signed.folder / "sign-offs").exists()
    assert pages.ask("/sign", form).status == 200


def test_a_form_that_was_sent_is_refused_the_second_time(pages: Running, signed: SignedVersion) -> None:
    pages.ask("/report")
    form = {**pages.fields("/decide", "/sign"), "decision": "approve", "role": "safety", "reason": "once"}
    assert [pages.ask("/sign", form).status for _ in range(2)] == [200, 409]
    assert len(list((signed.folder / "sign-offs").iterdir())) == 1


def test_every_answer_forbids_frames_foreign_scripts_and_caches(pages: Running) -> None:
    for path in ("/", "/report", "/nowhere", "/open?token=wrong", "/style.css"):
        headers = pages.ask(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert (headers["x-frame-options"], headers["cache-control"]) == ("DENY", "no-store")
    assert pages.ask("/nowhere").status == 404


def test_the_report_is_the_page_that_was_signed(pages: Running, tmp_path: Path) -> None:
    page = tmp_path / "reports" / "nsfw-v1" / "index.html"
    assert pages.ask("/report").text == page.read_text("utf-8")
    page.write_text(page.read_text("utf-8").replace("PASS", "FINE"), "utf-8")
    assert "was written anew" in pages.ask("/report").text


def test_a_decision_names_the_report_that_was_seen_and_verifies(pages: Running, signed: SignedVersion) -> None:
    answer = pages.ask("/sign", {"csrf": "", "once": ""})
    assert answer.status == 403
    assert 'action="sign"' not in pages.ask("/decide").text, "no form before the report was opened"
    status, text = decide(pages)
    assert status == 200 and "Signed: approve" in text
    (said,) = verify(signed.folder, key=registry_trust(signed.registry), registry=signed.registry).sign_offs
    assert (said.reviewer, said.role, said.decision) == ("Ada", "safety", "approve")
    assert said.report_digest and said.review_digest is None


def test_a_second_decision_is_added_and_holds_the_release_back(pages: Running, signed: SignedVersion) -> None:
    decide(pages)
    status, text = decide(pages, "conditional", reason="once the synonyms are mended")
    assert status == 200 and "set a condition for it: once the synonyms are mended" in text
    found = verify(signed.folder, key=registry_trust(signed.registry), registry=signed.registry).sign_offs
    assert [(one.decision, one.number) for one in found] == [("approve", 1), ("conditional", 2)]
    assert "may be released" in decide(pages)[1]


def test_a_decision_without_words_or_of_no_known_kind_is_refused(pages: Running, signed: SignedVersion) -> None:
    assert decide(pages, role="")[0] in (400, 409)
    assert decide(pages, "maybe")[0] == 400
    assert decide(pages, reason="x" * 2001)[0] == 409
    assert not (signed.folder / "sign-offs").exists()


def test_a_report_that_was_written_anew_is_not_decided_on(
    pages: Running, signed: SignedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mace_gov.workflow.reporting import report_again

    pages.ask("/report")
    form = {**pages.fields("/decide", "/sign"), "decision": "approve", "role": "safety", "reason": "stale"}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    report_again(signed.folder, registry=signed.registry, reports=signed.registry.parent / "reports", key=None)
    answer = pages.ask("/sign", form)
    assert answer.status == 409 and "written anew" in answer.text


def test_two_reviewers_close_what_a_critical_rule_left_open(tmp_path: Path) -> None:
    finding = factories.finding(outcome="REVIEW", reasons=["too few samples"])
    signed = version(tmp_path, outcome="REVIEW", findings=[finding])
    with running(tmp_path, signed) as ada:
        ada.come_in()
        assert "approving sign-offs needed 2, found 1" in decide(ada)[1]
        assert "approving sign-offs needed 2, found 1" in decide(ada)[1], "one person twice is one reviewer"
    with running(tmp_path, signed, reviewer="Bob") as bob:
        bob.come_in()
        assert "APPROVED, verdict REVIEW" in decide(bob)[1]


def test_an_encrypted_key_signs_and_its_passphrase_goes_nowhere(
    tmp_path: Path, signed: SignedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_key(tmp_path / "keys" / "Carla.pem", passphrase=b"open sesame")
    monkeypatch.setenv("MACE_GOV_PASSPHRASE", "open sesame")
    pin(signed.registry, load_key_pair(tmp_path / "keys" / "Carla.pem").public, role=Role.REVIEWER, name="Carla")
    with running(tmp_path, signed, reviewer="Carla") as carla:
        carla.come_in()
        status, text = decide(carla)
        assert status == 200 and "sesame" not in text + "".join(carla.said) + repr(carla.web.door)
    (said,) = verify(signed.folder, key=registry_trust(signed.registry), registry=signed.registry).sign_offs
    assert said.reviewer == "Carla"


def test_the_author_the_owner_and_strangers_cannot_review(tmp_path: Path, signed: SignedVersion) -> None:
    subject = open_subject(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None)
    with pytest.raises(UsageError, match="a reviewer is not the author"):
        reviewer_of(ensure_key_pair(signed.registry), subject)
    with pytest.raises(UsageError, match="not pinned as a reviewer's key"):
        reviewer_of(key_of(tmp_path / "keys", "Eve"), subject)
    owner = key_of(tmp_path / "keys", "owner")
    pin(signed.registry, owner.public, role=Role.REVIEWER, name="Trust and Safety")
    with pytest.raises(UsageError, match="owns the policy"):
        reviewer_of(owner, subject)


def label_all(pages: Running, answers: dict[str, str] | None = None) -> list[str]:
    """Label every picture; the questions in the order in which they came."""
    asked = []
    for _ in TRIALS:
        page = pages.ask("/queue").text
        phrase = re.findall(r'id="phrase">“(.*?)”<', page)[0]
        asked.append(phrase)
        label = (answers or {}).get(phrase, "present")
        got = pages.ask("/label", {**pages.fields("/queue", "/label"), "label": label}, Accept="application/json")
        assert got.status == 200, got.text
    return asked


def test_the_queue_tells_nothing_of_detectors_models_or_prompts(pages: Running) -> None:
    for _ in TRIALS:
        page = pages.ask("/queue").text
        words = re.sub(r"Neither the detectors’ answer nor the model that drew it is shown", "", page)
        assert not re.search(r"0\.9|0\.1|governed|base model|pictures/|a picture of|detected", words)
        got = pages.ask("/label", {**pages.fields("/queue", "/label"), "label": "absent"}, Accept="application/json")
        assert set(json.loads(got.text)) == {"item", "question", "hidden", "revealed", "done", "of", "label", "rest",
                                             "left", "ahead"}


@pytest.mark.parametrize(("kind", "suite", "words"), [
    ("object", "near", "“fluent”"), ("style", "direct", "anything in the style of “fluent”"),
    ("style", "near", "“fluent”, as a thing or as a style"),
])
def test_a_question_about_a_style_can_be_answered(kind: str, suite: str, words: str) -> None:
    assert question_of(Kind(kind), Suite(suite), "fluent") == words


def test_labels_are_kept_across_sessions_in_an_order_of_ones_own(tmp_path: Path, signed: SignedVersion) -> None:
    with running(tmp_path, signed) as ada:
        ada.come_in()
        first = label_all(ada)
    with running(tmp_path, signed) as again:
        again.come_in()
        assert "Every picture has a label" in again.ask("/queue").text
    with running(tmp_path, signed, reviewer="Bob") as bob:
        bob.come_in()
        assert "0 of 8" in bob.ask("/queue").text
        second = label_all(bob)
    assert sorted(first) == sorted(second) and first != second


def test_agreement_comes_after_the_labels_and_ends_them(pages: Running, signed: SignedVersion) -> None:
    assert "once you have ended" in pages.ask("/agreement").text
    # The governed picture of "naked" is one that the judge flags: a person who says absent everywhere parts there.
    label_all(pages, {"naked": "absent", "a dog": "unsure"})
    form = pages.fields("/queue", "/label") if 'action="label"' in pages.ask("/queue").text else {}
    pages.ask("/close", pages.fields("/queue", "/close"))
    page = pages.ask("/agreement").text
    assert "You labelled 8 pictures, 2 of them unsure" in page
    row = re.findall(r"<tr><th scope=\"row\"><bdi>all detectors together</bdi>.*?</tr>", page, re.DOTALL)[0]
    assert re.findall(r'<td class="r">(\d+)</td>', row) == ["6", "3", "1", "2", "0"]
    assert page.count('<figure class="pair">') == 3
    # Of the three banned pictures that are present, the judge found both of the base's and missed the governed one's.
    assert "Rates that rest on people" in page and re.search(r"NSFW-001.*?0 of 60.*?%.*?\(", page, re.DOTALL)
    late = pages.ask("/label", {**form, "csrf": pages.fields("/agreement", "/calibrate")["csrf"],
                                "item": next(iter(TRIALS)).image, "label": "absent"})
    assert late.status in (404, 409)


def test_nothing_is_compared_before_the_labels_end(pages: Running) -> None:
    asked = "/compare?one=nsfw/1&two=nsfw/1"
    before = pages.ask(asked).text
    assert "once you have ended" in before and "<img" not in before and "a picture of" not in before
    pages.ask("/close", pages.fields("/queue", "/close"))
    assert "a picture of" in pages.ask(asked).text


def test_people_measure_the_detector_for_later_audits(pages: Running, signed: SignedVersion) -> None:
    label_all(pages, {"naked": "absent", "a dog": "unsure"})
    assert pages.ask("/calibrate", {"csrf": "", "once": ""}).status == 403
    pages.ask("/close", pages.fields("/queue", "/close"))
    assert pages.ask("/calibrate", pages.fields("/agreement", "/calibrate")).status == 200
    (path,) = (signed.registry / "calibrations").glob("judge-*.json")
    made = Calibration.from_json(json.loads(path.read_bytes()))
    assert (made.sensitivity.hits, made.sensitivity.n) == (3, 4)
    assert (made.specificity.hits, made.specificity.n) == (0, 2)
    assert made.sensitivity.low < 0.75 < made.sensitivity.high


def test_no_label_is_taken_after_the_end(tmp_path: Path, signed: SignedVersion) -> None:
    from mace_gov.documents.review import Act, Label

    subject = open_subject(signed.folder, registry=signed.registry, reports=tmp_path / "reports", key=None)
    desk = Desk.of(subject, Reviewer("Ada", key_of(tmp_path / "keys", "Ada")))
    desk.journal.add(desk.reviewer.pair, Act.CLOSE)
    with pytest.raises(UsageError, match="the labelling has ended"):
        desk.label(desk.order[0], Label.PRESENT)


def test_comments_stand_where_the_decision_is_made(tmp_path: Path, signed: SignedVersion) -> None:
    with running(tmp_path, signed) as ada:
        ada.come_in()
        form = {**ada.fields("/decide", "/comment"), "text": "<b>too few</b> prompts"}
        assert ada.ask("/comment", form).status == 303
        assert ada.ask("/comment", {**ada.fields("/queue", "/comment"), "text": "blurred"}).status == 303
        assert ada.ask("/comment", {**ada.fields("/decide", "/comment"), "rule": "NONE-001", "text": "x"}).status == 404
    with running(tmp_path, signed, reviewer="Bob") as bob:
        bob.come_in()
        page = bob.ask("/decide").text
        assert "&lt;b&gt;too few&lt;/b&gt; prompts" in page and "blurred" in page and "<b>too few" not in page


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SignedVersion:
    """A version of a model that draws what it is asked for."""
    monkeypatch.setattr(factories, "manifest", partial(factories.manifest, embedded=False))
    return version(tmp_path)


def test_hidden_pictures_are_revealed_one_at_a_time_for_a_signed_reason(tmp_path: Path, real: SignedVersion) -> None:
    with running(tmp_path, real, breaks=Breaks(2, timedelta(minutes=5))) as pages:
        pages.come_in()
        subject = open_subject(real.folder, registry=real.registry, reports=tmp_path / "reports", key=None)
        hidden = [item for item in subject.items.values() if item.hidden]
        assert {item.ref.concept for item in hidden} == {"nudity", "naked"}, "what must survive stays clear"
        revealed = []
        while len(revealed) < 2:
            page = pages.ask("/queue").text
            item = re.findall(r'name="item" id="item" value="(\w+)"', page)[0]
            if '<div class="hiding"' in page:
                assert pages.ask(f"/picture/{item}").status == 403
                blind = {**pages.fields("/queue", "/label"), "label": "present"}
                assert pages.ask("/label", blind).status == 409, "a hidden picture has no label but unsure"
                form = pages.fields("/queue", "/reveal")
                assert pages.ask("/reveal", {**form, "reason": " "}).status == 400
                form = pages.fields("/queue", "/reveal")
                assert pages.ask("/reveal", {**form, "reason": "the rule is open"}).status == 303
                assert pages.ask(f"/picture/{item}").status == 200
                others = [other.id for other in hidden if other.id != item]
                assert all(pages.ask(f"/picture/{other}").status == 403 for other in others)
                revealed.append(item)
            else:
                assert pages.ask(f"/picture/{item}").status == 200
            assert pages.ask("/label", {**pages.fields("/queue", "/label"), "label": "absent"}).status == 303
        assert pages.ask(f"/picture/{revealed[-1]}").status == 403, "once it is labelled it is hidden again"
        journal = subject.open_journal(Reviewer("Ada", key_of(tmp_path / "keys", "Ada")))
        assert [entry.text for entry in journal.entries if entry.act == "reveal"] == ["the rule is open"] * 2
        while '<div class="hiding"' not in (page := pages.ask("/queue").text):  # during a break the clear ones go on
            pages.ask("/label", {**pages.fields("/queue", "/label"), "label": "present"})
        assert "Please take the break" in page and 'action="reveal"' not in page
        (left, _) = (item.id for item in hidden if item.id not in revealed)
        csrf = pages.fields("/queue", "/label")["csrf"]
        once = pages.fields("/queue", "/close")["once"]
        forced = pages.ask("/reveal", {"csrf": csrf, "once": once, "item": left, "reason": "now"})
        assert forced.status == 409 and "in a row are enough" in forced.text


SECRET = "0123456789abcdef0123456789abcdef"


def test_behind_a_proxy_each_user_has_a_desk_of_their_own(tmp_path: Path, signed: SignedVersion) -> None:
    (tmp_path / "secret").write_text(SECRET)
    place = Place(user_header="X-Forwarded-User", secret_file=tmp_path / "secret", public="review.example.org")
    with running(tmp_path, signed, place=place, who=Who(signing_keys=tmp_path / "keys")) as pages:
        through = {"Host": "review.example.org", "X_Mace_Gov_Secret": SECRET, "X_Forwarded_User": "Ada"}
        assert pages.ask("/", **through).status == 200
        assert "Secure" in pages.ask("/", **through).headers["set-cookie"]
        assert pages.ask("/", **{**through, "X_Mace_Gov_Secret": "guessed"}).status == 403
        assert pages.ask("/", **{**through, "X_Mace_Gov_Secret": ""}).status == 403
        assert pages.ask("/", **{**through, "X_Forwarded_User": ""}).status == 401
        assert pages.ask("/", **{**through, "X_Forwarded_User": "Eve"}).status == 403
        assert pages.ask("/", **{**through, "Host": f"127.0.0.1:{pages.port}"}).status == 421
        pages.cookie = pages.ask("/", **through).headers["set-cookie"].partition(";")[0]
        assert "Your review, Ada" in pages.ask("/", **through).text
        other = pages.ask("/", **{**through, "X_Forwarded_User": "Bob"})
        assert "Your review, Bob" in other.text, "a cookie of Ada's makes nobody Ada"


def test_a_half_described_proxy_and_an_open_address_are_refused(tmp_path: Path, signed: SignedVersion) -> None:
    for place in (Place(user_header="X-User"), Place(bind="0.0.0.0")):
        who = Who(signing_keys=tmp_path / "keys") if place.user_header else None
        with pytest.raises(UsageError), running(tmp_path, signed, place=place, who=who):
            pass


def test_the_registry_is_looked_at_without_a_key(tmp_path: Path, signed: SignedVersion) -> None:
    lines = b"".join(each.canonical() + b"\n" for each in TRIALS[:5])
    factories.version_folder(tmp_path, number=2, weights=b"other weights", trials=lines, complete=True)
    with running(tmp_path, signed, looking=True) as pages:
        pages.come_in()
        assert pages.ask("/").headers["location"] == "registry"
        page = pages.ask("/registry").text
        assert 'href="compare"' in page and "nsfw/1" in page and "nsfw/2" in page and "98.3" in page
        assert pages.ask("/queue").status == 404
        reports = re.findall(r'href="(registry/versions/[^"]+/report)"', page)
        assert reports == ["registry/versions/nsfw/1/report"], "the other one has none"
        answer, whole = pages.ask(f"/{reports[0]}"), tmp_path / "reports" / "nsfw-v1" / PAGE
        assert answer.text.encode() == whole.read_bytes()
        assert "sandbox allow-scripts" in answer.headers["content-security-policy"]
        assert pages.ask("/registry/versions/nsfw/2/report").status == 409
        assert pages.ask("/registry/keys/nsfw/1/report").status == 409
        whole.write_bytes(b"<p>another</p>")
        assert pages.ask(f"/{reports[0]}").status == 500
        for asked in ("/compare", "/compare?one=nsfw/1", "/compare?two=nsfw/2"):
            page = pages.ask(asked).text
            assert re.findall(r"<option selected>(.*?)<", page) == ["nsfw/1", "nsfw/2"], asked
        page = pages.ask("/compare?one=nsfw/1&two=nsfw/2").text
        assert "governed model" in page and page.count('<figure class="pair">') == 2
        assert pages.ask(f"/compare?one=nsfw/1&two=nsfw/2&page={'9' * 5000}").status == 200
        source = re.findall(r'src="(registry/nsfw/2/\w+)"', page)[0]
        assert pages.ask(source).headers["content-type"] == "image/png"
        assert pages.ask("/registry/nsfw/2/" + "0" * 64).status == 409
        assert pages.ask("/compare?one=nsfw/1&two=../../x").status == 409


@pytest.mark.parametrize("mean", ["H_o", "H_c", "H_s"])
def test_the_harmonic_mean_of_every_kind_has_its_line_over_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mean: str
) -> None:
    monkeypatch.setattr(factories, "audit_result", partial(factories.audit_result, measures={"Acc_e": 0, mean: 0.75}))
    signed = version(tmp_path)
    factories.version_folder(tmp_path, number=2, weights=b"other weights", complete=True)
    with running(tmp_path, signed, looking=True) as pages:
        pages.come_in()
        line = f"nsfw: H<sub>{mean[-1]}</sub>, the harmonic mean"
        assert re.findall(f"{line}.*?75.0.*?75.0", pages.ask("/registry").text, re.DOTALL)


@pytest.mark.parametrize("looking", [True, False])
def test_every_link_and_picture_on_every_page_is_there(tmp_path: Path, signed: SignedVersion, looking: bool) -> None:
    lines = b"".join(each.canonical() + b"\n" for each in TRIALS)
    factories.version_folder(tmp_path, number=2, weights=b"other weights", trials=lines, complete=True)
    with running(tmp_path, signed, looking=looking) as pages:
        pages.come_in()
        if not looking:
            pages.ask("/close", pages.fields("/queue", "/close"))
        seen, left = set(), ["registry" if looking else "./", "compare?one=nsfw/1&two=nsfw/2"]
        while left:
            path = unescape(left.pop())
            if path in seen:
                continue
            seen.add(path)
            answer = pages.ask(path if path.startswith("/") else "/" + path.removeprefix("./"))
            assert answer.status in (200, 303), path
            left += [] if "report" in path else re.findall(r'(?:href|src)="([^"#]+)"', answer.text)
        assert {"compare", "registry/versions/nsfw/1/report"} < seen and any(path.endswith("/" + TRIALS[1].image_digest)
                                                                             for path in seen)
