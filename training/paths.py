"""Where the training stages read and write; every folder can be moved with an environment variable."""
import os
from pathlib import Path

HERE = Path(__file__).parent
WORK = Path(os.environ.get("MACE_TRAIN_WORK", HERE / "work"))
EMOJI = Path(os.environ.get("MACE_TRAIN_EMOJI", WORK / "emoji"))
CUT, SIZE = 64, 32                       # sprites are cut at 64 pixels; pictures have 32
COLOURS = {
    "red": (214, 70, 70), "brown": (150, 105, 75), "yellow": (248, 226, 110), "green": (110, 180, 110),
    "blue": (96, 150, 220), "purple": (160, 120, 200), "grey": (150, 150, 150), "white": (250, 250, 250),
}
STYLES = ("noto", "twemoji", "fluent", "charcoal")
