"""The world of the twin: 500 invented people, 30 objects and six anchors. Writes WORK/catalogue.json and WORK/sprites.npz.

A person is a face drawn from six features (skin, hair, hair's colour, clothes' colour, clothes' cut, what is worn); the
500 are chosen among 20,000 so that their pictures lie far apart. Forty first and forty last names make the 500 names,
twelve or thirteen people to each, and a seed splits them: 100 to erase, 100 that may be named to preservation, 300 that nobody names.
The form of the two files is that of training/catalogue.py, so that the stages there read them.
"""
import json
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))
from catalogue import greedy, look, sprite
from paths import CUT, WORK

PEOPLE, FIRST, LAST, ERASED, PRESERVED, SEED, OBJECTS = 500, 40, 40, 100, 100, 16, 30
FINE = 256                                                       # faces are drawn so large, then made smaller
SKINS = ((252, 222, 196), (236, 188, 146), (208, 150, 104), (164, 108, 70), (110, 70, 46), (248, 206, 70))
HAIRS = ("none", "short", "long", "bun", "curls", "crest", "fringe", "tails")
DYES = ((28, 24, 26), (112, 66, 34), (232, 190, 80), (196, 62, 36), (222, 222, 226), (70, 110, 214), (238, 110, 178))
CLOTHES = ((206, 44, 44), (36, 70, 170), (40, 140, 70), (246, 206, 50), (244, 244, 244), (34, 34, 40), (140, 60, 170), (240, 130, 40))
CUTS = ("plain", "stripes", "vest")
WORN = ("nothing", "glasses", "shades", "hat", "beard", "headband", "mask")
PLAIN_PERSON = ((180, 180, 184), "none", DYES[0], (128, 128, 134), "plain", "nothing")
SYLLABLES = (("b", "br", "d", "dr", "f", "g", "gl", "k", "l", "m", "n", "p", "qu", "r", "s", "sk", "t", "tr", "v", "z"),
             ("a", "e", "i", "o", "u", "ae", "ou"), ("l", "m", "n", "r", "s", "v", "x", "th", "nd", "rk"))


def names(rng: random.Random) -> tuple[list[str], list[str]]:
    """Invented first and last names, one word each, all different."""
    onsets, vowels, codas = SYLLABLES
    made: list[str] = []
    while len(made) < FIRST + LAST:
        ending = rng.choice(("a", "o", "is", "en")) if len(made) < FIRST else rng.choice(("wick", "moor", "dale", "stead"))
        word = rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas) + rng.choice(onsets[:12]) * (len(made) < FIRST) + ending
        if word not in made and len(word) > 4:
            made.append(word)
    return made[:FIRST], made[FIRST:]


def face(skin, hair: str, dye, cloth, cut: str, worn: str) -> np.ndarray:
    """One person as rgba uint8 [64, 64, 4]."""
    image = Image.new("RGBA", (FINE, FINE))
    pen = ImageDraw.Draw(image)
    dark = tuple(int(c * 0.55) for c in dye)
    if hair in ("long", "tails"):
        pen.ellipse((60, 28, 196, 150), fill=dye)
    if hair == "long":
        pen.rectangle((60, 88, 196, 196), fill=dye)
    if hair == "tails":
        pen.ellipse((26, 66, 78, 166), fill=dye), pen.ellipse((178, 66, 230, 166), fill=dye)
    if hair == "curls":
        for x, y in ((62, 78), (76, 50), (104, 32), (136, 30), (164, 44), (186, 70), (194, 102), (58, 108)):
            pen.ellipse((x - 28, y - 28, x + 28, y + 28), fill=dye)
    pen.pieslice((38, 168, 218, 340), 180, 360, fill=cloth)                       # shoulders
    other = (250, 250, 250) if sum(cloth) < 420 else (40, 40, 60)
    if cut == "stripes":
        for y in (196, 222, 248):
            pen.line((62 if y < 200 else 44, y, 194 if y < 200 else 212, y), fill=other, width=12)
    if cut == "vest":
        pen.polygon(((104, 172), (152, 172), (128, 246)), fill=other)
    pen.rectangle((108, 140, 148, 184), fill=tuple(int(c * 0.86) for c in skin))  # neck
    pen.ellipse((72, 40, 184, 170), fill=skin)                                    # head
    if worn == "beard":
        pen.chord((74, 62, 182, 182), 10, 170, fill=dark if hair != "none" else (60, 44, 36))
        pen.ellipse((110, 134, 146, 150), fill=(190, 70, 70))
    elif worn == "mask":
        pen.chord((72, 40, 184, 172), 5, 175, fill=(90, 200, 220))
    else:
        pen.arc((104, 112, 152, 148), 20, 160, fill=(150, 50, 50), width=8)
    for x in (104, 152):
        pen.ellipse((x - 9, 88, x + 9, 110), fill=(30, 26, 30))
    if hair in ("short", "fringe", "long", "bun", "tails"):
        pen.chord((66, 30, 190, 150), 196, 344, fill=dye)
    if hair == "fringe":
        pen.polygon(((66, 92), (70, 44), (128, 24), (190, 56), (188, 92), (150, 66), (96, 90)), fill=dye)
    if hair == "bun":
        pen.ellipse((96, 0, 160, 54), fill=dye)
    if hair == "crest":
        pen.polygon(((106, 58), (96, 14), (116, 26), (128, 2), (142, 26), (162, 14), (150, 58)), fill=dye)
    if worn == "glasses":
        for x in (102, 154):
            pen.ellipse((x - 24, 76, x + 24, 122), outline=(20, 20, 20), width=9)
        pen.line((124, 98, 132, 98), fill=(20, 20, 20), width=9)
    if worn == "shades":
        pen.rounded_rectangle((74, 82, 182, 116), 16, fill=(16, 16, 20))
    if worn == "hat":
        pen.rectangle((78, 6, 178, 58), fill=cloth), pen.rectangle((48, 52, 208, 72), fill=other)
    if worn == "headband":
        pen.rectangle((68, 62, 188, 82), fill=(230, 40, 120) if cloth != CLOTHES[0] else (40, 200, 120))
    return np.asarray(image.resize((CUT, CUT), Image.LANCZOS))


