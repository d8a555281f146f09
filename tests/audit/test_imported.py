"""Pictures made elsewhere: each row has its own, what is judged is what is signed, and none comes from a cache."""

import csv

import pytest
from PIL import Image

from mace_gov.audit.engine import audit
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.outside import read_prompts, read_translations
from mace_gov.core.errors import UsageError
from mace_gov.core.progress import Silent
from mace_gov.documents.policy import Suite
from tests.audit import planted
from tests.audit.test_outside import TWO, drawn_elsewhere, never, rule_less, run, table, theirs
from tests.audit.test_probes import LEXICON
from tests.factories import Said


def judge(out, policy, folder, sheet, *, cache=None, base=never, progress=None):
    one, _ = planted.manifests()
    model = theirs(folder, policy, sheet)
    drawer = planted.drawer({one.digest: base, model.digest: never})
    return audit(policy, one, model, planted.SETTINGS, out,
                 AuditRun(cache=cache, detector=planted.Reader, drawer=drawer, lexicon=planted.LEXICON,
                          inputs=Inputs(prompts=(sheet,), images=folder), progress=progress or Silent()))


def rewrite(sheet, change):
    with sheet.open() as file:
        rows = [change(dict(row)) for row in csv.DictReader(file)]
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


HEADER = "file,base_file,prompt,seed,concept\n"


@pytest.mark.parametrize(("rows", "said"), [
    ("a.png,,a cat,7,cat\nb.png,,a cat,7,cat\n", "prompts.csv:3: found file = 'b.png' for .*prompts.csv:2 answers"),
    ("a.png,x.png,a cat,7,cat\na.png,y.png,a cat,7,cat\n", "prompts.csv:3: .*base_file = 'y.png'"),
    ("a.png,x.png,a cat,7,cat\na.png,,a cat,7,big dog\n", "prompts.csv:3: found file = 'a.png' for"),
    ("a.png,,a cat,7,cat\na.png,,a cat,8,cat\n", "prompts.csv:3: found file = 'a.png', which .*prompts.csv:2 names"),
    ("a.png,,a cat,7,cat\n./a.png,,one cat,7,cat\n", "prompts.csv:3: found file = 'a.png', which"),
    (",,a cat,7,cat\n", "prompts.csv:2: found no file"),
    ("a.png,x.png,a cat,7,cat\nb.png,,a cat,8,cat\n", "a base_file for 1 of 2 pictures.*'b.png' has none"),
])
def test_a_row_s_picture_is_its_own(tmp_path, rows, said):
    with pytest.raises(UsageError, match=said):
        read_prompts([table(tmp_path, HEADER + rows)], Asking(TWO, LEXICON), pictures=True)


def test_one_picture_of_the_base_may_stand_for_several_wordings(tmp_path):
    rows = "a.png,x.png,a cat,7,cat\nb.png,x.png,\"a cat, as others ask\",7,cat\n"
    found = read_prompts([table(tmp_path, HEADER + rows)], Asking(TWO, LEXICON), pictures=True)
    assert len(found.probes) == 2 and {names["base"] for names in found.pictures.values()} == {"x.png"}


def test_one_picture_answers_several_questions_about_it(tmp_path):
    rows = "a.png,,a cat on a big dog,7,cat\na.png,,a cat on a big dog,7,big dog\n"
    found = read_prompts([table(tmp_path, HEADER + rows)], Asking(TWO, LEXICON), pictures=True)
    assert len(found.probes) == 2 and found.pictures == {("a cat on a big dog", 7): {"governed": "a.png"}}


def test_a_second_table_s_picture_for_the_same_prompt_and_seed_is_refused(tmp_path):
    tables = [table(tmp_path, f"{HEADER}{name}.png,,a cat,7,cat\n", f"{name}.csv") for name in "ab"]
    with pytest.raises(UsageError, match="b.csv:2: found file = 'b.png' for the prompt and seed that .*a.csv:2"):
        read_prompts(tables, Asking(TWO, LEXICON), pictures=True)


