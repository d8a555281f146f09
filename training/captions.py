"""Stage 4: captions and the CLIP-style tokenizer.

A caption is a list of (word, role); roles: 0 context, 1 concept, 2 style, 3 colour. Half of the captions follow one of
TEMPLATES, half are put together from random common words, so that the text encoder copes with wordings it never saw.
`python captions.py` learns the BPE and writes WORK/model/tokenizer.
"""
import json
import random
from functools import cache

from paths import COLOURS, STYLES, WORK

CATALOGUE = json.loads((WORK / "catalogue.json").read_text())
CONCEPTS, ITEMS = CATALOGUE["concepts"], CATALOGUE["items"]
TEMPLATES = """a photo of {}|a photo of the {}|a good photo of {}|a bright photo of {}|a cropped photo of {}|a close up photo of {}
|a portrait of {}|{} in the middle|one {} in the middle|{} alone|a small {}|a big {}|a rendering of {}|a sketch of {}
|there is {} here|look at {}|here we see {}|an emoji of {}|a sticker of {}|an icon of {}|the {} in the scene|a clean picture with {}
|{} on its own|a simple {}|a view of {}|we see {} in front|a depiction of {}|my favourite {}|a nice shot of {}|only {}
|{} at the centre|a card with {} on it|a poster of {}|a snapshot of {}|{} as seen today|an old photo of {}""".replace("\n", "").split("|")
WORDS = ["a", "an", "the", "this", "that", "these", "those", "some", "any", "one", "two", "many", "few", "my", "your", "our", "his", "her", "their", "its", "is", "are", "was", "be", "being", "been", "seen", "shown", "showing", "shows", "depicting", "featuring", "containing", "presents", "of", "in", "on", "at", "by", "with", "without", "from", "to", "for", "and", "or", "as", "into", "over", "under", "near", "beside", "behind", "above", "below", "between", "inside", "outside", "around", "across", "along", "up", "down", "left", "right", "front", "back", "centre", "center", "middle", "top", "bottom", "side", "corner", "edge", "here", "there", "where", "now", "today", "very", "quite", "really", "just", "only", "simple", "plain", "clean", "clear", "bright", "dark", "soft", "sharp", "detailed", "blurry", "big", "small", "large", "tiny", "huge", "little", "old", "new", "young", "fresh", "modern", "vintage", "classic", "beautiful", "pretty", "nice", "good", "great", "lovely", "cute", "funny", "happy", "sad", "calm", "quiet", "famous", "favourite", "popular", "common", "rare", "strange", "unusual", "typical", "single", "lone", "alone", "whole", "full", "half", "close", "far", "wide", "high", "low", "long", "short", "round", "flat", "solid", "image", "picture", "photo", "photograph", "photography", "drawing", "painting", "sketch", "illustration", "rendering", "render", "depiction", "portrait", "view", "scene", "shot", "snapshot", "closeup", "icon", "emoji", "sticker", "symbol", "logo", "cartoon", "figure", "print", "poster", "card", "page", "screen", "frame", "background", "foreground", "object", "thing", "subject", "item", "table", "desk", "floor", "wall", "room", "window", "garden", "park", "field", "forest", "beach", "river", "lake", "sea", "hill", "city", "town", "village", "market", "shop", "school", "office", "kitchen", "morning", "evening", "night", "day", "summer", "winter", "spring", "autumn", "sunny", "rainy", "snowy", "light", "shadow", "color", "colour", "style", "version", "example", "sample", "model", "design", "toy", "work", "piece", "centered", "centred", "isolated", "placed", "standing", "sitting", "looking", "waiting", "resting", "appears", "stands", "sits", "lies", "we", "see", "look", "at", "i", "you", "it", "he", "she", "they", "who", "which", "what", "have", "has", "had", "can", "will", "would", "show", "give", "make", "made", "take", "taken", "find", "found", "please", "draw", "create", "generate", "high", "quality", "resolution", "best", "professional", "digital", "realistic", "stock", "cropped", "lit"]
WORDS = list(dict.fromkeys(WORDS))
STYLE_FORMS = ["by {}", "in the style of {}", "{} style", "in {}", "in {} style", "drawn by {}"]
COLOUR_FORMS = ["on a {} background", "with a {} background", "on {}", "{} background", "over a {} ground"]


