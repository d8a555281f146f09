"""A value in YAML has the type that the published schema names; nothing is read as something else."""

from __future__ import annotations

import copy
import datetime
import functools
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from mace_gov.core.errors import PolicyError
from mace_gov.documents.policy import Policy
from mace_gov.documents.waiver import Waivers
from mace_gov.policy import source as source_module
from mace_gov.policy.lint import lint
from mace_gov.policy.load import load_policy
from mace_gov.policy.reading import validate
from mace_gov.policy.schema import policy_schema, waivers_schema
from mace_gov.policy.source import Unclear, read_yaml, scalar
from tests import factories
from tests.policy.every_field import FULL, changed, leaves
from tests.policy.samples import POLICY

TODAY = datetime.date(2026, 11, 24)
YES_NO = ("yes", "no", "Yes", "NO", "on", "off", "On", "OFF")
NO_NUMBERS = ("0100", "0x10", "0o17", "0b11", "1:00", "1:30:00", "1_000", "0.0_5", ".inf", "-.Inf", ".nan", "1e999",
              "9" * 5000, "0x" + "f" * 5000, "1:" * 2000 + "0")
NO_DAYS = ("2027-02-30", "2027-13-01", "0000-01-01", "2027-6-1", "2027-06-01T00:00:00Z", "2027-06-01 10:00:00")


@pytest.mark.parametrize(("text", "value"), [
    ("5", 5), ("-5", -5), ("+5", 5), ("0", 0), ("0.05", 0.05), (".5", 0.5), ("5.", 5.0), ("1e-3", 1e-3), ("1E3", 1e3),
    ("1.0e-5", 1e-5), ("true", True), ("False", False), ("", None), ("~", None), ("null", None), ("y", "y"), ("N", "N"),
    ("1.0.0", "1.0.0"), ("5%", "5%"), ("nobody", "nobody"), ("one", "one"), ("1e", "1e"), ("-", "-"), ("...", "..."),
    ("2027-06-01", datetime.date(2027, 6, 1)), ("99999-01-01", "99999-01-01"), ("ship", "ship"),
])
def test_bare_words_and_numbers_mean_what_json_takes_them_for(text: str, value: object) -> None:
    assert scalar(text) == value and type(scalar(text)) is type(value)


@pytest.mark.parametrize("text", [*YES_NO, *NO_NUMBERS, *NO_DAYS], ids=lambda text: text[:20])
def test_what_readers_take_for_different_things_is_nobodys_value(text: str) -> None:
    assert scalar(text) == Unclear(text)
    assert read_yaml(f"a: '{text}'", "x").value == {"a": text}, "quoted, it is text"


def errors_of(tmp_path: Path, *change: str) -> list[str]:
    path = tmp_path / "policy.yaml"
    assert change[0] in POLICY
    path.write_text(POLICY.replace(*change))
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    return list(caught.value.problems)


@pytest.mark.parametrize("value", [*YES_NO, *NO_NUMBERS, "true", '"0.05"', "'1'", "2027-06-01", "five", "[0.1]", "{}"],
                         ids=lambda text: text[:20])
@pytest.mark.parametrize("field", ["atMost: 0.2", "minSamples: 59"])
def test_no_number_is_read_out_of_something_else(tmp_path: Path, field: str, value: str) -> None:
    name = field.split(":")[0]
    [problem] = errors_of(tmp_path, field, f"{name}: {value}")
    assert f"rules[0].{name}: found " in problem and "expected " in problem and len(problem) < 400


def test_a_whole_number_has_no_point(tmp_path: Path) -> None:
    assert "minSamples: found 59.0, expected integer" in errors_of(tmp_path, "minSamples: 59", "minSamples: 59.0")[0]


@pytest.mark.parametrize("value", [*NO_DAYS, "4102444800", "20270601", '"2027-06-01T00:00:00"', "99999-01-01", "yes",
                                   "1.5", "true", "-2027-06-01", "2027-06", "[2027-06-01]", '"20270601"'])
def test_a_date_is_a_day_of_the_calendar(tmp_path: Path, value: str) -> None:
    [problem] = errors_of(tmp_path, "reviewBy: 2027-06-01", f"reviewBy: {value}")
    assert "metadata.reviewBy: found " in problem and "expected a date such as 2027-06-01" in problem


