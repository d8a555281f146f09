"""The tokenizer's own words as captions of the prior."""

from mace_gov.erase.preserve import prior_captions, split
from mace_gov.erase.vocabulary import MOST, SHORTEST, strangers, whole_words, word_captions


class Words:
    """A tokenizer's vocabulary."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens

    def get_vocab(self) -> dict[str, int]:
        return {token: n for n, token in reversed(list(enumerate(self.tokens)))}


def test_whole_words_come_in_the_vocabularys_order_and_pieces_do_not():
    tokens = ("!", "a</w>", "shi", "ship</w>", "<|endoftext|>", "Dog</w>", "2nd</w>", "\u2581tree", "dog</w>")
    found = whole_words(Words(*tokens))
    assert found == ["ship", "dog", "tree"] and all(len(word) >= SHORTEST for word in found)


def test_there_are_no_more_captions_than_the_bound_and_templates_take_turns():
    words = (f"{chr(97 + n % 26) * 3}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}q</w>" for n in range(3000))
    made = word_captions(Words(*words), ["a {}", "b {}"])
    assert len(made) == MOST and made[0].startswith("a ") and made[1].startswith("b ")


def test_words_for_sexual_content_are_preserved_by_no_policy():
    assert word_captions(Words("nude</w>", "ship</w>", "erotica</w>"), ["a {}"]) == ["a ship"]


def test_banned_words_are_in_no_caption_of_the_prior(reader, plan_for):
    plan = plan_for()
    plan = plan.model_copy(update={
        "preserve": plan.preserve.model_copy(update={"prior": "vocabulary"}),
        "targets": [target.model_copy(update={"other_names": ["street"]}) for target in plan.targets]})
    words = set(whole_words(reader.tokenizer))
    assert {"ship", "street"} & words  # or this shows nothing
    captions = prior_captions(plan, reader.tokenizer)
    spelt = {word for caption in captions for word in caption.split()}
    assert not {"ship", "dog", "street"} & spelt and len(captions) > len(prior_captions(plan_for(), reader.tokenizer))


def test_what_a_fit_holds_out_is_every_tenth_caption_and_the_rest_is_given():
    given, held = split([str(n) for n in range(25)])
    assert held == ["9", "19"] and len(given) == 23


def test_strangers_are_a_name_with_other_tokens_in_their_places(reader):
    tokenizer, name = reader.tokenizer, "mira okafor"
    found = strangers(tokenizer, [name], 60, seed=3)
    assert 40 < len(found) <= 60 and name not in found
    assert found == strangers(tokenizer, [name], 60, seed=3) != strangers(tokenizer, [name], 60, seed=4)
    kept = [sum(word in name.split() for word in stranger.split()) for stranger in found]
    assert all(len(stranger.split()) == 2 for stranger in found)
    assert kept.count(1) > len(kept) / 8  # a word of it, or some of its pieces


def test_a_tokenizer_without_marks_of_words_ends_has_no_strangers():
    assert strangers(Words("\u2581mira", "okafor"), ["mira okafor"], 5, seed=0) == []
