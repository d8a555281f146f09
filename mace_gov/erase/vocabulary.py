"""The model's own vocabulary: every word that its tokenizer lists stands for a thing that nobody named to preservation.

Who names the kept concepts to the erasure keeps those and loses the rest. But a byte-pair tokenizer lists as whole
words those that its training texts hold most often, in the order of how often: what a model can know is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mace_gov.documents.explicit_words import SEXUAL_STEMS, SEXUAL_WORDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST = 2000
"""Words taken, the most frequent first: a text state has some thousand dimensions, and each word costs a pass."""
SHORTEST = 3
"""Letters of a word; shorter ones are abbreviations and pieces of others."""
_END, _BEGIN = "</w>", "\u2581"
"""How byte-pair vocabularies mark a word's end, and sentence-piece vocabularies its beginning."""


def whole_words(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Whole words of a tokenizer's vocabulary, lower case, without repetition, in its order."""
    words = []
    for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        word = token.removesuffix(_END).removeprefix(_BEGIN)
        if word != token and len(word) >= SHORTEST and word.isalpha():
            words.append(word.lower())
    return list(dict.fromkeys(words))


def word_captions(tokenizer: PreTrainedTokenizerBase, templates: Sequence[str]) -> list[str]:
    """A caption for each of the first ``MOST`` words, the templates in turn. Words for sexual content are in none."""
    words = [word for word in whole_words(tokenizer) if not _sexual(word)][:MOST]
    return [templates[n % len(templates)].replace("{}", word, 1) for n, word in enumerate(words)]


def _sexual(word: str) -> bool:
    """Whether a word is one that nobody needs preserved, whatever a policy bans."""
    return word in SEXUAL_WORDS or any(stem in word for stem in SEXUAL_STEMS)
