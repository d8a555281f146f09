"""What each eraser trains and needs, and its own settings. Preflight, plan, erase and tuning read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mace_gov.documents.method import MethodName
from mace_gov.documents.plan import ClosedForm


@dataclass(frozen=True)
class Published:
    """A closed form as it was published, where ``preset: paper`` means another one than MACE's: sums, not shares."""

    ridge: ClosedForm
    """lambda."""
    concept_scale: float
    """Multiplies what named concepts sum to; nothing else is preserved."""
    templates: tuple[str, ...]
    """What the concepts stand in."""


@dataclass(frozen=True)
class MethodInfo:
    """An eraser: where it is, what it solves and trains, and which settings are its own."""

    erase: str
    """The ``mace_gov.erase.methods.method_protocol.EraseMethod``, as ``module:attr``."""
    does: str
    """What it does to a model, as the report says it; of MACE what it does besides LoRAs and fusion."""
    closed_forms: tuple[Literal["refine", "fuse"], ...] = ("refine",)
    """Stages that it solves in closed form, by their fields in a plan; each has a ridge. They preserve; with none of
    them nothing is preserved."""
    trains: Literal["loras", "projections"] | None = None
    """What it trains by gradient: a LoRA for each concept, or the projections themselves, by ``method.esd``."""
    draws_targets: bool = False
    """Whether it must draw whatever it erases, so that it refuses concepts of which no picture may be made."""
    hardens: bool = False
    """Whether rounds of search follow its closed form where the policy asks for them (``method.harden``)."""
    undone: str = ""
    """Who can undo it without any search, as a limitation that every report of it names; empty where nobody is known
    who needs less than the base's own weights."""
    keeps_namesakes: bool = False
    """Whether people who share a first or last name with many who are erased are kept, where only prompts reach the
    model; a plan that erases many people by a method that does not names those that do."""
    edits_pooled: bool = True
    """Whether the pooled text of Stable Diffusion XL is edited in closed form beside it."""
    ridge: ClosedForm | None = None
    """Its own ridge where the policy gives none; MACE's for the kind of concept without it."""
    leak: float | None = None
    """Its own ``preserve.leak`` where the policy gives none; None: it has no such setting."""
    expansion: float | None = None
    """Its own ``method.expansion`` where the policy gives none; None: it has no such setting."""
    published: Published | None = None
    """Its settings with ``preset: paper``, where they are not MACE's."""


METHODS: dict[MethodName, MethodInfo] = {
    "mace": MethodInfo("mace_gov.erase.methods.mace:mace", "refinement", closed_forms=("refine", "fuse"),
                       trains="loras", hardens=True),
    # As Gandikota et al. have it: the bare name, lambda 0.1, what is preserved named and weighed one to one.
    "uce": MethodInfo(
        "mace_gov.erase.methods.uce:uce", "the concepts' outputs made their anchors'",
        published=Published(ridge=ClosedForm(ridge=0.1), concept_scale=1.0, templates=("{}",))),
    # The ridge is larger than for the other closed forms, since within a narrow space little holds the edit back. It
    # was chosen with the leak on text states of width 256, ten characters: at a leak of a hundredth the concepts'
    # states get half as near to their anchors', and at a tenth everybody else's move a quarter further.
    "nullspace": MethodInfo(
        "mace_gov.erase.methods.nullspace:nullspace",
        "the concepts' outputs made their anchors' within what stays leaves free",
        ridge=ClosedForm(relative_ridge=0.1), leak=0.03),
    "oce": MethodInfo("mace_gov.erase.methods.oce:oce", "projections turned towards the anchors"),
    "cure": MethodInfo("mace_gov.erase.methods.cure:cure", "the concepts' spectrum taken out of the text states",
                       expansion=2.0),
    "valuespace": MethodInfo(
        "mace_gov.erase.methods.valuespace:valuespace", "values without what sets the concepts apart"),
    "neurons": MethodInfo(
        "mace_gov.erase.methods.neurons:neurons", "neurons for the concepts' names in the text encoder",
        closed_forms=(), edits_pooled=False, keeps_namesakes=True,
        undone="The erasure is in the text encoder alone, and the U-Net draws what the base draws: a learnt word, text "
               "states that are not this encoder's, or the base's own text encoder bring the concepts back."),
    "esd": MethodInfo(
        "mace_gov.erase.methods.esd:esd", "cross-attention fine-tuned away from the concepts", closed_forms=(),
        trains="projections", draws_targets=True, edits_pooled=False),
}
"""Every eraser: a new one is a name in ``documents.method.MethodName``, a row here and a module."""


def method_info(name: MethodName) -> MethodInfo:
    """By the policy's ``method.name``."""
    return METHODS[name]
