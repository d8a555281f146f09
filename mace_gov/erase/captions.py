"""General captions, whose outputs the erasure must leave alone: the prior of the preserve term.

Plain descriptions of everyday things, in the manner of picture captions, made by rule so that the list is small to
read and the same everywhere. They name no person, no artist and nothing explicit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mace_gov.core.errors import ModelError
from mace_gov.core.files import read_file
from mace_gov.core.phrases import phrase_key

OWN_CAPTIONS = "captions.txt"
"""File in a model folder that replaces the general captions."""

THINGS = """
airplane|apple|avocado|backpack|banana|basketball|bear|bed|bee|bell|bench|bicycle|bird|boat|book|bottle|bowl of soup
box|bread|bridge|broom|bus|butterfly|cabin|cactus|cake|camel|camera|campfire|candle|canoe|car|carrot|castle|cat|cheese
cherry|chess piece|chicken|clock|cloud|coat|coconut|computer|cookie|corn|cow|crab|crocodile|crown|cup of coffee|deer
desk|dog|dolphin|donkey|door|dress|drum|duck|eagle|egg|elephant|envelope|factory|fan|feather|fence|fire truck|fish|flag
flamingo|flashlight|flower|fork|fountain|fox|frog|garden|gift|giraffe|glass of water|glasses|glove|goat|grapes|guitar
hammer|hat|hedgehog|helicopter|helmet|hen|hippo|honey|horse|house|ice cream|island|jacket|jar|jellyfish|kangaroo|key
kite|kiwi|knife|koala|ladder|lamp|leaf|lemon|leopard|letter|lighthouse|lion|lizard|lobster|lock|magnet|mailbox|map|mask
melon|microphone|microscope|milk|mirror|monkey|moon|motorcycle|mountain|mouse|mushroom|necklace|newspaper|nest|notebook
octopus|onion|orange|ostrich|otter|owl|paintbrush|palm tree|panda|parrot|peach|peacock|pear|pen|pencil|penguin|piano
pie|pig|pineapple|pizza|plate of rice|potato|pumpkin|puppy|rabbit|raccoon|radio|railway|rainbow|refrigerator|rhino|ring
river|road|robot|rocket|roof|rooster|rope|rose|ruler|sailboat|salad|sandwich|satellite|saxophone|scarf|school|scissors
scooter|seal|seashell|seashore|shark|sheep|shelf|ship|shirt|shoe|shovel|shrimp|sign|skateboard|skis|sled|sloth|snail
snake|snowflake|snowman|soap|soccer ball|sock|sofa|spider|spoon|squid|squirrel|stadium|stairs|star|statue|stove
strawberry|submarine|suitcase|sun|sunflower|swan|sweater|sword|table|taxi|teapot|teddy bear|telephone|telescope
television|tent|tiger|tomato|tooth|toothbrush|tower|tractor|traffic light|train|tree|trophy|truck|trumpet|tulip|turkey
turtle|typewriter|umbrella|unicorn|van|vase|vegetables|violin|volcano|wagon|wallet|watch|waterfall|watermelon|whale
wheel|whistle|window|wolf|wooden chair|zebra
"""
PEOPLE = """
a man|a woman|a person|an old man|an old woman|a young man|a young woman|a group of people|two people|a family|a couple
a farmer|a doctor|a teacher|a cook|a baker|a painter|a pilot|a sailor|a firefighter|a police officer|a student|a singer
a scientist|a mechanic|a judge|an astronaut|a construction worker|a runner|a swimmer|a cyclist|a person wearing clothes
"""
DOING = """
standing in the street|sitting on a bench|walking in the park|cooking in a kitchen|reading a book|holding an umbrella
riding a bicycle|talking on the phone|waiting for a train|looking at the camera|working at a desk|eating lunch outside
"""
FRAMES = """
a photo of {}|a picture of {}|{} on a table|{} in front of a building|{} near a window|a painting of {}|a drawing of {}
{} in the middle|{} next to a wall|a close view of {}|{} under a clear sky|two pictures of {}|{} seen from above
a small {} on the ground|a large {} by the road|an old {} in a room|{} in the morning light|a gray photo of {}
one {}|{} in the snow|{} on a blue background|{} on a white background|a watercolor of {}|{} on the grass|an image of {}
"""
SCENES = """
a street at night|the sky with clouds|a road through a forest|the ground covered with leaves|a kitchen with a window
a city seen from above|a beach in summer|a quiet lake|a field of wheat|a room with two chairs|art on a wall|a blue sky
a market with fruit|a wooden floor|a bathroom with a mirror|snow on the mountains|a harbor in the evening|an empty room
a library full of books|rain on a window|a desert under the sun|a park with tall trees|a plain background|a stone wall
"""


def _items(text: str) -> list[str]:
    return [item for line in text.strip().splitlines() for item in line.split("|")]


def general_captions() -> list[str]:
    """All general captions, always in the same order: every thing in two frames, every person doing two things."""
    things, frames, people, doing = _items(THINGS), _items(FRAMES), _items(PEOPLE), _items(DOING)
    captions = list(_items(SCENES))
    for index, thing in enumerate(things):
        for step in (0, 11):
            frame = frames[(index + step) % len(frames)]
            bare = frame.split("{}")[0].endswith(("small ", "large ", "old ", "one "))
            captions.append(frame.format(thing if bare else _with_article(thing)))
    for index, person in enumerate(people):
        captions += [f"{person} {doing[(index + step) % len(doing)]}" for step in (0, 5)]
    return captions


def _with_article(thing: str) -> str:
    if thing in {"bread", "cheese", "glasses", "grapes", "honey", "milk", "scissors", "skis", "stairs", "vegetables"}:
        return thing
    return f"{'an' if thing[0] in 'aeiou' and not thing.startswith('uni') else 'a'} {thing}"


def captions_for(model: Path) -> list[str]:
    """Captions of what a model is meant to draw: its own ``captions.txt``, one a line, or else the general ones.

    A model that knows few words brings its own list, since the general one is mostly noise to it.
    """
    own = model / OWN_CAPTIONS
    if not own.is_file():
        return general_captions()
    try:
        text = read_file(own).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{own} cannot be read: {error}", hint="Give UTF-8 text, a caption a line.") from error
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def without(captions: Sequence[str], phrases: Iterable[str]) -> list[str]:
    """The captions that name none of ``phrases``: what is to be erased cannot be preserved as well."""
    words = "|".join(re.escape(phrase) for phrase in sorted({phrase_key(phrase) for phrase in phrases}))
    if not words:
        return list(captions)
    named = re.compile(rf"(?<!\w)(?:{words})(?:e?s)?(?!\w)")
    return [caption for caption in captions if not named.search(phrase_key(caption))]
