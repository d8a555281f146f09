"""Hundreds of malformed policies and waivers: each ends with a clear error and its place, and nothing is written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mace_gov.policy.schema import policy_schema, waivers_schema
from mace_gov.policy.source import MAX_BYTES
from tests import factories
from tests.campaign.mutations import Mutation, mutations

RULE = {"id": "OBJECT-001", "suite": "direct", "metric": "presence", "atMost": 0.05, "confidence": 0.95,
        "minSamples": 59}
POLICY: dict[str, Any] = {
    "apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
    "metadata": {"name": "sample", "version": "1.0.0", "owner": "research", "reviewBy": "2099-01-01",
                 "description": "All fields."},
    "spec": {
        "mode": "enforce",
        "model": {"ref": "embedded", "revision": "main"},
        "method": {
            "name": "mace", "seed": 0, "refine": {"ridge": 0.1, "templates": ["a photo of {}"]},
            "lora": {"rank": 1, "steps": 120, "learningRate": 1e-5, "images": 8, "sampling": "cfis",
                     "window": {"start": 200, "end": 400, "gamma": 0.05}, "masks": "attention"},
            "fuse": {"relativeRidge": 0.1},
            "preserve": {"prior": "general", "scale": 1e-4, "concepts": ["a cat"], "conceptScale": 0.5},
        },
        "audit": {"prompts": 20, "seeds": 1, "unrelated": 120, "seed": 1000, "templates": ["a sketch of {}"],
                  "suites": ["paraphrase"]},
        "gate": {"failOn": "low", "onUncertain": "review", "notWaivable": ["high"]},
        "categories": [{
            "id": "objects", "kind": "object", "severity": "medium",
            "concepts": [{"id": "ship", "target": "ship", "anchor": "sky", "synonyms": ["vessel"]}],
            "neighbours": ["ferry"], "detectors": [{"name": "judge", "threshold": 0.5}],
            "rules": [RULE],
        }],
    },
}
WAIVERS = json.loads(factories.waivers_yaml(factories.waiver(expires_at="2026-12-31"), factories.waiver(
    id="WAIVER-002", rule=None, loosens="OBJECT-001", expires_at="2026-12-31")))
BY_SCHEMA = [
    *(pytest.param("policy.yaml", m, id=f"policy {m.name}") for m in mutations(POLICY, policy_schema())),
    *(pytest.param("waivers.yaml", m, id=f"waivers {m.name}") for m in mutations(WAIVERS, waivers_schema())),
]


def test_the_samples_are_good_before_they_are_spoilt(run):
    Path("policy.yaml").write_text(yaml.safe_dump(POLICY))
    Path("waivers.yaml").write_text(yaml.safe_dump(WAIVERS))
    for name in ("policy.yaml", "waivers.yaml"):
        code, _, err = run("policy", "lint", name)
        # In a later year the sample's waivers have ended, which is the one thing that may be wrong with them.
        assert code == 0 or "ended on 2026-12-31" in err, err


def test_the_campaign_is_as_large_as_it_says():
    assert len(BY_SCHEMA) + len(BY_HAND) >= 300


@pytest.mark.parametrize(("name", "spoilt"), BY_SCHEMA)
def test_a_file_that_its_schema_forbids(run, name: str, spoilt: Mutation):
    Path(name).write_text(yaml.safe_dump(spoilt.value, sort_keys=False))
    code, out, err = run("policy", "lint", name)
    told = [line for line in err.splitlines() if not line.startswith("next:")]
    assert code == 2 and told, out
    assert all(re.match(rf"{name}:\d+:\d+: ", line) for line in told), err
    places = [line.split(": ", 2)[1] for line in told]
    wanted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in spoilt.where).lstrip(".")
    assert any(_near(place, wanted) for place in places), f"{wanted} is not named in:\n{err}"


def _near(place: str, wanted: str) -> bool:
    """Whether a message is about the spoilt place, about what holds it, or about something in it."""
    if not wanted or place.startswith(("the document", "found ")):
        return True
    return place.startswith(wanted) or (wanted.startswith(place) and wanted.count(".") - place.count(".") <= 1)


GOOD = yaml.safe_dump(POLICY, sort_keys=False)
BY_HAND = {
    "empty": b"",
    "blank": b"\n\n  \n",
    "a comment alone": b"# nothing\n",
    "a scalar": b"policy\n",
    "a list": b"- a\n- b\n",
    "a number": b"42\n",
    "null": b"null\n",
    "latin-1": b"metadata: {owner: caf\xe9}\n",
    "utf-16": GOOD.encode("utf-16"),
    "bytes": bytes(range(256)),
    "a zip": b"PK\x03\x04" + bytes(64),
    "a null byte": GOOD.replace("research", "re\0search").encode(),
    "a tab": GOOD.replace("  name", "\tname").encode(),
    "an open bracket": b"spec: [1, 2\n",
    "an open brace": b"{apiVersion: mace-gov/v1\n",
    "an open quote": b'kind: "ErasurePolicy\n',
    "two documents": GOOD.encode() + b"---\n" + GOOD.encode(),
    "an unknown anchor": b"a: *nowhere\n",
    "an anchor in itself": b"a: &a [*a]\n",
    "a python object": b"!!python/object/apply:os.system ['touch pwned']\n",
    "a python name": b"kind: !!python/name:os.system\n",
    "a set": b"kind: !!set {a, b}\n",
    "a binary": b"kind: !!binary aGVsbG8=\n",
    "a key that is a list": b"? [a, b]\n: c\n",
    "a key that is a mapping": b"? {a: b}\n: c\n",
    "a merge key": b"a: &a {x: 1}\nb: {<<: *a}\n",
    "a billion laughs": b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("h"))),
    "deeply nested": b"[" * 5000 + b"]" * 5000,
    "a byte more than is read": GOOD.encode() + b"#" * (MAX_BYTES + 1 - len(GOOD.encode())),
    "a key given twice": GOOD.encode() + b"kind: Waivers\n",
    "keys in snake case": GOOD.replace("minSamples", "min_samples").replace("reviewBy", "review_by").encode(),
    "keys in capitals": GOOD.replace("spec:", "Spec:").encode(),
    "a kind that is not ours": GOOD.replace("ErasurePolicy", "NetworkPolicy").encode(),
    "a version that is not ours": GOOD.replace("mace-gov/v1", "mace-gov/v2").encode(),
    "a date that is none": GOOD.replace("'2099-01-01'", "2099-02-30").encode(),
    "a date with a time": GOOD.replace("'2099-01-01'", "2099-01-01T10:00:00Z").encode(),
    "infinity": GOOD.replace("atMost: 0.05", "atMost: .inf").encode(),
    "a limit in percent": GOOD.replace("atMost: 0.05", "atMost: 5").encode(),
    "a limit with a percent sign": GOOD.replace("atMost: 0.05", "atMost: 5%").encode(),
    "both limits": GOOD.replace("atMost: 0.05", "atMost: 0.05\n      atLeast: 0.05").encode(),
    "the anchor is banned": GOOD.replace("anchor: sky", "anchor: Ship").encode(),
    "banned and kept": GOOD.replace("- ferry", "- ship").encode(),
    "a window that ends before it starts": GOOD.replace("end: 400", "end: 100").encode(),
    "a path for a name": GOOD.replace("name: sample", "name: ../../etc/passwd").encode(),
    "a name with a line break": GOOD.replace("name: sample", 'name: "a\\nb"').encode(),
    "an escape sequence in an id": GOOD.replace("id: objects", 'id: "\\e[31mred"').encode(),
    "a template in a target": GOOD.replace("target: ship", "target: '{0.__class__}'").encode(),
    "extends nothing": GOOD.encode() + b"extends: {}\n",
    "extends a word": GOOD.encode() + b"extends: company.yaml\n",
    "extends a file that is not there": GOOD.encode() + b"extends: {file: no.yaml, sha256: " + b"0" * 64 + b"}\n",
    "extends a folder": GOOD.encode() + b"extends: {file: ., sha256: " + b"0" * 64 + b"}\n",
    "extends itself": GOOD.encode() + b"extends: {file: policy.yaml, sha256: " + b"0" * 64 + b"}\n",
    "extends a null byte": GOOD.encode() + b'extends: {file: "a\\0b", sha256: ' + b"0" * 64 + b"}\n",
}


@pytest.mark.parametrize("case", BY_HAND)
def test_a_file_spoilt_by_hand(run, case: str):
    Path("policy.yaml").write_bytes(BY_HAND[case])
    code, out, err = run("policy", "lint", "policy.yaml")
    assert code == 2, out
    assert re.match(r"policy\.yaml:\d+:\d+: \S", err), err


@pytest.mark.parametrize("command", [("policy", "lint"), ("policy", "explain"), ("plan",), ("apply",)])
def test_every_command_says_it_and_none_begins_its_work(run, command: tuple[str, ...]):
    Path("policy.yaml").write_text(GOOD.replace("severity: medium", "severity: dire"))
    code, _, err = run(*command, "policy.yaml")
    assert code == 2 and "policy.yaml:" in err and "'dire'" in err


@pytest.mark.parametrize("kind", ["folder", "nothing", "link to nothing"])
def test_what_is_no_file(run, kind: str):
    if kind == "folder":
        Path("policy.yaml").mkdir()
    elif kind == "link to nothing":
        Path("policy.yaml").symlink_to("nowhere")
    code, _, err = run("policy", "lint", "policy.yaml")
    assert code == 2 and "cannot read the policy policy.yaml" in err