@pytest.mark.parametrize("value", ["yes", "off", "5", "1e3", "0100", "0x10", "1:00", "true", "null", "2027-06-01"])
@pytest.mark.parametrize("field", ["owner: me", "version: 1.0.0"])
def test_text_that_readers_take_for_something_else_stands_in_quotes(tmp_path: Path, field: str, value: str) -> None:
    name = field.split(":")[0]
    [problem] = errors_of(tmp_path, field, f"{name}: {value}")
    assert f"metadata.{name}: found {value.replace('1e3', '1000.0')}, expected string" in problem


@pytest.mark.parametrize("char", ["\0", "\a", "\r", "\x1b", "\x7f", "\x85", "\x9b"])
def test_no_text_holds_what_nobody_sees(tmp_path: Path, char: str) -> None:
    path, waivers = tmp_path / "policy.yaml", tmp_path / "waivers.yaml"
    for leaf in leaves():
        value = functools.reduce(lambda inner, part: inner[part], leaf, FULL)
        for text in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
            if not isinstance(text, str):
                continue
            spoilt = [text[:1] + char + text[1:]]
            path.write_text(json.dumps(changed(leaf, spoilt if isinstance(value, list) else spoilt[0])))
            name = ".".join(str(part) for part in leaf if isinstance(part, str)).split(".")[-1]
            found, _ = lint(path, TODAY)
            assert any(name in one and f"control character U+{ord(char):04X}" in one for one in found), (leaf, found)
    waivers.write_text(json.dumps(yaml.safe_load(factories.waivers_yaml(factories.waiver())), default=str).replace(
        "Synonyms", f"Syn{json.dumps(char)[1:-1]}onyms"))
    [problem] = lint(waivers, TODAY)[0]
    assert f"spec.waivers[0].reason: found the control character U+{ord(char):04X}" in problem


@pytest.mark.parametrize("field", ["model: {ref: a/b", "detectors: [{name: clip, model: a/b"])
def test_a_name_is_one_line(tmp_path: Path, field: str) -> None:
    old, new = (field.replace("a/b", "embedded") + "}", "ref") if "ref" in field else ("detectors: [judge", "model")
    spoilt = field.replace("a/b", json.dumps("a\nb")) + "}"
    assert any(f"{new}: found the control character U+000A" in one for one in errors_of(tmp_path, old, spoilt))


@pytest.mark.parametrize(("old", "new"), [
    ("atMost: 0.2", "atMost: 1e-3"), ("atMost: 0.2", "atMost: 1"), ("reviewBy: 2027-06-01", 'reviewBy: "2027-06-01"'),
    ("owner: me", 'owner: "yes"'), ("target: ship", 'target: "1:00"'), ("target: ship", "target: !!str 5"),
])
def test_what_is_right_loads(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.replace(old, new))
    assert load_policy(path).policy.metadata.review_by == datetime.date(2027, 6, 1)


@pytest.mark.parametrize(("field", "value", "expected"), [
    ("atMost", "yes", "found yes, expected number"), ("atMost", "'0.2'", "found '0.2', expected number"),
    ("expiresAt", "1798675200", "found 1798675200, expected a date"), ("expiresAt", "2026-02-30", "found 2026-02-30"),
    ("owner", "2026-12-31", "found 2026-12-31, expected string"),
])
def test_waivers_are_read_as_strictly(tmp_path: Path, field: str, value: str, expected: str) -> None:
    data = yaml.safe_load(factories.waivers_yaml(factories.waiver()))
    data["spec"]["waivers"][0][field] = "HERE"
    path = tmp_path / "waivers.yaml"
    path.write_text(yaml.safe_dump(data).replace("HERE", value))
    problems, _ = lint(path, TODAY)
    assert len(problems) == 1 and f"spec.waivers[0].{field}: {expected}" in problems[0]


SCALARS = st.one_of(
    st.sampled_from([True, False, None, "", "x", "0.05", "yes", "2027-06-01", "2027-13-01", "20270601", "1.0.0", [], {},
                     10**30, "direct", "object", "a{}", "a\nb", "NSFW-001", "0" * 64, ["x"], [1], {"a": 1}]),
    st.integers(), st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
    st.text("abAB01 .-_{}/", max_size=20),
)
"""JSON values; a float without a fraction is left out, for JSON Schema takes 1.0 for a whole number."""


@functools.cache
def _checker(model) -> Draft202012Validator:
    schema = {Policy: policy_schema, Waivers: waivers_schema}[model]()
    return Draft202012Validator(schema, format_checker=FormatChecker())


