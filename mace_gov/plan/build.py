"""The verb ``make_plan``: pure, it reads no file and decides everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mace_gov.core.errors import PolicyError
from mace_gov.documents.anchors import ChosenAnchor, doubtful_anchors
from mace_gov.documents.consistency import asks_published
from mace_gov.documents.detector_info import SMALL_SIDE
from mace_gov.documents.drawable import Ban, ban_of, erase_only_rule, forbidden
from mace_gov.documents.family_info import family_info
from mace_gov.documents.method import Esd, Guard, Harden, Lora, Method, Ridge
from mace_gov.documents.method_info import METHODS, method_info
from mace_gov.documents.plan import (
    ClosedForm,
    ErasurePlan,
    GenerationSettings,
    GuardSettings,
    HardenSettings,
    LoraSettings,
    ModelManifest,
    PreserveSettings,
    SegmenterSettings,
    Target,
)
from mace_gov.documents.policy import Category, Concept, Policy, Sampler
from mace_gov.documents.terms import Kind, Severity
from mace_gov.embedded import vocabulary
from mace_gov.plan.presets import (
    DEFAULT,
    HARDEN,
    PAPER_GENERATION,
    PAPER_LORAS,
    PAPER_RATE,
    Preset,
    esd_settings,
    guard_settings,
    paper,
)
from mace_gov.plan.templates import templates_for

MANY_PEOPLE = 20
"""From how many on a plan says that there is another eraser for people."""


def make_plan(
    policy: Policy, base: ModelManifest, *, chosen: Mapping[str, ChosenAnchor] | None = None, exact: bool = False,
    segmenter: SegmenterSettings | None = None, held_out: Sequence[str] = (),
) -> ErasurePlan:
    """Fill in every setting of a policy for a base model.

    chosen: anchors by concept id for concepts that the policy leaves without one. exact: reuse no LoRA that was trained
    on another refinement. segmenter: the one that the policy names, as it was found. held_out: what the audit asks for
    as what must survive, in no caption of what is preserved. Raises PolicyError for a concept
    without any anchor.
    """
    anchors = {concept.id: _anchor(concept, chosen or {}) for _, concept in policy.concepts()}
    method, leading = policy.spec.method, _leading_kind(policy)
    info = method_info(method.name)
    published = bool(asks_published(method.to_json()))  # a scale of sums: the rest is then as published, too
    preset = paper(leading, len(policy.concepts())) if published else DEFAULT[leading]
    own = info.published if method.preset is not None else None
    if own is not None:
        preset = replace(preset, refine=own.ridge, prior="none", scale=0.0, refine_scale=None, prior_size=None,
                         concept_scale=own.concept_scale, refine_concept_scale=None)
    loras = PAPER_LORAS if published else {kind: each.lora for kind, each in DEFAULT.items()}
    notes = [
        *([f"preset: {'paper' if published else 'default'}, {leading} settings for refinement, fusion and preservation"]
          if info.closed_forms else []),
        *(f"preset: {kind} settings for its LoRAs" for kind in sorted({c.kind for c in policy.spec.categories})
          if info.trains == "loras"),
        *(choice.note(concept) for concept, choice in sorted((chosen or {}).items())),
        *(f"warning: {message}" for _, message in doubtful_anchors(policy, anchors)),
    ]
    templates = method.refine.templates or list(own.templates if own else templates_for(leading))
    ban = ban_of(policy)
    undrawn = {concept.id: _undrawn(category, concept, templates, ban) for category, concept in policy.concepts()}
    notes += [f"erase-only: {concept}, by the rule {rule}: it is erased, and no picture of it is made, neither to "
              "train nor to audit" for concept, rule in undrawn.items() if rule]
    if base.ref.endswith(".safetensors") and base.family in ("sd1", "sdxl"):
        notes.append("base model: a single file of this family predicts noise unless it says v; weights do not tell")
    people = sum(category.kind is Kind.CELEBRITY and " " in concept.target.strip()
                 for category, concept in policy.concepts())
    if people >= MANY_PEOPLE and not info.keeps_namesakes:
        notes += [f"people: {people} are erased, and an edit of keys and values takes along others who share names "
                  f"with them; where only prompts reach the model, method: {{name: {name}}} keeps these "
                  "(docs/methods.md)"
                  for name in family_info(base.family).methods if method_info(name).keeps_namesakes]
    searched = {category.id for category, concept in policy.concepts()
                if category.severity is Severity.CRITICAL and undrawn[concept.id] is None}
    if searched and info.hardens and method.harden is None and method.guard is None:
        notes.append(f"critical: {', '.join(sorted(searched))} is erased without rounds of search, so that a learnt "
                     "word may bring it back; method: {harden: {}} looks for such words first, which takes minutes "
                     "for each concept (docs/methods.md)")
    targets = [
        Target(
            id=concept.id,
            category=category.id,
            kind=category.kind,
            target=concept.target,
            anchor=anchors[concept.id],
            other_names=sorted({*concept.synonyms, *(concept.narrower or [])}) or None,
            lora=_lora(loras[category.kind], method.lora, drawn=undrawn[concept.id] is None),
            erase_only=undrawn[concept.id],
        )
        for category, concept in policy.concepts()
    ]
    if method.segmenter:
        targets = [_segmented(target) for target in targets]
    return ErasurePlan(
        method=method.name,
        seed=method.seed,
        policy_digest=policy.content_digest(),
        base=base,
        targets=targets,
        templates=templates,
        refine=_closed_form(method.refine, info.ridge or preset.refine),
        refine_names="all" if (method.refine.names or preset.names) == "all" else None,
        refine_tokens="all" if (method.refine.tokens or preset.tokens) == "all" else None,
        fuse=_closed_form(method.fuse, preset.fuse),
        preserve=_preserve(preset, method, held_out),
        expansion=info.expansion and (method.expansion or info.expansion),
        harden=_harden(method),
        guard=_guard(method, base, len(targets)),
        esd=esd_settings(method.esd or Esd(), embedded=base.embedded) if info.trains == "projections" else None,
        segmenter=segmenter,
        exact=True if exact else None,
        generation=generation_settings(base, policy.spec.model.sampler),
        notes=notes,
    )


def _harden(method: Method) -> HardenSettings | None:
    if method.harden is None:
        return None
    if not method_info(method.name).hardens:
        able = " or ".join(name for name, info in METHODS.items() if info.hardens)
        raise PolicyError(f"spec.method.harden is given for the eraser {method.name}, expected {able}",
                          hint="Take the block out, or name another eraser.")
    return HARDEN.model_copy(update={name: value for name in Harden.model_fields
                                     if (value := getattr(method.harden, name)) is not None})


def _guard(method: Method, base: ModelManifest, targets: int) -> GuardSettings | None:
    if method.guard is None:
        return None
    if not family_info(base.family).guards:
        raise PolicyError(f"spec.method.guard is given for {base.family}, expected a model with a U-Net",
                          hint="Take the block out.")
    made = guard_settings(targets).model_copy(update={name: value for name in Guard.model_fields
                                                      if (value := getattr(method.guard, name)) is not None})
    if made.rounds > made.steps and method.guard.rounds is not None:
        raise PolicyError(f"spec.method.guard has {made.rounds} rounds in {made.steps} steps, expected no more than "
                          "those", hint="Give fewer rounds or more steps.")
    return made.model_copy(update={"rounds": min(made.rounds, made.steps)})


def _segmented(target: Target) -> Target:
    """A target whose masks the policy's segmenter makes, unless it has none."""
    masks = "none" if target.lora.masks == "none" else "segmenter"
    return target.model_copy(update={"lora": target.lora.model_copy(update={"masks": masks})})