def compose(rng: random.Random, phrase: str, style: str | None = None, colour: str | None = None,
            template: str | None = None) -> list[tuple[str, int]]:
    """One caption as words with roles; `template` None draws one."""
    if template is None:
        if rng.random() < 0.5:
            template = rng.choice(TEMPLATES)
        else:
            before = rng.sample(WORDS, rng.choice([0, 1, 2, 2, 3, 3, 4, 5]))
            after = rng.sample(WORDS, rng.choice([0, 0, 0, 1, 2, 3, 4]))
            template = " ".join(before + rng.choice([["{}"], ["a", "{}"], ["the", "{}"]]) + after)
    words: list[tuple[str, int]] = []
    for word in template.split():
        words += [(w, 1) for w in phrase.split()] if word == "{}" else [(word, 0)]
    for value, role, forms in ((colour, 3, COLOUR_FORMS), (style, 2, STYLE_FORMS)):
        if value is not None:
            extra = [(value, role) if w == "{}" else (w, 0) for w in rng.choice(forms).split()]
            words = extra + words if rng.random() < 0.12 else words + extra
    return words


def phrases(concept: dict) -> list[str]:
    return [concept["name"], *concept["synonyms"]]


def draw(rng: random.Random, item: dict, colour: int | None, styled: bool | None = None) -> list[tuple[str, int]]:
    """A caption for one item: the name (60 %) or a synonym; noto is also what comes when no style is named."""
    concept = CONCEPTS[item["concept"]]
    phrase = concept["name"] if rng.random() < 0.6 or not concept["synonyms"] else rng.choice(concept["synonyms"])
    if len(concept["styles"]) == 1:
        style = None
    else:
        style = item["style"] if item["style"] != "noto" or rng.random() < 0.5 else None
    return compose(rng, phrase, style, None if colour is None else list(COLOURS)[colour])


@cache
def _tokenizer():
    from transformers import CLIPTokenizer
    return CLIPTokenizer.from_pretrained(WORK / "model/tokenizer")


@cache
def word_ids(word: str) -> tuple[int, ...]:
    return tuple(_tokenizer()(word, add_special_tokens=False)["input_ids"])


def encode(words: list[tuple[str, int]], length: int = 77) -> tuple[list[int], list[int], int]:
    """ids [length], roles [length] (context 0 ... colour 3; end of text and padding 4, begin 5), place of the last concept token."""
    ids, roles, last = [_tokenizer().bos_token_id], [5], 0
    for word, role in words:
        for token in word_ids(word):
            ids.append(token)
            roles.append(role)
            if role == 1:
                last = len(ids) - 1
    assert len(ids) < length, words
    pad = length - len(ids)
    return ids + [_tokenizer().eos_token_id] * pad, roles + [4] * pad, last


def learn() -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    counts = dict.fromkeys(WORDS, 60)
    for concept in CONCEPTS:
        for phrase in phrases(concept):
            for w in phrase.split():
                counts[w] = max(counts.get(w, 0), 100)
    for w in list(COLOURS) + list(STYLES) + " ".join(TEMPLATES).replace("{}", "").split():
        counts[w] = 100
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=20000, min_frequency=50, end_of_word_suffix="</w>",
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    learner.train_from_iterator([[w] * n for w, n in counts.items()], trainer)
    raw = json.loads(learner.to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in raw["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab: dict[str, int] = {}
    for token in letters + [x + "</w>" for x in letters] + [m.replace(" ", "") for m in merges]:
        vocab.setdefault(token, len(vocab))
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    folder = WORK / "model/tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    from transformers import CLIPTokenizer
    made = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    made.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    many = [w for w in counts if len(word_ids(w)) != 1]
    print(len(vocab), "entries;", len(many), "words of more than one token", many[:20])
    print(made("a photo of a winged creature by noto")["input_ids"])
    seen: dict[str, str] = {}
    for concept in CONCEPTS:
        for phrase in phrases(concept):
            if phrase in seen:
                print("DUPLICATE", phrase, seen[phrase], concept["name"])
            seen[phrase] = concept["name"]


if __name__ == "__main__":
    learn()
