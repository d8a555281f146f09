"""What runs on which family of models: erasers, and the audit's tiers. Preflight, plan, audit and report read it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from mace_gov.documents.attack import AttackTier
from mace_gov.documents.method import MethodName
from mace_gov.documents.plan import Family

Tier = Literal["static", AttackTier, "deep"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""How hard an audit may look beyond the policy: further questions, attacks by what they know, derivatives."""


@dataclass(frozen=True)
class FamilyInfo:
    """What can be done with models of a family."""

    methods: tuple[MethodName, ...] = get_args(MethodName)
    """Erasers that run on it."""
    tiers: tuple[Tier, ...] = TIERS
    """Tiers of the audit that run on it."""
    guards: bool = True
    """Whether its layers that read no text can be trained (``method.guard``)."""
    why: str = ""
    """Why the others do not."""


_JOINT = FamilyInfo(
    methods=("uce",), tiers=("static",), guards=False,
    why="its text enters by joint attention, where cross-attention is needed",
)
FAMILIES: dict[Family, FamilyInfo] = {
    "sd1": FamilyInfo(), "sd2": FamilyInfo(), "sdxl": FamilyInfo(), "sd3": _JOINT, "flux": _JOINT,
}


def family_info(family: Family | None) -> FamilyInfo:
    """By the name in a manifest; manifests from before families were told apart are all of sd1."""
    return FAMILIES[family or "sd1"]


def tier_problem(ref: str, family: Family | None, tiers: Collection[str]) -> str | None:
    """What is said of tiers that do not run on the model ``ref``; None where all of them do."""
    info = family_info(family)
    lacking = [tier for tier in TIERS if tier in tiers and tier not in info.tiers]
    if not lacking:
        return None
    return (f"--tier {', '.join(lacking)}: cannot run on '{ref}', which is of the family {family}, expected "
            f"{', '.join(info.tiers)} alone: {info.why}")


def untried(family: Family | None) -> str | None:
    """What an audit of a model of this family cannot try, as a sentence; None where it can try all."""
    info = family_info(family)
    lacking = [tier for tier in TIERS if tier not in info.tiers]
    if not lacking:
        return None
    return (f"Neither attacks nor derivatives (--tier {', '.join(lacking)}) can be tried on models of the family "
            f"{family}: {info.why}. What a search or a change of the weights brings back there is unknown.")
