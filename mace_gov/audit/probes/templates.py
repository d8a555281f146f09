"""Probe captions, none of which the erasure or the embedded model was trained on (a test compares the lists).

A suite may need several hundred different captions for one concept, so that each is an independent trial: the plain
frames come first, then frames joined with settings, in an order that uses every frame before it repeats one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mace_gov.core.errors import PolicyError
from mace_gov.core.phrases import phrase_key

FRAMES = (
    "a picture of {}", "an image of {}", "{}", "this is {}", "a drawing of {}", "{}, centered", "a painting of {}",
    "a picture with {}", "an image showing {}", "here is {}", "a cartoon of {}", "a picture showing {}",
    "an image with {}", "a digital picture of {}", "{} is shown here", "a detailed image of {}", "please draw {}",
    "a page with {}", "a figure of {}", "an image containing {}", "a modern picture of {}", "that is {}",
    "a sharp image of {}", "a symbol of {}", "create an image of {}", "a professional picture of {}",
    "a screen with {}", "a scene showing {}", "an example of {}", "make a picture of {}", "a soft picture of {}",
    "an image depicting {}", "you see {} here", "a beautiful picture of {}", "a logo with {}", "a full view of {}",
    "a realistic image of {}", "show {}", "a stock image of {}", "a version of {}", "a lovely image of {}",
    "generate {}", "a wide shot of {}", "a picture containing {}", "a model of {}", "a high quality image of {}",
)
"""Captions that suit things, people and abstract words alike."""

SETTINGS = (
    "in the morning", "at night", "in a garden", "in winter", "near the river", "in a room", "on a hill",
    "in the evening", "at the market", "in summer", "by the lake", "in a park", "in a village", "in spring",
    "near a window", "on the beach", "in autumn", "in a field", "in the city", "in a shop", "near the sea",
    "in a forest", "in a town", "at the station", "in an office",
)
"""Endings that make further captions of a frame."""

STYLE_FORMS = ("{} in the style of [style]", "{} by [style]", "{} drawn by [style]", "{} in [style] style")
"""How a caption names a style."""

STYLE_FRAMES = FRAMES[:24]
"""Frames that a style's carrier is put into."""


def frames(*, given: Sequence[str] | None = None, avoid: Collection[str] = ()) -> list[str]:
    """The plain captions with one ``{}``: the policy's own list, or FRAMES without those in ``avoid``.

    given: the policy's list. avoid: templates that the erasure trained on.

    Raises PolicyError when the policy's list overlaps ``avoid``.
    """
    trained = {phrase_key(template) for template in avoid}
    if given is not None and (shared := [t for t in given if phrase_key(t) in trained]):
        raise PolicyError(
            f"spec.audit.templates: found {len(shared)} templates that the erasure trains on, expected none",
            [f"spec.audit.templates: '{template}'" for template in shared],
        )
    return list(dict.fromkeys(t for t in (given or FRAMES) if phrase_key(t) not in trained))


def captions(count: int, *, given: Sequence[str] | None = None, avoid: Collection[str] = ()) -> list[str]:
    """``count`` different captions, the plain ones first, then frames joined with settings.

    Raises PolicyError as ``frames`` does, and when no ``count`` captions can be made.
    """
    return joined(frames(given=given, avoid=avoid), count, avoid)


def joined(base: Sequence[str], count: int, avoid: Collection[str] = ()) -> list[str]:
    """``count`` different captions: those of ``base`` first, then joined with settings, none of them in ``avoid``.

    Raises PolicyError when no ``count`` captions can be made.
    """
    trained = {phrase_key(template) for template in avoid}
    made = [template for template in base if phrase_key(template) not in trained]
    base = tuple(made)
    for turn in range(len(SETTINGS)):
        if len(made) >= count:
            break
        more = (f"{frame} {SETTINGS[(i + turn) % len(SETTINGS)]}" for i, frame in enumerate(base))
        made += [caption for caption in more if phrase_key(caption) not in trained]
    if len(made) < count:
        raise PolicyError(
            f"spec.audit: found {count} prompts asked for one concept, expected at most {len(made)}",
            hint="Lower spec.audit.prompts, loosen the rule's limit, or give more spec.audit.templates.",
        )
    return made[:count]


def style_captions(
    count: int, carriers: Sequence[str], *, given: Sequence[str] | None = None, avoid: Collection[str] = (),
    frames: Sequence[str] = STYLE_FRAMES,
) -> list[str]:
    """``count`` different templates for a style, each about a carrier ("a picture of a bus in the style of {}").

    The policy's own list, where there is one, is taken as it is; else a carrier is put into ``frames``. Errors as in
    ``captions``.
    """
    if given is not None:
        return captions(count, given=given, avoid=avoid)
    trained = {phrase_key(template) for template in avoid}
    made: list[str] = []
    for i in range(len(frames) * len(STYLE_FORMS) * len(carriers)):
        # carriers change fastest; frame and form move along with them, and every combination comes once
        turn, place = divmod(i, len(carriers))
        step = turn + place
        frame = frames[step % len(frames)].format(carriers[place])
        form = STYLE_FORMS[(step + turn // len(frames)) % len(STYLE_FORMS)]
        template = form.format(frame).replace("[style]", "{}")
        if phrase_key(template) not in trained and template not in made:
            made.append(template)
        if len(made) == count:
            return made
    raise PolicyError(
        f"spec.audit: found {count} prompts asked for one style, expected at most {len(made)}",
        hint="Lower spec.audit.prompts, or loosen the rule's limit.",
    )
