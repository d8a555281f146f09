"""Synonyms from WordNet: senses, ranking in the model's text encoder, and the lock that a person reviews."""

from __future__ import annotations

import csv

import pytest
from typer.testing import CliRunner

from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.probes.wordnet import FOLDER, PARTS, WordNet, _index_lines
from mace_gov.audit.synonyms import COLUMNS, propose, with_synonyms
from mace_gov.audit.trials import read_trials
from mace_gov.cli.app import app
from mace_gov.core.errors import IncompleteError, UsageError
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.documents.policy import Suite
from mace_gov.embedded import MODEL_DIR
from tests import factories
from tests.audit import planted

LICENCE = "  1 This software and database is being provided to you as it is.  \n"
SYNSETS = {
    "noun": [(("cat", "feline", "kitty"), "a small furry pet; it purrs"), (("cat", "bus", "tractor"), "a machine"),
             (("nudity", "nakedness", "Naked_Boy"), "the state of wearing nothing")],
    "adj": [(("naked(p)", "unclothed"), "wearing nothing")],
}


@pytest.fixture
def folder(tmp_path):
    """Files in WordNet's own format, with offsets that hold."""
    home = tmp_path / "wordnet"
    home.mkdir()
    for part, synsets in SYNSETS.items():
        letter, data, places = part[0], LICENCE, {}
        for words, gloss in synsets:
            offset = len(data.encode())
            said = " ".join(f"{word} 0" for word in words)
            data += f"{offset:08d} 05 {letter} {len(words):02x} {said} 000 | {gloss}  \n"
            for word in words:
                places.setdefault(word.partition("(")[0].casefold(), []).append(f"{offset:08d}")
        (home / f"data.{part}").write_text(data, "utf-8")
        lines = [f"{word} {letter} {len(found)} 1 @ {len(found)} 1 {' '.join(found)}  \n"
                 for word, found in sorted(places.items())]
        (home / f"index.{part}").write_text(LICENCE + "".join(lines), "utf-8")
    return home


def cats(**concept):
    made = factories.policy(detectors=["judge"]).to_json()
    made["spec"]["categories"][0] |= {"kind": "object", "severity": "medium", "concepts": [
        {"id": "cat", "target": "cat", "anchor": "ground", **concept}]}
    return type(factories.policy()).model_validate(made)


def test_senses_come_with_their_words_and_glosses(folder):
    pet, machine = WordNet(folder).senses("Cat")
    assert pet.words == ("feline", "kitty") and pet.gloss == "a small furry pet" and pet.key[0] == "n"
    assert machine.words == ("bus", "tractor") and machine.key != pet.key
    (naked,) = WordNet(folder).senses("naked")
    assert naked.words == ("unclothed",) and naked.key[0] == "a"
    assert WordNet(folder).senses("zeppelin") == []


def test_absent_or_broken_files_are_named(folder, tmp_path):
    with pytest.raises(IncompleteError, match="index.noun.*expected WordNet") as error:
        WordNet(tmp_path / "nowhere")
    assert "wordnet-base" in error.value.hint
    (folder / "data.noun").write_text("x" + (folder / "data.noun").read_text("utf-8"), "utf-8")
    with pytest.raises(UsageError, match="no synset at byte"):
        WordNet(folder).senses("cat")


def rows(path):
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_the_model_ranks_its_own_synonyms_first_and_pins_and_cuts_hold(folder, tmp_path):
    base, words = read_manifest(str(MODEL_DIR)), WordNet(folder)
    assert propose(tmp_path / "all.csv", cats(), base, words) == {"cat": 4}
    found = rows(tmp_path / "all.csv")
    assert tuple(found[0]) == COLUMNS and {row["synonym"] for row in found[:2]} == {"feline", "kitty"}
    close = [float(row["closeness"]) for row in found]
    assert close == sorted(close, reverse=True) and not any(row["reviewer"] for row in found)
    assert propose(tmp_path / "cut.csv", cats(), base, words, closest=(close[1] + close[2]) / 2) == {"cat": 2}
    machine = words.senses("cat")[1].key
    assert propose(tmp_path / "pinned.csv", cats(), base, words, senses=[machine]) == {"cat": 2}
    assert {row["synonym"] for row in rows(tmp_path / "pinned.csv")} == {"bus", "tractor"}
    assert propose(tmp_path / "one.csv", cats(synonyms=["kitty"]), base, words, most=1) == {"cat": 1}
    assert [row["synonym"] for row in rows(tmp_path / "one.csv")] == ["feline"]
    with pytest.raises(UsageError, match=f"expected one of .*{machine}"):
        propose(tmp_path / "x.csv", cats(), base, words, senses=["n99999999"])
    with pytest.raises(UsageError, match="not overwritten"):
        propose(tmp_path / "all.csv", cats(), base, words)