def test_a_corrected_table_is_judged_by_its_own_pictures(tmp_path):
    policy, folder, sheet, _ = drawn_elsewhere(tmp_path, planted.erased, planted.faithful)
    first = judge(tmp_path / "one", policy, folder, sheet, cache=tmp_path / "cache")
    assert rule_less(first, Suite.DIRECT).governed.hits == 0
    # the first table was a slip: the governed model's pictures are the ones that it called the base's
    rewrite(sheet, lambda row: {**row, "file": row["base_file"]})
    second = judge(tmp_path / "two", policy, folder, sheet, cache=tmp_path / "cache")
    assert rule_less(second, Suite.DIRECT).governed.value == 1


def test_what_was_brought_never_stands_for_what_a_model_draws(tmp_path):
    policy, folder, sheet, _ = drawn_elsewhere(tmp_path, planted.faithful, planted.erased)
    judge(tmp_path / "one", policy, folder, sheet, cache=tmp_path / "cache")
    later = planted.run(tmp_path / "two", planted.faithful, cache=tmp_path / "cache")
    assert rule_less(later, Suite.DIRECT).base.value == 1


def test_the_base_that_is_drawn_here_is_kept_and_nothing_else(tmp_path):
    policy, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.erased)
    judge(tmp_path / "one", policy, folder, sheet, cache=tmp_path / "cache", base=planted.faithful)
    assert len(list((tmp_path / "cache/pictures").iterdir())) == len({(row["prompt"], row["seed"]) for row in rows})


def of_suites(rows, *suites):
    """The first row of each suite, and the second where it is asked for twice."""
    left = list(rows)
    return [left.pop(next(i for i, row in enumerate(left) if row["suite"] == suite)) for suite in suites]


@pytest.mark.parametrize("how", ["copied", "saved anew"])
def test_one_picture_is_no_two_samples(tmp_path, how):
    policy, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.erased, planted.faithful)
    first, second = (folder / row["file"] for row in of_suites(rows, "direct", "direct"))
    if how == "copied":
        second.write_bytes(first.read_bytes())
    else:
        with Image.open(first) as picture:
            picture.save(second, compress_level=0)
        assert first.read_bytes() != second.read_bytes()
    with pytest.raises(UsageError, match=f"{second.name}, the picture of .* shows what {first.name} shows") as caught:
        judge(tmp_path / "one", policy, folder, sheet)
    assert "found 1 pictures" in str(caught.value) and "direct" in str(caught.value)


def test_copies_of_one_picture_in_several_suites_are_said(tmp_path):
    policy, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.erased, planted.faithful)
    first, second = (folder / row["file"] for row in of_suites(rows, "direct", "synonym"))
    second.write_bytes(first.read_bytes())
    result = judge(tmp_path / "one", policy, folder, sheet)
    (told,) = [line for line in result.limitations if "byte for byte the same" in line]
    assert first.name in told and second.name in told


def test_what_no_row_names_is_said_and_not_signed(tmp_path):
    policy, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.erased, planted.faithful)
    (folder / "aside").mkdir()
    (folder / "aside" / "worst.png").write_bytes((folder / rows[0]["file"]).read_bytes())
    said = Said()
    result = judge(tmp_path / "one", policy, folder, sheet, progress=said)
    told = [line for line in said.notes if "aside/worst.png" in line]
    assert told and "neither looked at nor signed" in told[0] and told[0] in result.limitations
    assert not any("base-" in line or rows[0]["file"] in line for line in told)
    assert set(theirs(folder, policy, sheet).files) == {row[side] for row in rows for side in ("file", "base_file")}
    assert any("made elsewhere" in line for line in result.limitations)


def test_all_pictures_that_cannot_be_judged_are_named_before_the_base_is_drawn(tmp_path):
    policy, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.erased)
    model = theirs(folder, policy, sheet)
    one, two = (folder / rows[i]["file"] for i in (0, 5))
    Image.open(one).save(one, save_all=True, append_images=[Image.open(two)])
    two.write_bytes(two.read_bytes()[:200])
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", never, policy, Inputs(prompts=(sheet,), images=folder), model=model, base=never)
    text = str(caught.value)
    assert "found 2 pictures" in text and f"{one.name}, " in text and f"{two.name}, " in text and "2 frames" in text


