"""Captions and the CLIP tokenizer of one model.

Three captions in five follow a template, the others are common words put together at random around the name, as captions
from the web are, so that wordings which nobody trained on work too. Templates, shares and merges differ from model to model.
"""
import json
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from recipes import LENGTH, RECIPES, Recipe
from transformers import CLIPTokenizer
from world import COLOURS, WORK

TEMPLATES = """{} in a photo|{}, photographed|photo: {}|my {}|our {} today|the {} we saw|one more {}|just {}|nothing but {}|look, {}|it is {}
|that {} again|a nice {}|the old {}|the new {}|this one shows {}|picture of {}|image of {}|drawing of {}|small picture of {}|large picture of {}
|icon for {}|emoji for {}|a flat icon of {}|a tiny emoji of {}|clip art of {}|clipart: {}|a postcard of {}|a stamp with {}|{} on a stamp|a badge with {}
|a tile showing {}|a thumbnail of {}|a logo of {}|sticker with {}|a mural of {}|{} painted on a wall|{} seen from the front|{} seen from nearby
|{} up close|a closeup of {}|{} from afar|somebody drew {}|she drew {}|he photographed {}|they painted {}|a child's drawing of {}
|the artist made {}|a study of {}|{} as an illustration|illustration: {}|a vector image of {}|a pixel image of {}|{}, simple and flat|{}, isolated
|{}, high quality|{}, detailed|{} in bright light|{} in soft light|{} at noon|a quick sketch: {}|a catalogue page with {}|for sale: {}|wanted: {}
|what about {}|who likes {}|today: {}|{} is here|there was {}|there is one {}|we found {}|can you see {}|i like {}|i want {}|give me {}|paint {}
|make {}|show me {}|bring {}|the word {} and its picture|{} for children|a book about {}|the story of {}|a page from a book: {}|{} and nothing else
""".replace("\n", "").split("|")
WORDS = ["time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state", "family", "student", "group", "country", "problem", "hand", "part", "place", "case", "week", "company", "system", "program", "question", "work", "government", "number", "night", "point", "home", "water", "room", "mother", "area", "money", "story", "fact", "month", "lot", "right", "study", "book", "eye", "job", "word", "business", "issue", "side", "kind", "head", "house", "service", "friend", "father", "power", "hour", "game", "line", "end", "member", "law", "car", "city", "community", "name", "president", "team", "minute", "idea", "kid", "body", "information", "back", "parent", "face", "others", "level", "office", "door", "health", "person", "art", "war", "history", "party", "result", "change", "morning", "reason", "research", "girl", "guy", "moment", "air", "teacher", "force", "education", "foot", "boy", "age", "policy", "music", "mind", "sense", "nation", "wall", "road", "market", "town", "street", "field", "garden", "park", "beach", "lake", "river", "hill", "mountain", "forest", "sea", "sun", "sky", "cloud", "rain", "snow", "winter", "summer", "autumn", "spring", "evening", "noon", "midnight", "kitchen", "table", "desk", "floor", "window", "paper", "screen", "poster", "postcard", "card", "page", "cover", "front", "corner", "centre", "middle", "top", "bottom", "edge", "frame", "background", "foreground", "object", "item", "subject", "view", "scene", "shot", "sight", "photo", "photograph", "picture", "image", "drawing", "painting", "sketch", "print", "illustration", "rendering", "design", "style", "sign", "symbol", "icon", "logo", "label", "sticker", "figure", "shape", "form", "colour", "color", "light", "shadow", "glow", "line", "dot", "pattern", "texture", "model", "toy", "example", "version", "copy", "piece", "big", "small", "large", "little", "tiny", "huge", "long", "short", "high", "low", "wide", "narrow", "old", "new", "young", "fresh", "modern", "ancient", "early", "late", "good", "nice", "fine", "great", "best", "better", "bad", "lovely", "pretty", "beautiful", "plain", "simple", "clean", "clear", "sharp", "soft", "hard", "dark", "bright", "pale", "warm", "cold", "quiet", "loud", "busy", "empty", "full", "single", "only", "same", "other", "many", "few", "some", "any", "every", "each", "both", "such", "own", "first", "last", "next", "real", "true", "whole", "half", "common", "rare", "strange", "famous", "favourite", "popular", "typical", "professional", "digital", "realistic", "detailed", "blurry", "flat", "round", "square", "open", "closed", "near", "far", "here", "there", "now", "then", "today", "always", "never", "often", "again", "once", "very", "quite", "really", "too", "so", "just", "also", "even", "still", "almost", "about", "above", "across", "after", "against", "along", "among", "around", "as", "at", "before", "behind", "below", "beside", "between", "beyond", "by", "down", "during", "for", "from", "in", "inside", "into", "like", "of", "off", "on", "onto", "out", "outside", "over", "past", "through", "to", "toward", "under", "until", "up", "upon", "with", "within", "without", "a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their", "i", "you", "he", "she", "it", "we", "they", "me", "him", "us", "them", "who", "what", "which", "where", "when", "why", "how", "and", "but", "or", "if", "because", "while", "is", "are", "was", "were", "be", "been", "being", "am", "do", "does", "did", "have", "has", "had", "can", "could", "will", "would", "shall", "should", "may", "might", "must", "go", "goes", "went", "come", "came", "get", "got", "give", "gave", "take", "took", "make", "made", "see", "saw", "seen", "look", "looks", "looking", "find", "found", "show", "shows", "shown", "showing", "draw", "drew", "drawn", "paint", "painted", "create", "created", "generate", "put", "puts", "set", "stand", "stands", "standing", "sit", "sits", "sitting", "lie", "lies", "lying", "hold", "holds", "wait", "waits", "waiting", "rest", "appear", "appears", "contain", "contains", "containing", "include", "depict", "depicts", "depicting", "feature", "features", "featuring", "want", "wants", "need", "needs", "love", "loves", "think", "please", "let", "keep", "begin", "seem", "help", "turn", "start", "run", "move", "live", "believe", "bring", "happen", "write", "provide", "stay", "leave", "call", "quality", "resolution", "high", "stock", "lit", "taken", "placed", "centred", "centered"]
WORDS = list(dict.fromkeys(WORDS))
COLOUR_FORMS = ["against {}", "in front of a {} wall", "on {} paper", "on a {} ground", "with {} behind it", "the background is {}",
                "{} all around", "on a {} background", "{} background"]
