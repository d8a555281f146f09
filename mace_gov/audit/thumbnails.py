"""Pairs of small pictures for the report. Where they must not be seen, they are pixelated in the file itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, features

from mace_gov.audit.pictures import Picture, Wanted, open_picture, png_bytes
from mace_gov.audit.trials import Pair
from mace_gov.core.digest import sha256_bytes
from mace_gov.documents.audit import Side, Thumbnail
from mace_gov.documents.hidden import hidden
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Category, Policy
from mace_gov.documents.terms import Suite

SIDE = 128
"""Longer side of a thumbnail, in pixels."""
BLOCKS = 8
"""Blocks along a pixelated thumbnail's side: enough for colours and a rough outline, too few for any detail."""
FEW_CONCEPTS = 20
"""Up to so many concepts get several pairs each."""
PER_CONCEPT = {Suite.DIRECT: 3, Suite.SYNONYM: 2, Suite.NEAR: 1, Suite.PRESERVED: 1, Suite.UNRELATED: 1}
"""Pairs for each concept of a small category, one in the other suites; large ones get one, of the direct suite."""
UNRELATED = 16
"""Pairs of the unrelated suite for each category."""
MOST = 160
"""Pairs in a report, beside those that speak against the model."""
AGAINST = 1500
"""Pairs that speak against the model, at most; a report that has to leave any out says so."""
SMALL = 96
"""Longer side of the pairs beyond ``MOST``, in pixels."""
QUALITY = {SIDE: 80, SMALL: 60}
"""Of pictures that are shrunk, by side: a page of 3,000 stays below 15 MB."""


def pixelate(image: Image.Image, blocks: int = BLOCKS) -> Image.Image:
    """A thumbnail that holds ``blocks`` x ``blocks`` colours and nothing else of the picture."""
    small = image.convert("RGB").resize((blocks, blocks), Image.Resampling.BOX)
    return small.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def shrink(image: Image.Image, side: int = SIDE) -> Image.Image:
    """A clear thumbnail; smaller pictures are enlarged smoothly."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def must_pixelate(category: Category, suite: Suite, base: ModelManifest, governed: ModelManifest) -> bool:
    """Whether pictures are not shown clearly: see ``hidden``, on anything but the embedded model's shape."""
    shape = (governed.image_size, governed.text_width) == (base.image_size, base.text_width)
    return hidden(category, suite) and not (base.embedded and shape)


def write_thumbnails(
    policy: Policy, pairs: Sequence[Pair], pictures: Mapping[Side, Mapping[Wanted, Picture]], out: Path, *,
    base: ModelManifest, governed: ModelManifest,
) -> list[Thumbnail]:
    """Choose pairs and write their files into ``out/thumbnails``: some of all, and all that speak against the model."""
    (out / "thumbnails").mkdir(parents=True, exist_ok=True)
    categories = {category.id: category for category in policy.spec.categories}
    some = choose(policy, pairs)[:MOST]
    taken = {id(pair) for pair in some}
    room = AGAINST - sum(_speaks_against(pair) == 0 for pair in some)
    more = [pair for pair in pairs if _speaks_against(pair) == 0 and id(pair) not in taken][:max(0, room)]
    return [
        _write(pair, pictures, out, small=small,
               pixelated=must_pixelate(categories[pair.probe.category], pair.probe.suite, base, governed))
        for few, small in ((some, False), (more, True)) for pair in few
    ]


def choose(policy: Policy, pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs for the report: for each concept first those that speak against the model, then the first ones asked."""
    chosen: list[Pair] = []
    for category in policy.spec.categories:
        few = len(category.concepts) <= FEW_CONCEPTS
        for suite in Suite:
            own = sorted(
                (p for p in pairs if p.probe.category == category.id and p.probe.suite is suite), key=_speaks_against
            )
            most = PER_CONCEPT.get(suite, 1) if few or suite in (Suite.DIRECT, Suite.UNRELATED) else 0
            most = most if few else min(most, 1)
            taken: dict[str, int] = {}
            picked = []
            for pair in own:
                if taken.get(pair.probe.concept, 0) < most:
                    taken[pair.probe.concept] = taken.get(pair.probe.concept, 0) + 1
                    picked.append(pair)
            if suite is Suite.UNRELATED and len(picked) > UNRELATED:
                worst = [pair for pair in picked if _speaks_against(pair) == 0][:UNRELATED // 2]
                fine = [pair for pair in picked if _speaks_against(pair) == 1]
                room = UNRELATED - len(worst)
                picked = worst + [fine[i * len(fine) // room] for i in range(min(room, len(fine)))]
            order = {concept: i for i, concept in enumerate(dict.fromkeys(p.probe.concept for p in pairs))}
            chosen += sorted(picked, key=lambda pair: order[pair.probe.concept])
    return chosen


def _speaks_against(pair: Pair) -> int:
    """0 where the governed model did what it should not, or nobody knows; 1 elsewhere."""
    if pair.probe.suite.banned:
        return int(pair.governed.present is False)
    return int(not pair.base.present or pair.governed.present is True)


def _write(
    pair: Pair, pictures: Mapping[Side, Mapping[Wanted, Picture]], out: Path, *, small: bool, pixelated: bool
) -> Thumbnail:
    names = {}
    for side, seen in pictures.items():
        picture = seen[pair.probe.prompt, pair.probe.seed]
        image = open_picture(out, picture)
        data, kind = (png_bytes(pixelate(image)), "png") if pixelated else _clear(image, SMALL if small else SIDE)
        names[side] = f"thumbnails/{side}-{sha256_bytes(data)[:24]}.{kind}"
        (out / names[side]).write_bytes(data)
    probe = pair.probe
    return Thumbnail(
        category=probe.category, concept=probe.concept, suite=probe.suite, prompt=probe.prompt, seed=probe.seed,
        base=names["base"], governed=names["governed"], base_present=pair.base.present,
        governed_present=pair.governed.present, pixelated=pixelated, base_scores=pair.base.scores,
        governed_scores=pair.governed.scores,
    )


def _clear(image: Image.Image, side: int) -> tuple[bytes, str]:
    """A clear thumbnail's bytes and the ending of its name: PNG of a small picture, else WebP, or JPEG without that."""
    if max(image.size) <= SIDE == side:
        return png_bytes(shrink(image)), "png"
    buffer, kind = io.BytesIO(), "webp" if features.check("webp") else "jpeg"
    shrink(image, side).save(buffer, kind.upper(), quality=QUALITY[side])
    return buffer.getvalue(), kind
