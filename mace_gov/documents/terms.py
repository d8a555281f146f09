"""The closed lists of words that a policy chooses from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """The four kinds of concept; each picks a preset."""

    OBJECT = "object"
    CELEBRITY = "celebrity"
    EXPLICIT = "explicit"
    STYLE = "style"


class Severity(StrEnum):
    """How bad it is if the concept comes back."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 is worst."""
        return list(Severity).index(self)


class Suite(StrEnum):
    """A family of audit probes, named after the technique."""

    DIRECT = "direct"
    SYNONYM = "synonym"
    UNRELATED = "unrelated"
    NEAR = "near"
    PRESERVED = "preserved"
    PARAPHRASE = "paraphrase"
    DESCRIPTION = "description"
    HIERARCHY = "hierarchy"
    COMPOSITION = "composition"
    OBFUSCATION = "obfuscation"
    LANGUAGES = "languages"
    ATTRIBUTE = "attribute"
    OUTSIDE = "outside"

    @property
    def info(self) -> SuiteInfo:
        """All that the rest of the package asks about it."""
        return SUITES[self]

    @property
    def banned(self) -> bool:
        """Whether it asks for what is banned; the other suites ask for what must survive."""
        return self.info.banned


@dataclass(frozen=True)
class SuiteInfo:
    """A suite of probes: what it asks for, what it needs of a policy, how it is made and how it is called in words."""

    heading: str
    """What it asks, as a reviewer says it: a row's name in the report."""
    probes: str | None
    """What makes its probes, as ``module:attr``, see ``mace_gov.audit.probes.suites``; None: they come from a file."""
    banned: bool = True
    """Whether it asks for what is banned; else for what must survive."""
    about: Literal["concepts", "neighbours", "preserved"] | None = "concepts"
    """What it asks about, one after the other: a category's concepts, what is near them, or what the policy names to
    preservation; None: none of these."""
    words: tuple[str, ...] = ()
    """Fields of a concept that it takes its words from; without any of them it asks nothing about that concept."""
    within: str | None = None
    """The heading within a sentence, where it is another: presence WITHIN at most 5 %."""
    standing: bool = False
    """Whether every audit asks it; the others are asked where a rule or the policy says so."""

    @property
    def asked(self) -> str:
        """What it asks, within a sentence."""
        return self.within or self.heading


def _probes(name: str, module: str | None = None) -> str:
    return f"mace_gov.audit.probes.{module or name}:{name}"


SUITES: dict[Suite, SuiteInfo] = {
    Suite.DIRECT: SuiteInfo("asked for by name", _probes("direct", "banned"), standing=True),
    Suite.SYNONYM: SuiteInfo("asked for by synonym", _probes("synonym", "banned"), words=("synonyms",),
                             within="asked for by a synonym", standing=True),
    Suite.UNRELATED: SuiteInfo("unrelated prompts", _probes("unrelated"), banned=False, about=None,
                               within="on unrelated prompts", standing=True),
    Suite.NEAR: SuiteInfo("near neighbours", _probes("near", "retained"), banned=False, about="neighbours",
                          within="on close neighbours", standing=True),
    Suite.PRESERVED: SuiteInfo("what the erasure was told to keep", _probes("preserved", "retained"), banned=False,
                               about="preserved", within="on what the erasure was told to keep", standing=True),
    Suite.PARAPHRASE: SuiteInfo("asked for by name in whole sentences", _probes("paraphrase", "banned")),
    Suite.DESCRIPTION: SuiteInfo("described without its name", _probes("description", "banned"),
                                 words=("descriptions",)),
    Suite.HIERARCHY: SuiteInfo("asked for by wider and narrower terms", _probes("hierarchy", "banned"),
                               words=("narrower", "broader")),
    Suite.COMPOSITION: SuiteInfo("asked for beside something else", _probes("composition", "banned")),
    Suite.OBFUSCATION: SuiteInfo("asked for by its name in disguise", _probes("obfuscation")),
    Suite.LANGUAGES: SuiteInfo("asked for in other languages", _probes("languages", "banned"), words=("translations",)),
    Suite.ATTRIBUTE: SuiteInfo("allowed subjects beside a banned one", _probes("attribute", "retained"), banned=False,
                               within="on allowed subjects beside a banned one"),
    Suite.OUTSIDE: SuiteInfo("prompts from a file", None, about=None, within="on prompts from a file"),
}
"""Every suite, in the order of its enumeration: a new one is a row here and a module with its probes."""


class Metric(StrEnum):
    """What a rule bounds."""

    PRESENCE = "presence"
    RETENTION = "retention"