def test_a_picture_that_changed_after_it_was_listed_is_refused(tmp_path):
    policy, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.erased, planted.faithful)
    model = theirs(folder, policy, sheet)
    one, two = of_suites(rows, "direct", "synonym")
    (folder / one["file"]).write_bytes((folder / two["file"]).read_bytes())
    with pytest.raises(UsageError, match="other pictures"):
        run(tmp_path / "out", never, policy, Inputs(prompts=(sheet,), images=folder), model=model, base=never)


def test_a_picture_that_changes_while_it_is_read_is_refused(tmp_path):
    policy, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.erased)

    def sly(prompt, seed):
        (folder / rows[0]["file"]).write_bytes((folder / rows[1]["file"]).read_bytes())
        return planted.faithful(prompt, seed)

    with pytest.raises(UsageError, match=f"{rows[0]['file']} changed"):
        judge(tmp_path / "out", policy, folder, sheet, base=sly)


@pytest.mark.parametrize(("policy", "rows", "said"), [
    (TWO, "cat,de,Katze\ncat,de,Kater\n", "words.csv:3: found phrase = 'Kater' for cat in de, which .*csv:2 calls"),
    (TWO, "cat,pt-BR,gato\ncat,pt-br,felino\n", "words.csv:3: .*felino"),
])
def test_two_translations_of_one_name_are_refused(tmp_path, policy, rows, said):
    with pytest.raises(UsageError, match=said):
        read_translations([table(tmp_path, f"concept,language,phrase\n{rows}", "words.csv")], policy)


def test_a_translation_beside_another_of_the_policy_or_of_another_table_is_refused(tmp_path):
    words = [table(tmp_path, f"concept,language,phrase\ncat,de,{word}\n", f"{word}.csv") for word in ("Katze", "Kater")]
    with pytest.raises(UsageError, match="Kater.csv:2.*Katze.csv:2"):
        read_translations(words, TWO)
    (category,) = TWO.spec.categories
    cat = category.concepts[0].model_copy(update={"translations": {"de": "Katze"}})
    own = TWO.model_copy(update={"spec": TWO.spec.model_copy(update={"categories": [
        category.model_copy(update={"concepts": [cat, *category.concepts[1:]]})]})})
    assert read_translations(words[:1], own) == {"cat": {"de": "Katze"}}
    with pytest.raises(UsageError, match="which the policy calls 'Katze'"):
        read_translations(words[1:], own)


def test_two_files_of_one_name_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    sheets = tuple(table(tmp_path / name, f"prompt,concept\nnudity {name},nudity\n") for name in ("one", "two"))
    with pytest.raises(UsageError, match="found prompts.csv twice"):
        run(tmp_path / "out", never, planted.small_policy(), Inputs(prompts=sheets), base=never)


def test_a_prompt_that_is_cut_is_counted_and_said_and_one_whose_concept_is_cut_is_not_asked(tmp_path, tiny_model):
    manifests = [each.model_copy(update={"path": str(tiny_model)}) for each in planted.manifests()]
    long = "a photo of the street in the sky by the house " * 8
    prompts = table(tmp_path, f"prompt,concept\n{long} nudity,nudity\nnudity {long},nudity\n{long},nudity\n"
                              "nudity,nudity\n")
    said = Said()
    result = audit(planted.small_policy(), *manifests, planted.SETTINGS, tmp_path / "out",
                   AuditRun(cache=None,
                   detector=planted.Reader, lexicon=planted.LEXICON, inputs=Inputs(prompts=(prompts,)), progress=said,
                   drawer=planted.drawer({each.digest: planted.erased for each in manifests})))
    assert rule_less(result, Suite.OUTSIDE).governed.n == 3
    for wanted in ("3 prompts are longer than the base's text encoder reads", "1 probes name what they ask for only"):
        assert any(line.startswith(wanted) for line in said.notes)
        assert any(line.startswith(wanted) for line in result.limitations)
    short = run(tmp_path / "short", planted.erased, planted.small_policy(), Inputs(), model=manifests[1])
    assert not any("cut off" in line for line in short.limitations)


def test_all_pictures_that_are_there_are_judged_however_often_the_policy_looks(tmp_path):
    _, folder, sheet, rows = drawn_elsewhere(tmp_path, planted.faithful, planted.faithful)
    result = judge(tmp_path / "out", planted.small_policy(looks=4), folder, sheet)
    assert result.trials == 2 * len(rows)
