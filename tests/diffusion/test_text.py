"""Prompts as tokens: where the concept's own tokens stand, also when they merge with the template or are cut off."""

from __future__ import annotations

import logging

import pytest
import torch

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.load import load_pipeline
from mace_gov.diffusion.text import TextReader


@pytest.fixture(scope="module")
def reader(tiny_model) -> TextReader:
    return TextReader.of(load_pipeline(tiny_model, device="cpu"))


def words(reader: TextReader, tokens) -> str:
    return reader.tokenizer.decode([tokens.ids[i] for i in tokens.positions]).strip()


@pytest.mark.parametrize(("template", "phrase", "first"), [
    ("a photo of {}", "ship", 4),
    ("{} in the middle", "ship", 1),
    ("a photo of {} on the street", "mira okafor", 4),
    ("a photo of {}", "Mira Okafor", 4),  # the tokenizer lowers the case
    ("a ship on {}", "ship", 4),  # the word stands in the template too
    ("the {} dog", "dog", 2),
])
def test_own_tokens_spell_the_phrase(reader, template, phrase, first):
    tokens = reader.fill(template, phrase)
    assert tokens.positions[0] == first
    assert words(reader, tokens) == phrase.lower()
    assert len(tokens.ids) == 77
    assert tokens.ids[tokens.used - 1] == reader.tokenizer.eos_token_id
    assert set(tokens.ids[tokens.used:]) <= {reader.tokenizer.pad_token_id}


def test_a_phrase_that_merges_with_the_template_still_has_its_place(reader):
    tokens = reader.fill("two {}s", "ship")
    assert "ship" in words(reader, tokens).replace(" ", "")


def test_a_phrase_beyond_the_encoders_length_is_an_error(reader):
    with pytest.raises(ModelError, match="no token of its own"):
        reader.fill("a photo of " * 30 + "{}", "ship")
    cut = reader.fill("a photo of {} " + "in the street " * 40, "ship")
    assert (cut.used, words(reader, cut)) == (77, "ship")


def test_the_tokenizer_says_nothing_of_long_prompts_which_are_said_here(tiny_model):
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("transformers.tokenization_utils_base")
    logger.addHandler(handler)
    try:
        reader = TextReader.of(load_pipeline(tiny_model, device="cpu"))
        prompt = "a photo of {} " + "in the street " * 40
        reader.fill(prompt, "ship")
        assert said == []
        reader.tokenizer(prompt)
        assert "longer than the specified maximum" in said[0], "the library has another remark: listen for that one"
    finally:
        logger.removeHandler(handler)


def test_states_do_not_depend_on_the_batch(reader):
    prompts = [reader.tokens(p) for p in ("a ship", "a dog in the street", "")]
    together = torch.stack(list(reader.states(prompts)))
    alone = torch.stack([next(iter(reader.states([p]))) for p in prompts])
    assert together.shape == (3, 77, 32)
    assert torch.allclose(together, alone, atol=1e-5)


def test_states_that_are_not_finite_are_refused(tiny_model):
    pipe = load_pipeline(tiny_model, device="cpu")
    next(pipe.text_encoder.parameters()).data.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        TextReader.of(pipe).conditions(["a ship"])
