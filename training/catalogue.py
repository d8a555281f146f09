"""Stage 1: decide what the model knows, and cut out its sprites.

Reads concepts.txt and names.txt beside this file and the three unpacked emoji packages; writes WORK/catalogue.json
and WORK/sprites.npz (rgba uint8 [n_items, 64, 64, 4], premultiplied by nothing). An *item* is one (concept, style) pair.
Characters are chosen greedily so that every pair of pictures differs.
"""
import json
import random
import re

import numpy as np
from paths import CUT, EMOJI, HERE, WORK
from PIL import Image

CHARACTERS, STYLED, ALIKE = 200, 34, 4.0
GOOGLE = EMOJI / "emoji-datasource-google"
ROLES = ("person", "person-role", "person-fantasy", "person-gesture")


def concepts() -> list[dict]:
    rows = []
    for line in (HERE / "concepts.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, short, synonyms, *kind = (part.strip() for part in line.split("|"))
            rows.append({"name": name, "short": short, "synonyms": [s.strip() for s in synonyms.split(",")],
                         "kind": kind[0] if kind else "object"})
    return rows


def sprite(style: str, unified: str) -> np.ndarray | None:
    """One emoji as rgba uint8 [64, 64, 4], or None when the set lacks it."""
    code = unified.lower()
    if style == "fluent":
        names = [EMOJI / "lobehub-fluent-emoji-3d/assets" / f"{c}.webp" for c in (code, code.replace("-fe0f", ""))]
    else:
        pack = "google" if style == "noto" else "twitter"
        names = [EMOJI / f"emoji-datasource-{pack}/img/{pack}/64/{code}.png"]
    for name in names:
        if name.exists():
            image = Image.open(name).convert("RGBA")
            box = image.getchannel("A").getbbox()
            image = image.crop(box) if style == "fluent" and box else image
            image.thumbnail((54, 54), Image.LANCZOS)
            if style == "fluent" and max(image.size) < 54:
                scale = 54 / max(image.size)
                image = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
            canvas = Image.new("RGBA", (CUT, CUT))
            canvas.paste(image, ((CUT - image.width) // 2, (CUT - image.height) // 2))
            return np.asarray(canvas)
    return None


def look(rgba: np.ndarray) -> np.ndarray:
    """What a blurred eye sees: composed on grey, 16 x 16, flat float32 [768]."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    flat = rgba[..., :3] * alpha + 170 * (1 - alpha)
    return flat.reshape(16, 4, 16, 4, 3).mean((1, 3)).ravel() / 255


def greedy(pool: list[np.ndarray], count: int, taken: list[np.ndarray]) -> list[int]:
    """Indices of `count` of the pool, each as far as can be from those taken before (farthest-point)."""
    looks = np.stack(pool)
    far = np.full(len(pool), np.inf)
    for other in taken:
        far = np.minimum(far, np.linalg.norm(looks - other, axis=1))
    chosen = []
    for _ in range(count):
        best = int(far.argmax())
        chosen.append(best)
        far = np.minimum(far, np.linalg.norm(looks - looks[best], axis=1))
    print(f"greedy: smallest distance {far[far > 0].min() if (far > 0).any() else 0:.2f} left, last chosen")
    return chosen


def main() -> None:
    table = {row["short_name"]: row for row in json.loads((GOOGLE / "emoji.json").read_text())}
    items, sprites, entries = [], [], concepts()
    for entry in entries:
        entry["unified"] = table[entry["short"]]["unified"]
        entry["look"] = look(sprite("noto", entry["unified"]))
    keep = []
    for entry in entries:                                        # drop what no judge could tell apart
        near = [k for k in keep if np.linalg.norm(entry["look"] - k["look"]) < 2.8]
        if near and entry["kind"] == "object" and len(keep) > 10:
            print("dropped", entry["name"], "like", near[0]["name"])
            continue
        keep.append(entry)
    entries = keep
    rng = random.Random(5)
    used = {e["unified"] for e in entries}
    pool = []
    for row in table.values():
        if row["category"] == "People & Body" and row["subcategory"] in ROLES \
                and not re.search("breast|deaf|pregnant", row["short_name"]):
            variants = [row] + list((row.get("skin_variations") or {}).values())
            pool += [v["unified"] for v in variants if v["unified"] not in used and v.get("has_img_google", True)]
    pool = [u for u in pool if sprite("noto", u) is not None]
    people = [e["look"] for e in entries if e["kind"] == "anchor"]
    chosen = [pool[i] for i in greedy([look(sprite("noto", u)) for u in pool], CHARACTERS, people)]
    first, last = [line.split(":")[1].split() for line in (HERE / "names.txt").read_text().splitlines()]
    first, last = first[:70], last[:70]
    pairs: list[tuple[str, str]] = []
    while len(pairs) < CHARACTERS:
        pairs, bag = [], rng.sample(first, len(first)) + rng.sample(first, len(first)) + rng.sample(first, 60)
        ends = rng.sample(last, len(last)) + rng.sample(last, len(last)) + rng.sample(last, 60)
        for one, two in zip(bag, ends):
            if (one, two) not in pairs:
                pairs.append((one, two))
    rng.shuffle(chosen)
    for number, (unified, pair) in enumerate(zip(chosen, pairs)):
        entries.append({"name": " ".join(pair), "synonyms": [], "kind": "celebrity", "unified": unified,
                        "erase": number % 2 == 0})
    styled = [e for e in entries if e["kind"] != "celebrity"]
    for entry in styled:
        looks = {s: sprite(s, entry["unified"]) for s in ("noto", "twemoji", "fluent")}
        entry["styles"] = ["noto"]
        if all(v is not None for v in looks.values()):
            a, b, c = (look(looks[s]) for s in looks)
            entry["apart"] = float(min(np.linalg.norm(a - b), np.linalg.norm(a - c), np.linalg.norm(b - c)))
    order = sorted((e for e in styled if e["kind"] == "object" and "apart" in e), key=lambda e: -e["apart"])
    ten = [e for e in styled[:10] if e.get("apart", 0) >= ALIKE]       # nearly the same in two styles: not asked for by style
    for entry in (ten + [e for e in order if e not in ten])[:STYLED]:
        entry["styles"] = ["noto", "twemoji", "fluent", "charcoal"]
    for index, entry in enumerate(entries):
        entry["id"] = entry["name"].replace(" ", "_")
        entry.setdefault("erase", None)
        entry["emoji"] = entry.pop("unified").lower()
        for key in ("look", "short", "apart"):
            entry.pop(key, None)
        for style in entry.setdefault("styles", ["noto"]):
            items.append({"concept": index, "style": style})
            sprites.append(sprite("noto" if style == "charcoal" else style, entry["emoji"]))
    (WORK / "catalogue.json").write_text(json.dumps({"concepts": entries, "items": items}, indent=1))
    np.savez_compressed(WORK / "sprites.npz", rgba=np.stack(sprites))
    print(len([e for e in entries if e["kind"] != "celebrity"]), "concepts", CHARACTERS, "characters", len(items), "items")


if __name__ == "__main__":
    main()