def _undrawn(category: Category, concept: Concept, templates: Sequence[str], ban: Ban) -> str | None:
    """The rule that forbids pictures of a concept, or those of it in the templates that it would be trained on."""
    captions = (template.replace("{}", concept.target) for template in templates)
    return erase_only_rule(category, concept, ban) or next(
        (rule for caption in captions if (rule := forbidden(category.kind, caption, ban))), None)


def _anchor(concept: Concept, chosen: Mapping[str, ChosenAnchor]) -> str:
    if concept.anchor is not None:
        return concept.anchor
    if concept.id not in chosen:
        raise PolicyError(f"the concept '{concept.id}' has no anchor", hint="Name one in the policy.")
    return chosen[concept.id].phrase


def _leading_kind(policy: Policy) -> Kind:
    """The kind whose preset fills the closed forms: they are one system for all concepts, so the commonest decides."""
    counts = Counter(category.kind for category, _ in policy.concepts())
    return max(counts, key=lambda kind: counts[kind])


def generation_settings(base: ModelManifest, asked: Sampler | None = None) -> GenerationSettings:
    """How pictures are drawn with a base model: as the policy says, else as published models are.

    Models of small pictures are of the kind that ships, and drawn as that one is.
    """
    usual = PAPER_GENERATION
    if base.image_size <= SMALL_SIDE:
        sampler = vocabulary().sampler
        usual = usual.model_copy(update={"steps": sampler.steps, "guidance": sampler.guidance, "batch": 16})
    given = {name: value for name in ("steps", "guidance") if (value := getattr(asked, name, None)) is not None}
    return usual.model_copy(update={"size": base.image_size, **given})


