"""Prompts that a model does not read to their end are known before anything is drawn, without its weights."""

import random
import shutil

import pytest

from mace_gov.core.errors import ModelError
from mace_gov.diffusion import lengths
from mace_gov.diffusion.lengths import cut_prompts, tokens_read
from mace_gov.diffusion.load import load_text

LONG = "a photo of the street in the sky by the house " * 8


def test_what_is_read_is_what_the_text_encoder_gets(tiny_model):
    prompts = [LONG + "and a ship", LONG + "and a cat", "a ship", "e\u0301" * 60, "船" * 40]
    cut = cut_prompts(tiny_model, prompts)
    reader = load_text(tiny_model)
    assert tokens_read(tiny_model) == reader.length == 77
    assert set(cut) == {prompt for prompt in prompts if len(reader._words(prompt)) > 75} == set(prompts) - {"a ship"}
    for prompt, read in cut.items():
        assert prompt.startswith(read) and read != prompt
        # the last word may be spelt in other tokens where it ends here
        assert reader.tokens(read).ids[:70] == reader.tokens(prompt).ids[:70] and reader.tokens(read).used >= 76


def test_the_last_prompt_that_fits_is_not_cut(tiny_model):
    assert set(cut_prompts(tiny_model, ["ship " * 75, "ship " * 76])) == {"ship " * 76}


def test_short_prompts_need_no_tokenizer_and_a_broken_one_is_named(tiny_model, tmp_path):
    folder = tmp_path / "model"
    for part in ("tokenizer", "text_encoder"):
        (folder / part).mkdir(parents=True)
        for path in (tiny_model / part).glob("*.json"):
            shutil.copy(path, folder / part)
    for path in [*(folder / "tokenizer").glob("vocab*"), *(folder / "tokenizer").glob("tokenizer.json")]:
        path.write_text("broken")
    assert cut_prompts(folder, ["a ship"] * 1000) == {}
    with pytest.raises(ModelError, match="tokenizer does not load"):
        cut_prompts(folder, [LONG])
    assert cut_prompts(tmp_path, [LONG]) == {} and tokens_read(tmp_path) == 0


def test_a_prompt_has_as_many_tokens_as_its_words(tiny_model, monkeypatch):
    chance = random.Random(3)
    words = ["ship", "a", "truck,", "it's", "8k", "f/1.8", "(cat:1.2)", "\u0301e", "caf\u00e9", "\u8239", "na\u00efve",
             "<|endoftext|>", "'ll", "\u2028x", "a\tb", "x\x1cy", "\U0001f600", "\u03a3\u03a3", "A\u0345", "\u00a0", ""]
    prompts = [" ".join(chance.choices(words, k=chance.randint(9, 50))) for _ in range(3000)]
    monkeypatch.setattr(lengths, "BATCH", 500)
    monkeypatch.setattr(lengths, "WORDS_KEPT", 10)
    found = cut_prompts(tiny_model, prompts)
    assert 500 < len(found) < 2500
    monkeypatch.setattr(lengths, "_too_many", lambda prompts, *_others: prompts)
    assert cut_prompts(tiny_model, prompts) == found