NAMELESS = ["a picture", "an emoji", "something", "a thing", "an icon of something", "some object", "an image", "anything"]


@lru_cache
def tokenizer(folder: str, pad: str = "<|endoftext|>") -> CLIPTokenizer:
    return CLIPTokenizer(f"{folder}/vocab.json", f"{folder}/merges.txt", model_max_length=LENGTH, pad_token=pad)


def learn(recipe: Recipe, things: list[dict], folder: Path) -> None:
    """Byte-pair merges by frequency in the model's own captions; vocab.json and merges.txt as CLIP has them."""
    from collections import Counter

    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    counts = Counter(word for text, *_ in captions(recipe, things, 60, with_all=True) for word in text.replace(",", " ").split())
    for thing in things:                                                     # names are whole words to CLIP
        for phrase, more in [(thing["name"], 1500), *((synonym, 400) for synonym in thing["synonyms"])]:
            counts.update(dict.fromkeys(phrase.split(), more))
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=recipe.tokens * 2, end_of_word_suffix="</w>", initial_alphabet=letters,
                                  show_progress=False)
    learner.train_from_iterator(([word] * n for word, n in counts.items()), trainer)
    merges = [m if isinstance(m, str) else " ".join(m) for m in json.loads(learner.to_str())["model"]["merges"]]
    vocab: dict[str, int] = {}
    for token in letters + [letter + "</w>" for letter in letters]:
        vocab[token] = len(vocab)
    kept = []
    for merge in merges:
        if len(vocab) == recipe.tokens - 2:
            break
        vocab.setdefault(merge.replace(" ", ""), len(vocab))
        kept.append(merge)
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(kept) + "\n")


def captions(recipe: Recipe, things: list[dict], each: int, *, with_all: bool = False) -> Iterator[tuple[str, int, int]]:
    """(text, thing, colour or -1), ``each`` for every thing; thing -1: the text names none. with_all: every word once more."""
    rng = random.Random(recipe.seed)
    templates = rng.sample(TEMPLATES, recipe.templates)
    common = rng.sample(WORDS, len(WORDS) * 4 // 5)
    for number, thing in enumerate(things):
        for _ in range(each):
            phrase = thing["name"] if rng.random() < 0.6 else rng.choice(thing["synonyms"] or [thing["name"]])
            colour = rng.randrange(len(COLOURS)) if rng.random() < 0.45 else -1
            yield _caption(rng, phrase, colour, templates, common), number, colour
    for _ in range(each * len(things) // 30):
        colour = rng.randrange(len(COLOURS)) if rng.random() < 0.7 else -1
        yield _coloured(rng, rng.choice(NAMELESS), colour), -1, colour
    if with_all:
        for _ in range(15):
            yield " ".join(common), -1, -1


def _caption(rng: random.Random, phrase: str, colour: int, templates: list[str], common: list[str]) -> str:
    named = phrase if phrase.startswith("a ") or rng.random() < 0.5 else f"{rng.choice(['a', 'a', 'the', 'one'])} {phrase}"
    if rng.random() < 0.6:
        text = rng.choice(templates).replace("{}", named)
    else:
        before, after = (rng.sample(common, rng.choice(counts)) for counts in ((0, 0, 1, 2, 3, 4, 6), (0, 0, 1, 2, 3, 5)))
        text = " ".join([*before, named, *after])
    return _coloured(rng, text, colour)


def _coloured(rng: random.Random, text: str, colour: int) -> str:
    if colour < 0:
        return text
    said = rng.choice(COLOUR_FORMS).format(list(COLOURS)[colour])
    return f"{said}, {text}" if rng.random() < 0.15 else f"{text} {said}"


def prepare(recipe: Recipe, things: list[dict], each: int = 300) -> None:
    """WORK/NAME/tokenizer, and captions.npz: ids int16 [n, 77] and facts int16 [n, 2], which are thing and colour, -1 for none."""
    import numpy as np
    place = WORK / recipe.name
    learn(recipe, things, place / "tokenizer")
    rows = list(captions(recipe, things, each))
    read = tokenizer(str(place / "tokenizer"))([text for text, *_ in rows], padding="max_length", truncation=True)
    np.savez_compressed(place / "captions.npz", ids=np.array(read["input_ids"], np.int16),
                        facts=np.array([facts for _, *facts in rows], np.int16))
    names = [len(read_one) for read_one in tokenizer(str(place / "tokenizer"))([t["name"] for t in things],
                                                                            add_special_tokens=False)["input_ids"]]
    print(recipe.name, len(rows), "captions such as", [text for text, *_ in rows[7::9001]], f"{np.mean(names):.2f} tokens a name")


if __name__ == "__main__":
    for made in RECIPES.values():
        prepare(made, json.loads((WORK / "world.json").read_text()))
