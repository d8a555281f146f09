"""The model's own vocabulary: every word that its tokenizer lists stands for a thing that nobody named to preservation.

Who names the kept concepts to the erasure keeps those and loses the rest. But a byte-pair tokenizer lists as whole
words those that its training texts hold most often, in the order of how often: what a model can know is among them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mace_gov.documents.explicit_words import SEXUAL_STEMS, SEXUAL_WORDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST = 2000
"""Words taken, the most frequent first: a text state has some thousand dimensions, and each word costs a pass."""
SHORTEST = 3
"""Letters of a word; shorter ones are abbreviations and pieces of others."""
ONE, WORD = 0.5, 0.3
"""Shares of strangers who differ from a name in one token, and in one word."""
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


def strangers(tokenizer: PreTrainedTokenizerBase, names: Sequence[str], each: int, seed: int) -> list[str]:
    """Phrases that are much like names and are nobody's: a name with some of its tokens exchanged, ``each`` of a name.

    One token, one of its words, or all but one token, for others that stand in the same place of a word. Names are
    split by a byte-pair tokenizer; one without marks of words' ends has none.
    """
    tokens = [token for token in tokenizer.get_vocab() if token.removesuffix(_END).isalpha()]
    tokens = sorted(token for token in tokens if token.isascii() and not _sexual(token.removesuffix(_END).lower()))
    ends, inner = [t for t in tokens if t.endswith(_END)], [t for t in tokens if not t.endswith(_END)]
    if not ends or not inner:
        return []
    draw, found = random.Random(seed), []
    for name in sorted(names):
        own = tokenizer.tokenize(name)
        if not (words := list(range(sum(token.endswith(_END) for token in own)))):
            continue
        of = [sum(token.endswith(_END) for token in own[:n]) for n in range(len(own))]  # each token's word
        for _ in range(each):
            way, one = draw.random(), draw.randrange(len(own))
            word = draw.choice(words)
            changed = ([one] if way < ONE else [n for n, w in enumerate(of) if w == word] if way < ONE + WORD
                       else [n for n in range(len(own)) if n != one])
            made = [draw.choice(ends if t.endswith(_END) else inner) if n in changed else t for n, t in enumerate(own)]
            if made != own:
                found.append("".join(made).replace(_END, " ").strip())
    return list(dict.fromkeys(found))


def _sexual(word: str) -> bool:
    """Whether a word is one that nobody needs preserved, whatever a policy bans."""
    return word in SEXUAL_WORDS or any(stem in word for stem in SEXUAL_STEMS)
