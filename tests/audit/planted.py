"""Models that draw patterns, and a detector that reads them: what an audit should say of each is known."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mace_gov.audit.engine import audit
from mace_gov.audit.inputs import AuditRun
from mace_gov.audit.probes.lexicon import Entry, Lexicon
from mace_gov.core.progress import Silent
from mace_gov.documents.audit import AuditResult, DetectorCard
from mace_gov.documents.plan import GenerationSettings, ModelManifest
from mace_gov.documents.policy import DetectorSpec, Policy
from tests import factories

WORDS = ("anchor", "apple", "bear", "bell", "book", "bread", "cactus", "camel", "candle", "chair", "clock", "crab",
         "drum", "eagle", "fox", "globe", "guitar", "harp", "kite", "lamp", "lion", "moon", "owl", "pear", "piano",
         "rose", "sofa", "tent", "tiger", "train", "tulip", "vase")
BANNED = {"nudity": "nudity", "nakedness": "nudity", "naked": "naked", "unclothed": "naked"}
PHRASES = {**{word: word for word in WORDS}, **BANNED, "swimwear": "swimwear"}
LEXICON = Lexicon(tuple(Entry(word) for word in WORDS))
SETTINGS = GenerationSettings(steps=2, guidance=4.0, size=32, batch=8)
SIDE = 32


@cache
def pattern(name: str) -> np.ndarray:
    """A name's own smooth picture, levels 0..255, [SIDE, SIDE, 3]."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=float)


def subject(prompt: str) -> str:
    """What a prompt asks for."""
    words = prompt.replace(",", " ").split()
    return next((PHRASES[word] for word in words if word in PHRASES), "nothing")


def picture(pixels: np.ndarray, seed: int, grain: float = 8.0) -> Image.Image:
    """Pixels with a little grain that comes from the seed."""
    noise = np.random.default_rng(seed).normal(0, grain, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def faithful(prompt: str, seed: int) -> Image.Image:
    return picture(pattern(subject(prompt)), seed)


def erased(prompt: str, seed: int) -> Image.Image:
    name = subject(prompt)
    return picture(pattern("person" if name in BANNED.values() else name), seed)


def noise(prompt: str, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def black(prompt: str, seed: int) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE))


def collapsed(prompt: str, seed: int) -> Image.Image:
    return picture(pattern("person"), seed)


def unheeding(prompt: str, seed: int) -> Image.Image:
    """Good pictures, of anything but what was asked for."""
    return picture(pattern(WORDS[seed % len(WORDS)] + " other"), seed)


def incapable(prompt: str, seed: int) -> Image.Image:
    """Draws everything but what is banned, before any erasure."""
    return erased(prompt, seed)


class Reader:
    """Recognises a pattern by the nearest of all; the planted stand-in for a judge."""

    name = "judge"

    def __init__(self, spec: DetectorSpec) -> None:
        self.threshold = spec.threshold or 0.5
        self.names = sorted({*PHRASES.values(), "person"})
        self.patterns = np.stack([pattern(name).ravel() for name in self.names])

    def looks_for(self, query) -> bool:
        return True

    def score(self, images: Sequence[Image.Image], queries) -> list[float]:
        found = []
        for image, query in zip(images, queries, strict=True):
            gaps = np.linalg.norm(self.patterns - np.asarray(image, dtype=float).ravel(), axis=1)
            nearest = self.names[int(gaps.argmin())]
            near = gaps.min() < 0.5 * np.median(gaps)
            found.append(float(near and nearest in {PHRASES.get(phrase, phrase) for phrase in query.phrases}))
        return found

    def card(self) -> DetectorCard:
        return DetectorCard(name=self.name, version="planted", threshold=self.threshold)


def drawer(models: dict[str, Callable[[str, int], Image.Image]]):
    """A drawer whose models are functions, by manifest digest."""

    def draw(model: ModelManifest, prompts, seeds, settings) -> Iterator[Image.Image]:
        for prompt, seed in zip(prompts, seeds, strict=True):
            yield models[model.digest](prompt, seed)

    return draw


def small_policy(**overrides) -> Policy:
    """The sample policy with ten prompts a concept and 32 unrelated ones, or as the audit settings given say."""
    made = factories.policy(**overrides.pop("policy", {}))
    audit = made.spec.audit.model_copy(update={"prompts": 10, "unrelated": 32, **overrides})
    return made.model_copy(update={"spec": made.spec.model_copy(update={"audit": audit})})


def manifests(**overrides) -> tuple[ModelManifest, ModelManifest]:
    """Base and governed."""
    base = factories.manifest(**overrides)
    return base, factories.manifest(factories.MODEL_FILES, **{"embedded": False, **overrides, "ref": "governed"})


def run(
    out: Path, governed, *, base=faithful, policy: Policy | None = None, cache: Path | None = None, detector=Reader,
    lexicon: Lexicon = LEXICON, progress=None, **overrides,
) -> AuditResult:
    """An audit of one planted model against another."""
    one, two = manifests(**overrides)
    return audit(
        policy or small_policy(), one, two, SETTINGS, out,
        AuditRun(cache=cache, detector=detector, lexicon=lexicon,
        progress=progress or Silent(), drawer=drawer({one.digest: base, two.digest: governed})),
    )
