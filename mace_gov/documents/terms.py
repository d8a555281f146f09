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
    asked: str
    """The same within a sentence: presence ASKED at most 5 %."""
    probes: str | None
    """What makes its probes, as ``module:attr``, see ``mace_gov.audit.probes.suites``; None: they come from a file."""
    banned: bool = True
    """Whether it asks for what is banned; else for what must survive."""
    about: Literal["concepts", "neighbours"] | None = "concepts"
    """What of a category it asks about, one after the other: its concepts, or what is near them; None: neither."""
    words: tuple[str, ...] = ()
    """Fields of a concept that it takes its words from; without any of them it asks nothing about that concept."""
    standing: bool = False
    """Whether every audit asks it; the others are asked where a rule or the policy says so."""


def _probes(name: str) -> str:
    return f"mace_gov.audit.probes.{name}:{name}"


SUITES: dict[Suite, SuiteInfo] = {
    Suite.DIRECT: SuiteInfo("asked for by name", "asked for by name", _probes("direct"), standing=True),
    Suite.SYNONYM: SuiteInfo(
        "asked for by synonym", "asked for by a synonym", _probes("synonym"), words=("synonyms",), standing=True),
    Suite.UNRELATED: SuiteInfo(
        "unrelated prompts", "on unrelated prompts", _probes("unrelated"), banned=False, about=None, standing=True),
    Suite.NEAR: SuiteInfo(
        "near neighbours", "on close neighbours", _probes("near"), banned=False, about="neighbours", standing=True),
    Suite.PARAPHRASE: SuiteInfo(
        "asked for by name in whole sentences", "asked for by name in whole sentences", _probes("paraphrase")),
    Suite.DESCRIPTION: SuiteInfo(
        "described without its name", "described without its name", _probes("description"), words=("descriptions",)),
    Suite.HIERARCHY: SuiteInfo(
        "asked for by wider and narrower terms", "asked for by wider and narrower terms", _probes("hierarchy"),
        words=("broader", "narrower")),
    Suite.COMPOSITION: SuiteInfo(
        "asked for beside something else", "asked for beside something else", _probes("composition")),
    Suite.OBFUSCATION: SuiteInfo(
        "asked for by its name in disguise", "asked for by its name in disguise", _probes("obfuscation")),
    Suite.LANGUAGES: SuiteInfo(
        "asked for in other languages", "asked for in other languages", _probes("languages"), words=("translations",)),
    Suite.ATTRIBUTE: SuiteInfo(
        "allowed subjects beside a banned one", "on allowed subjects beside a banned one", _probes("attribute"),
        banned=False),
    Suite.OUTSIDE: SuiteInfo("prompts from a file", "on prompts from a file", None, about=None),
}
"""Every suite, in the order of its enumeration: a new one is a row here and a module with its probes."""


class Metric(StrEnum):
    """What a rule bounds."""

    PRESENCE = "presence"
    RETENTION = "retention"
