"""Which way each setting of a policy is tighter. What nobody decided about, or nobody can tell, counts as looser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mace_gov.documents.document import Location, Written
from mace_gov.documents.method import Method, Preserve
from mace_gov.documents.policy import (
    Audit,
    Category,
    Concept,
    DetectorSpec,
    GateSettings,
    Metadata,
    ModelRef,
    Policy,
    Rule,
    Spec,
)
from mace_gov.documents.terms import Severity
from mace_gov.documents.wording import limit_percent

Effect = Literal["bans", "unbans", "tightens", "loosens", "changes"]
Judge = Callable[[Any, Any], Effect]
"""What a setting's change from one value to another does."""


@dataclass(frozen=True)
class Change:
    """One difference."""

    subject: str
    """A rule id or a setting; a waiver names it in ``loosens``."""
    effect: Effect
    """What it does."""
    words: str
    """The same as a sentence's end, like ``ship is banned``."""
    severity: Severity | None = None
    """Severity of the category that it is about, as it was; absent for the policy as a whole."""
    where: Location = ()
    """Where the second policy speaks about it."""

    @property
    def looser(self) -> bool:
        """Whether the second policy asks less here."""
        return self.effect in ("unbans", "loosens")


def _plain(value: Any) -> str:
    return "unset" if value is None else str(value)


@dataclass(frozen=True)
class Setting:
    """How a field that holds one value is compared."""

    judge: Judge
    """Whether a change tightens or loosens."""
    words: str = ""
    """What the values are, with ``{}`` for whose; the field's own path unless given."""
    show: Callable[[Any], str] | None = _plain
    """A value in words; None for one that takes too many."""


def more(before: Any, after: Any) -> Effect:
    """More is tighter."""
    return "tightens" if after > before else "loosens"


def less(before: Any, after: Any) -> Effect:
    """Less is tighter."""
    return "tightens" if after < before else "loosens"


def unknown(before: Any, after: Any) -> Effect:
    """Nobody can tell which side is tighter."""
    return "loosens"


def _neutral(before: Any, after: Any) -> Effect:
    """Asks neither more nor less."""
    return "changes"


def pinned(before: Any, after: Any) -> Effect:
    """To pin what was open is tighter; another pin may be anything."""
    return "tightens" if before is None else "loosens"


def worse(before: Severity, after: Severity) -> Effect:
    """The worse severity is tighter."""
    return less(before.rank, after.rank)


def milder(before: Severity, after: Severity) -> Effect:
    """The milder severity is tighter."""
    return more(before.rank, after.rank)


def among(*loosest_first: str) -> Judge:
    """Words of which the later is tighter."""
    return lambda before, after: more(loosest_first.index(before), loosest_first.index(after))


def differs(judge: Judge) -> Setting:
    """A setting of which the values are too long to say."""
    return Setting(judge, show=None)


HOW = differs(_neutral)
"""A setting of how to erase: whatever it is, the audit measures what came of it against the same rules."""

SETTINGS: Mapping[type[Written], Mapping[str, Setting | None]] = {
    Policy: {
        "api_version": Setting(unknown), "kind": Setting(unknown), "extends": differs(unknown), "metadata": None,
        "derived_from": None, "spec": None,
    },
    Metadata: {
        "name": Setting(_neutral), "version": Setting(_neutral), "owner": Setting(_neutral),
        "review_by": Setting(less, "to be reviewed by"), "description": differs(_neutral),
    },
    Spec: {
        "mode": Setting(among("audit", "enforce"), "mode"), "model": None, "method": None, "audit": None,
        "categories": None, "gate": None,
    },
    # Whether another base model is easier to pass with, nobody can tell from its name.
    ModelRef: {"ref": Setting(unknown), "revision": Setting(pinned), "sampler": Setting(unknown)},
    Method: {
        "preserve": None,
        **dict.fromkeys(("name", "preset", "seed", "refine", "lora", "fuse", "esd", "segmenter", "fit", "harden",
                         "guard", "expansion"), HOW),
    },
    Preserve: {
        "concepts": None,
        **dict.fromkeys(("prior", "scale", "refine_scale", "prior_size", "concept_scale", "refine_concept_scale",
                         "namesake_scale", "leak", "weight", "concept_weight", "namesake_weight"), HOW),
    },
    Audit: {
        "prompts": None, "seeds": Setting(more), "unrelated": Setting(more), "suites": None,
        # Other pictures and other captions: what failed may pass. More looks: fewer pictures, wider bounds.
        "seed": Setting(unknown), "looks": Setting(unknown),
        **dict.fromkeys(("templates", "subjects"), differs(unknown)),
    },
    GateSettings: {
        "fail_on": Setting(milder, "the gate blocks from severity"),
        "on_uncertain": Setting(among("review", "fail"), "uncertain ends as"), "not_waivable": None,
    },
    # Kind: it picks what may be drawn, whether other targets of the category count, and the general prompts.
    Category: {
        "kind": Setting(unknown, "{} kind"), "severity": Setting(worse, "{} severity"),
        **dict.fromkeys(("id", "concepts", "neighbours", "detectors", "rules")),
    },
    Concept: {
        "id": Setting(_neutral), "anchor": None,
        **dict.fromkeys(("target", "synonyms", "descriptions", "broader", "narrower", "translations")),
    },
    DetectorSpec: dict.fromkeys(("name", "classes", "threshold", "model", "revision", "references", "only")),
    Rule: {
        "id": None, "suite": None, "metric": None,
        "at_most": Setting(less, "{} at most", limit_percent), "at_least": Setting(more, "{} at least", limit_percent),
        "confidence": Setting(more, "{} confidence", limit_percent),
        "min_samples": Setting(more, "{} independent prompts"),
    },
}
"""By document and field. None: compared in ``mace_gov.policy.diff``."""


def settings(
    before: Written, after: Written, at: Location, name: str = "", *, severity: Severity | None = None
) -> Iterator[Change]:
    """Changes in the fields of a document that hold one value each.

    at: its place in the second policy. name: whose settings they are.
    """
    decided = SETTINGS.get(type(before), {})
    for field, info in type(before).model_fields.items():
        setting = decided.get(field, Setting(unknown))
        old, new = getattr(before, field), getattr(after, field)
        if setting is None or old == new:
            continue
        path = ".".join(part for part in (name, info.alias or field) if part)
        said = f": {setting.show(new)}, was {setting.show(old)}" if setting.show else " differs"
        words = f"{setting.words.format(name)}{said.removeprefix(':')}" if setting.words else f"{path}{said}"
        yield Change(path, setting.judge(old, new), words, severity, (*at, info.alias or field))