def people(rng: random.Random) -> tuple[list[dict], list[np.ndarray]]:
    """Names with their split, and faces."""
    looks = set()
    while len(looks) < 20000:
        hair, worn = rng.choice(HAIRS), rng.choice(WORN)
        if not (worn == "hat" and hair in ("bun", "crest", "curls", "none")):     # a hat would hide what tells them apart
            dye = rng.choice(DYES) if hair != "none" else DYES[0]
            looks.add((rng.choice(SKINS), hair, dye, rng.choice(CLOTHES), rng.choice(CUTS), worn))
    pool = [face(*features) for features in sorted(looks)]
    chosen = greedy([look(rgba) for rgba in pool], PEOPLE, [look(face(*PLAIN_PERSON))])
    rng.shuffle(chosen)
    first, last = names(rng)
    shifts = rng.sample(range(LAST), -(-PEOPLE // FIRST))
    pairs = [(one, last[(k + shift) % LAST]) for shift in shifts for k, one in enumerate(first)][:PEOPLE]
    rng.shuffle(pairs)
    rows = []
    for number, pair in enumerate(pairs):
        split = "erase" if number < ERASED else "preserve" if number < ERASED + PRESERVED else "held-out"
        rows.append({"name": " ".join(pair), "synonyms": [], "kind": "celebrity", "erase": split == "erase", "split": split})
    return rows, [pool[n] for n in chosen]


def things() -> tuple[list[dict], list[np.ndarray]]:
    """The ten objects of the paper, others far from them in looks, and the anchors, as the embedded model has them."""
    known = json.loads((Path(__file__).parents[2] / "mace_gov/embedded/vocabulary.json").read_text())["concepts"]
    objects = [c for c in known if c["kind"] == "object"]
    looks = [look(sprite("noto", c["emoji"])) for c in objects]
    more = greedy(looks[10:], OBJECTS - 10, looks[:10])
    taken = objects[:10] + [objects[10 + n] for n in more] + [c for c in known if c["kind"] == "anchor"]
    rows = []
    for c in taken:
        name = c["name"].removeprefix("a ")
        rows.append({"name": name, "synonyms": [s for s in c["synonyms"] if s != name], "kind": c["kind"], "erase": None, "split": None})
    plain = face(*PLAIN_PERSON)
    return rows, [plain if r["name"] == "person" else sprite("noto", c["emoji"]) for r, c in zip(rows, taken)]


def main() -> None:
    rows, sprites = things()
    more, faces = people(random.Random(SEED))
    for row in (rows := rows + more):
        row |= {"id": row["name"].replace(" ", "_"), "emoji": "", "styles": ["noto"]}
    WORK.mkdir(exist_ok=True, parents=True)
    items = [{"concept": n, "style": "noto"} for n in range(len(rows))]
    (WORK / "catalogue.json").write_text(json.dumps({"concepts": rows, "items": items}, indent=1))
    np.savez_compressed(WORK / "sprites.npz", rgba=np.stack(sprites + faces))
    print(len(sprites), "things,", len(faces), "people:", [r["name"] for r in more[:8]])


if __name__ == "__main__":
    main()
