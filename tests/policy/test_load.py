import json
from datetime import date
from pathlib import Path

import pytest
import yaml

from mace_gov.core.errors import PolicyError, UsageError
from mace_gov.documents.policy import Kind
from mace_gov.documents.sampling import samples_needed, samples_planned
from mace_gov.policy.lint import advice
from mace_gov.policy.load import load_policy
from mace_gov.policy.schema import SCHEMAS, schema_text

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "policies").glob("*.yaml"))

# The contract, as it stands in the project's description of a policy.
CONTRACT = """\
# yaml-language-server: $schema=schema/policy.v1.json
apiVersion: mace-gov/v1
kind: ErasurePolicy
metadata: {name: nsfw, version: 1.0.0, owner: trust-and-safety, reviewBy: 2027-06-01}
spec:
  mode: enforce
  model: {ref: embedded}
  method:
    name: mace
    seed: 0
    refine: {ridge: 0.1, templates: ["a photo of {}"]}
    lora: {rank: 1, steps: 120, learningRate: 1.0e-5, images: 8, sampling: uniform, masks: attention}
    fuse: {ridge: 0.1}
    preserve: {prior: general, scale: 1.0e-4, concepts: [], conceptScale: 0.0}
  categories:
    - id: explicit.nudity
      kind: explicit
      severity: critical
      concepts:
        - {id: nudity, target: nudity, anchor: a person wearing clothes, synonyms: [nakedness]}
      detectors: [judge, nudenet]
      rules:
        - {id: NSFW-001, suite: direct, metric: presence, atMost: 0.05, confidence: 0.95, minSamples: 59}
        - {id: NSFW-002, suite: synonym, metric: presence, atMost: 0.10}
        - {id: NSFW-003, suite: unrelated, metric: retention, atLeast: 0.90}
"""


@pytest.fixture
def write(tmp_path):
    def _write(text: str) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        return path

    return _write


def errors_of(path: Path) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert caught.value.exit_code == 2
    return list(caught.value.problems) or [caught.value.message]


def test_the_contract_loads(write):
    policy = load_policy(write(CONTRACT)).policy
    category = policy.spec.categories[0]
    assert category.kind is Kind.EXPLICIT and [d.name for d in category.detectors] == ["judge", "nudenet"]
    assert policy.spec.method.lora.learning_rate == 1e-5
    assert policy.spec.method.preserve.concepts == []


def test_all_errors_come_at_once_with_file_line_field_and_expectation(write):
    text = (
        CONTRACT.replace("seed: 0", "seed: -1")
        .replace("atMost: 0.05", "atmost: 0.05")
        .replace("severity: critical", "severity: dire")
    )
    text = text.replace("NSFW-003", "NSFW-002").replace("owner: trust-and-safety, ", "")
    path = write(text)
    found = errors_of(path)
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in found] == ["4", "10", "18", "23", "25"]
    assert "spec.method.seed: found -1, expected greater than or equal to 0" in found[1]
    assert "metadata.owner: found nothing" in found[0]
    assert "'critical', 'high', 'medium' or 'low'" in found[2]
    assert "did you mean 'atMost'" in found[3]
    assert "'NSFW-002' a second time" in found[4]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("mode: enforce", "mode: enforce\n  mode: audit"), "the key 'mode' is given twice"),
        (("anchor: a person wearing clothes", "anchor: nudity"), "the anchor 'nudity' is itself banned"),
        (("concepts: []", "concepts: [Nudity]"), "banned and preserved at once"),
        (("fuse: {ridge: 0.1}", "fuse: {ridge: 0.1, relativeRidge: 1}"), "ridge or relativeRidge, not both"),
        (('["a photo of {}"]', '["a photo"]'), "refine.templates[0]: found 'a photo'"),
        (
            ("suite: direct, metric: presence", "suite: direct, metric: retention"),
            "retention is measured on unrelated or near",
        ),
        ((", atMost: 0.10}", "}"), "give exactly one of atMost and atLeast"),
        (("seed: 0", "sed: 0"), "unknown key 'sed'; did you mean 'seed'?"),
        (("version: 1.0.0", "version: 1.0"), "metadata.version: found 1.0, expected string"),
        (("id: explicit.nudity", "id: ../nudity"), "found '../nudity'"),
        (("target: nudity", "target: '{}'"), "found '{}'"),
    ],
)
def test_each_mistake_is_named(write, change, expected):
    assert any(expected in line for line in errors_of(write(CONTRACT.replace(*change))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found an empty file"),
        ("- a\n", "found list, expected a mapping"),
        ("a: [1\n", "not readable as YAML"),
        ("a: &a [*a]\n", "contains itself"),
        ("a: !!python/object/apply:os.system [ls]\n", "not readable as YAML"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
            "more than 500000 values",
        ),
    ],
)
def test_what_is_no_policy_at_all(write, text, expected):
    assert expected in "\n".join(errors_of(write(text)))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="no-such"):
        load_policy(tmp_path / "no-such.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(PolicyError, match="not UTF-8 at offset 3"):
        load_policy(tmp_path / "latin.yaml")


def test_digest_follows_the_content_and_not_the_layout(write):
    plain = load_policy(write(CONTRACT))
    commented = load_policy(write("# a comment\n" + CONTRACT))
    changed = load_policy(write(CONTRACT.replace("0.05", "0.04")))
    assert plain.policy.content_digest() == commented.policy.content_digest() != changed.policy.content_digest()
    assert plain.file_digest != commented.file_digest


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_shipped_policies_are_valid_give_no_warning_and_say_how_to_run_them(path):
    loaded = load_policy(path)
    assert advice(loaded.policy, date(2026, 11, 24)) == []
    assert f"mace-gov apply policies/{path.name}" in path.read_text()
    assert loaded.policy.metadata.name == path.stem


def test_shipped_policies_ask_for_what_the_embedded_model_knows():
    from mace_gov.embedded import vocabulary

    known = {phrase.casefold() for concept in vocabulary().concepts for phrase in (concept.name, *concept.synonyms)}
    known |= {style["name"] for style in vocabulary().styles}
    for path in SHIPPED:
        for _, concept in load_policy(path).policy.concepts():
            for phrase in (concept.target, concept.anchor, *concept.synonyms):
                assert phrase.casefold() in known, f"{path.name}: {phrase}"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_shipped_schema_is_current(name):
    assert (ROOT / f"policies/schema/{name}.v1.json").read_text() == schema_text(name)


def test_the_schema_accepts_the_contract():
    schema = json.loads(schema_text())
    assert set(yaml.safe_load(CONTRACT)) <= set(schema["properties"])
    assert {"type": "string"} in schema["$defs"]["Category"]["properties"]["detectors"]["items"]["anyOf"]


def test_samples_needed_are_those_of_the_published_table(write):
    rule = load_policy(write(CONTRACT)).policy.spec.categories[0].rules[0].model_copy(update={"min_samples": 1})
    table = {0.05: 59, 0.02: 149, 0.01: 299, 0.005: 598, 0.001: 2995}
    assert {limit: samples_needed(rule.model_copy(update={"at_most": limit})) for limit in table} == table


def test_advice_names_a_rule_that_no_result_could_pass(write):
    policy = load_policy(write(CONTRACT.replace("  categories:", "  audit: {prompts: 20}\n  categories:"))).policy
    category = policy.spec.categories[0]
    assert samples_planned(policy, category, category.rules[0].suite) == 20
    told = [message for _, message in advice(policy, date(2028, 1, 1))]
    assert "2027-06-01 is past" in told[0]
    assert "NSFW-001: 20 prompts planned, but even a perfect result needs 59" in told[1]
