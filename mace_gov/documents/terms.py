"""The closed lists of words that a policy chooses from."""

from __future__ import annotations

from enum import StrEnum


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
    def banned(self) -> bool:
        """Whether it asks for what is banned; the other suites ask for what must survive."""
        return self not in (Suite.UNRELATED, Suite.NEAR, Suite.ATTRIBUTE)


class Metric(StrEnum):
    """What a rule bounds."""

    PRESENCE = "presence"
    RETENTION = "retention"
