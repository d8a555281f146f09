"""Malformed tables of prompts and of labels: each is refused by name, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import factories
from tests.campaign.test_bad_input import GOOD

PROMPTS = {
    "empty": b"", "blank": b"\n\n", "a header alone": b"prompt,concept\n", "no prompt column": b"text\na ship\n",
    "latin-1": b"prompt\ncaf\xe9\n", "utf-16": "prompt\na ship\n".encode("utf-16"), "a picture": factories.png(3),
    "a null byte in the header": b"pro\0mpt\na ship\n", "a column twice": b"prompt,prompt\na,b\n",
    "a null byte in a prompt": b"prompt\na s\0hip\n",
    "too few cells": b"prompt,concept\na ship\n", "too many cells": b"prompt,concept\na ship,ship,1\n",
    "an open quote": b'prompt,concept\n"a ship,ship\n', "a quote inside": b'prompt\n"a "ship""\n',
    "semicolons": b"prompt;concept\na ship;ship\n", "tabs": b"prompt\tconcept\na ship\tship\n",
    "no prompt in a row": b"prompt,concept\n,ship\n", "an unknown concept": b"prompt,concept\na ship,boat\n",
    "an unknown category": b"prompt,category\na ship,boats\n", "an unknown suite": b"prompt,suite\na ship,all\n",
    "a suite that asks for what is expected": b"prompt,suite\na ship,unrelated\n",
    "a seed in words": b"prompt,seed\na ship,seven\n", "a negative seed": b"prompt,seed\na ship,-1\n",
    "a seed with a fraction": b"prompt,seed\na ship,1.5\n", "a seed of 33 bits": b"prompt,seed\na ship,4294967296\n",
    "a superscript seed": "prompt,seed\na ship,\u00b2\n".encode(), "a huge cell": b"prompt\n" + b"x" * 200_000 + b"\n",
    "a language that is none": b"concept,language,phrase\nship,klingon language,x\n",
    "a translation of nothing": b"concept,language,phrase\nboat,de,Boot\n",
    "a translation without words": b"concept,language,phrase\nship,de,\n", "a folder": None, "nothing": None,
}


@pytest.mark.parametrize("case", PROMPTS)
def test_a_table_of_prompts_that_is_none(run, case: str):
    Path("policy.yaml").write_text(GOOD)
    _table(Path("prompts.csv"), case, PROMPTS[case])
    code, _, err = run("audit", "embedded", "--policy", "policy.yaml", "--prompts", "prompts.csv")
    assert code == 2 and "prompts.csv" in err, err


LABELS = {
    "empty": b"", "a header alone": b"file,phrase,present\n", "a column missing": b"file,phrase\na.png,ship\n",
    "latin-1": b"file,phrase,present\n\xe9.png,ship,1\n", "no phrase": b"file,phrase,present\na.png,,1\n",
    "neither present nor absent": b"file,phrase,present\na.png,ship,maybe\n",
    "no such file": b"file,phrase,present\nb.png,ship,1\n", "a way out": b"file,phrase,present\n../a.png,ship,1\n",
    "an absolute path": b"file,phrase,present\n/etc/hostname,ship,1\n",
    "a folder for a file": b"file,phrase,present\n.,a,1\n",
    "a null byte in a name": b"file,phrase,present\na\0.png,ship,1\n", "no file": b"file,phrase,present\n,ship,1\n",
    "a name too long": b"file,phrase,present\n" + b"a" * 5000 + b".png,ship,1\n",
    "a facet that is none": b"file,phrase,present,facet\na.png,ship,1,mood\n",
    "present alone": b"file,phrase,present\na.png,ship,1\n",
    "no picture": b"file,phrase,present\nlabels.csv,ship,1\na.png,ship,0\n", "a folder": None, "nothing": None,
}


@pytest.mark.parametrize("case", LABELS)
def test_a_table_of_labels_that_is_none(run, case: str):
    Path("a.png").write_bytes(factories.png(3))
    _table(Path("labels.csv"), case, LABELS[case])
    code, _, err = run("detectors", "calibrate", "judge", "labels.csv")
    assert code == 2 and ("labels.csv" in err or case == "present alone"), err


def _table(path: Path, case: str, data: bytes | None) -> None:
    if data is not None:
        path.write_bytes(data)
    elif case == "a folder":
        path.mkdir()