def lock(path, *lines):
    path.write_text("\n".join(["concept,synonym,reviewer", *lines]), "utf-8")
    return path


def test_only_reviewed_rows_count(tmp_path):
    table = lock(tmp_path / "lock.csv", "cat,feline,Ada", "cat,kitty,Ada", "cat,feline,Ada")
    (_, concept), = with_synonyms(cats(synonyms=["housecat"]), [table]).concepts()
    assert concept.synonyms == ["housecat", "feline", "kitty"]
    with pytest.raises(UsageError, match=r"lock.csv:3: .*kitty.*without a reviewer"):
        with_synonyms(cats(), [lock(tmp_path / "lock.csv", "cat,feline,Ada", "cat,kitty,")])
    with pytest.raises(UsageError, match=r"lock.csv:2: .*does not ban"):
        with_synonyms(cats(), [lock(tmp_path / "lock.csv", "dog,hound,Ada")])
    with pytest.raises(UsageError, match=r"lock.csv:2: .*must not be drawn"):
        with_synonyms(factories.policy(), [lock(tmp_path / "lock.csv", "nudity,naked boy,Ada")])


def test_words_that_must_not_be_drawn_are_never_proposed(folder, tmp_path):
    base = read_manifest(str(MODEL_DIR))
    propose(tmp_path / "out.csv", factories.policy(), base, WordNet(folder))
    assert "boy" not in (tmp_path / "out.csv").read_text("utf-8").casefold()


def test_the_audit_asks_for_them_and_names_their_table(tmp_path):
    table = lock(tmp_path / "lock.csv", "nudity,unclothed,Ada")
    one, two = planted.manifests()
    from mace_gov.audit.engine import audit

    policy = planted.small_policy()
    result = audit(policy, one, two, planted.SETTINGS, tmp_path / "out",
                   AuditRun(cache=None, lexicon=planted.LEXICON,
                   detector=planted.Reader, drawer=planted.drawer({one.digest: planted.faithful,
                                                                   two.digest: planted.erased}),
                   inputs=Inputs(prompts=(table,))))
    asked = [t.prompt for t in read_trials(tmp_path / "out/trials.jsonl")
             if t.suite is Suite.SYNONYM and t.concept == "nudity"]
    assert any("unclothed" in prompt for prompt in asked)
    assert set(result.inputs) == {"lock.csv"} and result.policy_digest == policy.content_digest()


def test_the_command_writes_the_table_and_says_what_is_next(folder, tmp_path):
    (tmp_path / "policy.yaml").write_bytes(cats().canonical())
    asked = ["policy", "synonyms", str(tmp_path / "policy.yaml"), "--out", str(tmp_path / "out.csv"), "--wordnet"]
    done = CliRunner().invoke(app, [*asked, str(folder)])
    assert done.exit_code == 0 and "wrote 4 synonyms" in done.output and "reviewer" in done.output
    done = CliRunner().invoke(app, [*asked, str(tmp_path / "nowhere")])
    assert done.exit_code != 0 and isinstance(done.exception, IncompleteError)


real = pytest.mark.skipif(not (FOLDER / "data.noun").is_file(), reason="WordNet itself: Debian's wordnet-base")


@real
def test_every_sense_of_a_slice_of_the_real_wordnet_is_read_whole():
    words, seen = WordNet(), 0
    for part in PARTS.values():
        for lemma, offsets in list(_index_lines(FOLDER / f"index.{part}"))[::50]:
            senses = [sense for sense in words.senses(lemma.replace("_", " ")) if PARTS[sense.key[0]] == part]
            assert [int(sense.key[1:]) for sense in senses] == offsets
            assert all(sense.gloss and lemma not in sense.words for sense in senses)
            seen += len(senses)
    assert seen > 2000


@real
def test_the_real_wordnet_means_a_cat_by_its_first_sense_and_the_model_ranks_the_pets_words_first(tmp_path):
    pet, *others = WordNet().senses("cat")
    assert pet.key == "n02121620" and pet.words == ("true cat",) and pet.gloss.startswith("feline mammal")
    assert {"guy", "kat", "big cat"} <= {word for sense in others for word in sense.words}
    propose(tmp_path / "all.csv", cats(), read_manifest(str(MODEL_DIR)), WordNet(), most=3)
    found = rows(tmp_path / "all.csv")
    assert len(found) == 3 and "cat" in found[0]["synonym"] and found[0]["closeness"] > found[-1]["closeness"]
    propose(tmp_path / "pet.csv", cats(), read_manifest(str(MODEL_DIR)), WordNet(), senses=[pet.key], closest=-1)
    assert [row["synonym"] for row in rows(tmp_path / "pet.csv")] == ["true cat"]
