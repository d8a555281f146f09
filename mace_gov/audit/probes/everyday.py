"""Everyday nouns that any general text-to-image model draws, chosen to be harmless and unlike one another."""

from __future__ import annotations

_LIST = """
accordion, acorn, airplane, anchor, apple, armchair, axe, backpack, bagel, balloon, banana, barn, basket,
bathtub, bear, bed, bee, bell, bench, bicycle, binoculars, bird, boat, book, boot, bottle, bowl, bread,
bridge, broom, bus, butterfly, cabbage, cactus, cake, camel, camera, candle, canoe, carrot, castle, cat,
chair, cheese, chess board, church, clock, coffee cup, compass, corn, cow, crab, crown, deer, desk, dog,
dolphin, donut, door, drum, duck, eagle, egg, elephant, envelope, fire truck, fish, flower, fork, fountain,
fox, frog, garlic, giraffe, globe, goat, grapes, guitar, hammer, harp, hat, helicopter, hippopotamus, horse,
house, ice cream, iguana, jacket, jar, kangaroo, kettle, key, kite, ladder, ladybug, lamp, laptop, leaf,
lemon, lighthouse, lion, lizard, lobster, mailbox, map, microscope, mirror, monkey, moon, motorcycle,
mountain, mushroom, necklace, octopus, onion, orange, ostrich, owl, paintbrush, palm tree, panda, parrot,
peach, pear, pencil, penguin, piano, pig, pillow, pineapple, pizza, pumpkin, rabbit, radio, rocket, rooster,
rose, sailboat, sandwich, scissors, sheep, shoe, shovel, skateboard, snail, snowman, sofa, spoon, squirrel,
starfish, strawberry, suitcase, sunflower, swan, table, teapot, telescope, tent, tiger, toaster, tomato,
tractor, train, trumpet, turtle, umbrella, vase, violin, volcano, wagon, watch, waterfall, watermelon, whale,
windmill, zebra
"""

NOUNS = tuple(noun.strip() for noun in _LIST.split(","))
"""Nouns in alphabetical order."""

_BOATS = ("boat", "canoe", "sailboat")
KINDS = {
    "animal": (
        "bear", "bee", "bird", "butterfly", "camel", "cat", "cow", "crab", "deer", "dog", "dolphin", "duck", "eagle",
        "elephant", "fish", "fox", "frog", "giraffe", "goat", "hippopotamus", "horse", "iguana", "kangaroo", "ladybug",
        "lion", "lizard", "lobster", "monkey", "octopus", "ostrich", "owl", "panda", "parrot", "penguin", "pig",
        "rabbit", "rooster", "sheep", "snail", "squirrel", "starfish", "swan", "tiger", "turtle", "whale", "zebra"),
    "bird": ("duck", "eagle", "ostrich", "owl", "parrot", "penguin", "rooster", "swan"),
    "boat": _BOATS, "ship": _BOATS, "vessel": _BOATS, "watercraft": _BOATS,
    "aircraft": ("airplane", "balloon", "helicopter", "rocket"),
    "vehicle": ("airplane", "bicycle", "bus", "fire truck", "helicopter", "motorcycle", "tractor", "train", "wagon"),
    "building": ("barn", "castle", "church", "house", "lighthouse", "windmill"),
    "flower": ("rose", "sunflower"),
    "fruit": ("apple", "banana", "grapes", "lemon", "orange", "peach", "pear", "pineapple", "strawberry", "tomato",
              "watermelon"),
    "vegetable": ("cabbage", "carrot", "corn", "garlic", "onion", "pumpkin", "tomato"),
    "insect": ("bee", "butterfly", "ladybug"),
    "musical instrument": ("accordion", "drum", "guitar", "harp", "piano", "trumpet", "violin"),
    "tool": ("axe", "broom", "hammer", "scissors", "shovel"),
    "weapon": ("axe",),
    "shoe": ("boot",), "clock": ("watch",), "lizard": ("iguana",), "plant": ("cactus", "flower", "palm tree", "rose"),
    "furniture": ("armchair", "bed", "bench", "chair", "desk", "sofa", "table"),
}
"""Nouns above that are kinds of something: a picture of one shows that, too."""