def _agree(model, data: dict, path: tuple) -> None:
    by_schema = [error.message for error in _checker(model).iter_errors(data)]
    _, problems = validate(model, read_yaml(json.dumps(data), "x").value)
    by_model = [problem for problem in problems if problem[0][:len(path)] == path and problem[0] != ()]
    assert bool(by_schema) == bool(by_model), (path, by_schema, by_model)


def _plain(value: object) -> bool:
    """Whether text has no blanks at its ends: a schema cannot say that those are taken off before it is measured."""
    return all(map(_plain, value)) if isinstance(value, list) else not isinstance(value, str) or value == value.strip()


@given(st.sampled_from(sorted(leaves(), key=str)), SCALARS.filter(_plain))
@settings(max_examples=150, deadline=None)
def test_a_policy_is_read_as_its_schema_says(path: tuple, value: object) -> None:
    data = changed(path, value) if value is not None else changed(path, "HERE")
    if value is None:
        data = json.loads(json.dumps(data).replace('"HERE"', "null"))
    _agree(Policy, data, path)


@given(st.sampled_from(["id", "policy", "rule", "atMost", "reason", "owner", "approver", "expiresAt"]),
       SCALARS.filter(lambda value: _plain(value) and value is not None))
@settings(max_examples=60, deadline=None)
def test_waivers_are_read_as_their_schema_says(field: str, value: object) -> None:
    data = yaml.safe_load(factories.waivers_yaml(factories.waiver()))
    data["spec"]["waivers"][0] |= {"expiresAt": "2026-12-31", field: value}
    _agree(Waivers, data, ("spec", "waivers", 0, field))


def test_the_full_policy_is_valid_and_keeps_its_digest() -> None:
    """Evidence that was signed names its policy by this digest: it never changes for a policy that was tidy."""
    assert validate(Policy, FULL)[1] == [] == list(_checker(Policy).iter_errors(FULL))
    before = copy.deepcopy(FULL)  # without the fields that came since
    for field in ("refineScale", "refineConceptScale", "priorSize"):
        del before["spec"]["method"]["preserve"][field]
    del before["spec"]["model"]["sampler"], before["spec"]["method"]["fit"]
    del before["spec"]["method"]["refine"]["tokens"], before["spec"]["method"]["refine"]["names"]
    del before["spec"]["categories"][0]["detectors"][0]["only"]
    del before["spec"]["method"]["segmenter"], before["spec"]["audit"]["subjects"]
    del before["spec"]["method"]["harden"], before["spec"]["method"]["expansion"], before["spec"]["method"]["guard"]
    before["spec"]["method"]["lora"]["masks"] = "attention"
    policy, _ = validate(Policy, before)
    assert policy is not None
    assert policy.content_digest() == "3a5b2bfc5e399a3183580dcc367076a560a0b62e43438d20c0ee7d7efe2fca0d"


TEXTS = [
    POLICY, "a: &x [1, {b: 2}]\nc: *x\n", "{a: 'b\u00e9', \U0001f600: [x]}", "\ufeffa: 1", "- a\n- b", "",
    "a: |\n  x\n  y\n", "? [a]\n: b\n", "a: 1\na: 2\n", "%YAML 1.1\n---\na: yes\n",
]
BROKEN = ["a: [1\n", "a: b: c", "\ta: 1", "a: *x", "a: &x [*x]", "a: 1\n---\nb: 2", 'a: "\\ud800"', 'a: "\\U00110000"',
          'a: "\x01"', "a: !foo 1", "a: !!python/name:os.system x", "a: !!float 5", "a: !!binary aGk=",
          "a: " + "[" * 70, "- " * 200 + "x", "? " * 200, "a: !!set {b}", "a: " + "[" * 20000]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request, monkeypatch):
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(source_module, "_LOADER", getattr(yaml, request.param))


@pytest.mark.parametrize("text", TEXTS)
def test_both_parsers_read_the_same_at_the_same_places(monkeypatch, text: str) -> None:
    read = []
    for name in ("CSafeLoader", "SafeLoader"):
        monkeypatch.setattr(source_module, "_LOADER", getattr(yaml, name, yaml.SafeLoader))
        read.append(read_yaml(text, "x"))
    assert read[0] == read[1]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: ascii(text)[:24])
def test_what_is_no_plain_yaml_is_refused_with_its_place(loader, text: str) -> None:
    with pytest.raises(PolicyError, match=r"^x:\d+:\d+: "):
        read_yaml(text, "x")


def test_aliases_of_aliases_are_no_way_round_the_depth() -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))
    with pytest.raises(PolicyError, match="levels once aliases are followed"):
        read_yaml(chain, "x")
