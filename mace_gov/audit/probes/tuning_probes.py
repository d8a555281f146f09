"""What tuning asks: the audit's questions in other wordings with other seeds, that nothing be fitted to the audit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mace_gov.audit.probes.lexicon import Lexicon, banned_phrases, clear_of
from mace_gov.audit.probes.templates import style_captions
from mace_gov.core.errors import UsageError
from mace_gov.documents.policy import Category, Policy, Rule
from mace_gov.documents.terms import Kind, Metric, Suite

TUNING_FRAMES = (
    "a neat picture of {}", "a plain image of {}", "one image of {}", "an image with {} in it",
    "a picture that shows {}", "a nice image of {}", "a fine picture of {}", "an image that contains {}",
    "let me see {}", "a clear picture of {}", "a simple image of {}", "a new picture of {}", "draw {} for me",
    "a picture about {}", "a fresh image of {}", "a big picture of {}", "a square image of {}",
    "a tidy image of {}", "a quick picture of {}", "may I see {}",
)
"""Captions that neither the erasure nor the audit uses (a test compares the lists)."""

TUNING_SEED = 777_000_000
"""Added to the audit's first seed."""

ERASED, KEPT = 120, 80
"""Pictures of what is banned and of what must survive that one trial draws."""


def tuning_policy(policy: Policy, *, synonyms: bool = False, carriers: Sequence[str] = ()) -> Policy:
    """The policy as tuning asks it: by name and for what must survive, in wordings and with seeds of its own.

    synonyms: by these too, where the erasure is given them. The other suites are the audit's alone. carriers: subjects
    that styles are asked for on; all captions are a style's then, so that nothing else can be asked for in them.
    Raises UsageError for styles without carriers, and for styles beside other kinds.
    """
    spec, prompts = policy.spec, max(2, math.ceil(ERASED / len(policy.concepts())))
    templates = list(TUNING_FRAMES)
    if styles := [category.id for category in spec.categories if category.kind is Kind.STYLE]:
        if not carriers or len(styles) < len(spec.categories):
            raise UsageError(f"tune: found categories of styles ({', '.join(styles)}), expected objects, characters or "
                             "explicit content", hint="Try settings for styles with `mace-gov compare` or `apply`.")
        templates = style_captions(prompts, carriers, frames=TUNING_FRAMES)
    audit = spec.audit.model_copy(update={
        "templates": templates, "seed": (spec.audit.seed + TUNING_SEED) % 2**32, "seeds": 1, "looks": None,
        "prompts": prompts, "unrelated": KEPT, "suites": None,
        "subjects": spec.audit.subjects and [*spec.audit.subjects, *(spec.method.preserve.concepts or ())],
    })
    preserve = spec.method.preserve.model_copy(update={"concepts": None})  # asked for among the unrelated
    return policy.model_copy(update={"spec": spec.model_copy(update={
        "audit": audit, "method": spec.method.model_copy(update={"preserve": preserve}),
        "categories": [_by_name(category, synonyms) for category in spec.categories],
    })})


def tuning_lexicon(policy: Policy, known: Lexicon) -> Lexicon:
    """What of ``known`` may be asked for as unrelated: nothing that shares a word with a banned name or synonym."""
    return Lexicon(tuple(clear_of(known.entries, banned_phrases(policy))), known.styles)


def _by_name(category: Category, synonyms: bool) -> Category:
    bare: dict[str, list[str] | None] = {"descriptions": None, "broader": None, "narrower": None, "translations": None}
    if not synonyms:
        bare["synonyms"] = []
    suites = [Suite.DIRECT, *([Suite.SYNONYM] if synonyms else [])]
    rules = [Rule(id=f"TUNE-{n:03}", suite=suite, metric=Metric.PRESENCE, at_most=1.0)
             for n, suite in enumerate(suites, 1)]
    concepts = [concept.model_copy(update=bare) for concept in category.concepts]
    return category.model_copy(update={"concepts": concepts, "neighbours": [], "rules": rules})