def _closed_form(asked: Ridge, preset: ClosedForm) -> ClosedForm:
    if asked.ridge is None and asked.relative_ridge is None:
        return preset
    return ClosedForm(ridge=asked.ridge, relative_ridge=asked.relative_ridge)


def _preserve(preset: Preset, method: Method, held_out: Sequence[str]) -> PreserveSettings:
    """A scale that the policy gives counts in both stages, unless it gives stage 1 one of its own."""
    asked, info = method.preserve, method_info(method.name)

    def scales(whole: float | None, first: float | None, whole_preset: float, first_preset: float | None
               ) -> tuple[float, float | None]:
        if whole is None:
            return whole_preset, first if first is not None else first_preset
        return whole, first

    scale, refine_scale = scales(asked.scale, asked.refine_scale, preset.scale, preset.refine_scale)
    concept_scale, refine_concept_scale = scales(
        asked.concept_scale, asked.refine_concept_scale, preset.concept_scale, preset.refine_concept_scale)
    size = asked.prior_size if asked.prior_size or asked.scale is not None else preset.prior_size
    namesakes = preset.namesake_scale if asked.namesake_scale is None else asked.namesake_scale
    if preset.relative:
        scale, concept_scale, namesakes = (
            usual if weight is None else weight for usual, weight in (
                (scale, asked.weight), (concept_scale, asked.concept_weight), (namesakes, asked.namesake_weight)))
    return PreserveSettings(
        prior=asked.prior or preset.prior, relative=True if preset.relative else None, scale=scale,
        refine_scale=refine_scale, prior_size=size,
        concepts=asked.concepts or [], concept_scale=concept_scale, refine_concept_scale=refine_concept_scale,
        namesake_scale=namesakes or None, held_out=list(held_out) or None,
        leak=info.leak and (asked.leak or info.leak),
    )


def _lora(preset: LoraSettings, asked: Lora, *, drawn: bool) -> LoraSettings:
    """Stage 2 settings; a concept that must not be drawn has no training pictures and is refined alone."""
    given = {name: value for name in Lora.model_fields if (value := getattr(asked, name)) is not None}
    # A plan says these only where they depart from what was done before there was a choice.
    given |= {name: None for name, usual in (("end_of_text", False), ("captions", "picture"), ("stop", 0))
              if given.get(name) == usual}
    if "learning_rate" in given or given.get("init", "focal") != "focal":
        # A relative step needs a held at one direction; without one, steps are in the weights' own unit.
        given = {"learning_rate": PAPER_RATE, "step_size": None, **given}
    elif "step_size" in given:
        given["learning_rate"] = None
    if not drawn:
        given["steps"] = 0
    return preset.model_copy(update=given)
