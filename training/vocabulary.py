"""Stage 8b: write vocabulary.json: what the model knows, and the sampler and CFIS settings measured on it."""
import argparse
import json
from pathlib import Path

from captions import COLOUR_FORMS, COLOURS, CONCEPTS, STYLE_FORMS, STYLES, TEMPLATES


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--to", type=Path, default=Path(__file__).parents[1] / "mace_gov/embedded/vocabulary.json")
    args.add_argument("--cfis", type=float, nargs=3, default=(50, 300, 0.05), metavar=("T1", "T2", "GAMMA"))
    args = args.parse_args()
    keep = ("id", "name", "synonyms", "kind", "emoji", "styles", "erase")
    rows = [{k: c[k] for k in keep} for c in CONCEPTS]
    for row in rows:
        if row["id"] in ("person", "person_wearing_clothes"):    # anchors, written with their article in policies
            row["synonyms"] = [row["name"], *row["synonyms"]]
            row["name"] = "a " + row["name"]
    styles = [{"name": s, "phrase": "in charcoal" if s == "charcoal" else f"by {s}", "synonyms": [f"in the style of {s}", f"{s} style"],
               "default": s == "noto"} for s in STYLES]
    t1, t2, gamma = args.cfis
    out = {"concepts": rows, "styles": styles, "colours": list(COLOURS), "templates": TEMPLATES,
           "style_forms": STYLE_FORMS, "colour_forms": COLOUR_FORMS,
           "sampler": {"steps": 20, "guidance": 3.0, "size": 32, "scheduler": "DDIM"},
           "cfis": {"t1": t1, "t2": t2, "gamma": gamma}}
    args.to.write_text(json.dumps(out, separators=(",", ":"), ensure_ascii=False) + "\n")
    print(len(rows), "concepts written")


if __name__ == "__main__":
    main()
