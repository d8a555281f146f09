"""Stage 3b: write WORK/model/vae from WORK/vae/last.pt with the scaling factor that gives its latents unit variance."""
import numpy as np
import torch
from paths import WORK
from rendering import batch
from vae import build


def main() -> None:
    model = build()
    model.load_state_dict(torch.load(WORK / "vae/last.pt")["model"])
    place = WORK / "vae/scale.txt"
    if not place.exists():                                       # a decoder trained later keeps the first scale
        with torch.no_grad():
            latents = model.eval().encode(batch(512, np.random.default_rng(0))[0]).latent_dist.mean
        place.write_text(str(round(1 / latents.std().item(), 5)))
    model.register_to_config(scaling_factor=float(place.read_text()))
    model.save_pretrained(WORK / "model/vae")
    print("scaling factor", place.read_text())


if __name__ == "__main__":
    main()
