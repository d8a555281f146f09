"""Absurd values in signed documents: every command ends with a code of its own and shows nothing that acts.

Each document is spoilt in one place and signed anew with the right key, for whoever holds the folder may hold one.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from mace_gov.attest.dsse import seal
from mace_gov.attest.keys import ensure_key_pair
from tests import factories
from tests.campaign.absurd import ESCAPES, VALUES, acts, put, sample, spoilt
from tests.campaign.test_bad_input import POLICY, WAIVERS

SAMPLED, NIGHTLY = len(VALUES), 20 * len(VALUES)
"""Values tried of each document and command, in `make test` and in the nightly run."""
ENDS = {0, 1, 4, 5}
"""A value that nobody reads changes nothing; a time may have passed; a decision may wait. All else is integrity."""
COMMANDS = {
    "verify": ("verify", "{folder}", "--key", "{key}"), "gate": ("gate", "{folder}", "--policy", "{policy}"),
    "list": ("registry", "list"), "show": ("registry", "show", "nsfw/1"), "lineage": ("registry", "lineage", "nsfw/1"),
}
READS = {"evidence.dsse.json": list(COMMANDS), "verdict.dsse.json": ["verify", "list", "show"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> factories.SignedVersion:
    """A version of which one file at a time is spoilt."""
    return factories.version_folder(tmp_path_factory.mktemp("absurd"))


def _payload(path: Path) -> Any:
    return json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))


def _try(run: Any, made: factories.SignedVersion, name: str, command: str, count: int, seed: int) -> None:
    path = made.folder / name
    good, pair = path.read_bytes(), ensure_key_pair(made.registry)
    words = {"folder": made.folder, "key": made.key, "policy": made.folder / "policy.yaml"}
    typed = [word.format(**words) for word in COMMANDS[command]]
    try:
        for where, value in sample(_payload(path), count, seed):
            path.write_bytes(good)
            path.write_bytes(seal(spoilt(_payload(path), where, value), pair).canonical())
            code, out, err = run(*typed, "--registry", made.registry)
            assert code in ENDS, f"{value} at {where}: exit {code}: {err[:400]}"
            assert not acts(out + err), f"{value} at {where} acts: {acts(out + err)[:3]}"
    finally:
        path.write_bytes(good)


CASES = [(name, command) for name, commands in READS.items() for command in commands]


def test_the_campaign_is_as_large_as_it_says():
    assert SAMPLED * len(CASES) >= 200 and NIGHTLY * len(CASES) >= 4000


@pytest.mark.parametrize(("name", "command"), CASES)
def test_two_hundred_absurd_values(run, made, record_property, name: str, command: str):
    _try(run, made, name, command, SAMPLED, CASES.index((name, command)))
    record_property("tried", SAMPLED)


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "command"), CASES)
def test_four_thousand_absurd_values(run, made, record_property, name: str, command: str):
    _try(run, made, name, command, NIGHTLY, 1000 + CASES.index((name, command)))
    record_property("tried", NIGHTLY)


@pytest.mark.parametrize("value", VALUES)
def test_an_absurd_report(run, value: str):
    good = factories.report().to_json()
    for where, _ in sample(good, 3, list(VALUES).index(value)):
        Path("report.json").write_bytes(spoilt(good, where, value))
        code, out, err = run("export", "report.json", "--output", "csv=-")
        assert code in (0, 2), f"{value} at {where}: exit {code}: {err[:400]}"
        assert not acts(err) and (code == 0 or "report.json: " in err)


@pytest.mark.parametrize("value", ["escapes", "null byte", "markup", "a formula"])
@pytest.mark.parametrize("form", ["json", "markdown", "junit", "sarif", "annotations", "csv"])
def test_an_absurd_reason_in_every_format(run, form: str, value: str):
    good = factories.report().to_json()
    good["verdict"]["reasons"] = ["x"]
    for where in (("verdict", "reasons", 0), ("verdict", "policyVersion"), ("verdict", "decided"), ("version",)):
        Path("report.json").write_bytes(spoilt(good, where, value))
        code, out, err = run("export", "report.json", "--output", f"{form}=-")
        assert code in (0, 2) and not acts(err), err[:400]
        controls = [c for c in out if c not in "\n\t" and (ord(c) < 32 or 0x7f <= ord(c) < 0xa0 or c == "\u202e")]
        assert not controls, f"{value} at {where}: {controls[:3]}"
        if form == "annotations":
            assert all(line.startswith(("::error ", "::warning ", "::notice ")) for line in out.splitlines())
        elif form == "junit":
            ElementTree.fromstring(out)
        elif form in ("json", "sarif"):
            json.loads(out)
        elif form == "csv":
            cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]
            assert not any(cell.startswith(("=", "+", "-", "@", "\uff1d")) for cell in cells)
        else:
            assert not any(line.startswith("::") for line in out.splitlines())


SCALARS = {
    "the year 0": "0000-01-01", "the last day": "9999-12-31", "after the last day": "9999-12-31T23:59:59-23:59",
    "before the first day": "0001-01-01T00:00:00+23:59", "5,000 digits": "9" * 5000,
    "5,000 hexadecimal": "0x" + "f" * 5000, "binary": "0b" + "1" * 20_000, "sexagesimal": "1:" * 2000 + "00",
    "escapes": json.dumps(ESCAPES), "half a pair": '"\\ud800"',
    "not a number": ".nan", "beyond floats": "1e999", "depth": "[" * 3000, "a bad timestamp": "!!timestamp x",
    "a bad float": "!!float x", "a bad integer": "!!int x", "a bad boolean": "!!bool maybe", "bytes": "!!binary '='",
    "an alias of nothing": "*x", "pairs": "!!omap [a: 1]",
}


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize(("name", "good"), [("policy.yaml", POLICY), ("waivers.yaml", WAIVERS)])
def test_an_absurd_scalar_in_yaml(run, name: str, good: Any, scalar: str):
    for where, _ in sample(good, 4, list(SCALARS).index(scalar)):
        text = yaml.safe_dump(put(good, where, "HOLE"), sort_keys=False).replace("HOLE", SCALARS[scalar])
        Path(name).write_text(text, "utf-8")
        code, out, err = run("policy", "lint", name)
        assert code in (0, 2) and not acts(out + err), f"{scalar} at {where}: exit {code}: {err[:400]}"
        assert code == 0 or f"{name}:" in err


TIMES = ["x", "-1", "1e9", "1_000", "\u0661", "99999999999999999999", "999999999999", "0x10", " 1", "1.5", "nan"]


@pytest.mark.parametrize("epoch", TIMES)
def test_an_absurd_source_date_epoch(run, made, monkeypatch, epoch: str):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    code, _, err = run("gate", made.folder, "--policy", made.folder / "policy.yaml", "--registry", made.registry)
    assert code == 2 and "SOURCE_DATE_EPOCH" in err, err
