"""Stage 6: the twin as one folder: the pipeline in half precision, its judge, and vocabulary.json with the people's split.

`python finish.py --to FOLDER`. benchmarks/twin.py reads that folder.
"""
import argparse
import json
import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from captions import COLOUR_FORMS, COLOURS, CONCEPTS, STYLE_FORMS, TEMPLATES
from paths import WORK


def vocabulary() -> dict:
    """What the twin knows, in the form of the embedded model's vocabulary.json; `split` tells the people apart."""
    rows = [{key: c[key] for key in ("id", "name", "synonyms", "kind", "emoji", "styles", "erase", "split")} for c in CONCEPTS]
    for row in rows:
        if row["id"] in ("person", "person_wearing_clothes"):        # anchors, written with their article in policies
            row["synonyms"] = [row["name"], *row["synonyms"]]
            row["name"] = "a " + row["name"]
    return {"concepts": rows, "styles": [], "colours": list(COLOURS), "templates": TEMPLATES, "style_forms": STYLE_FORMS,
            "colour_forms": COLOUR_FORMS, "sampler": {"steps": 20, "guidance": 3.0, "size": 32, "scheduler": "DDIM"},
            "cfis": {"t1": 50, "t2": 300, "gamma": 0.05}}


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--to", type=Path, default=WORK / "twin")
    args = args.parse_args()
    sys.argv = ["export.py", "--to", str(args.to)]
    import export  # of the folder above; it finds this folder's unet.py
    export.main()
    shutil.rmtree(args.to / "judge", ignore_errors=True)
    shutil.copytree(WORK / "judge", args.to / "judge")
    (args.to / "vocabulary.json").write_text(json.dumps(vocabulary(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
