"""Attacks in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Collection

from mace_gov.audit.attacks.attack_protocol import Attack
from mace_gov.audit.attacks.finetune import FineTune
from mace_gov.audit.attacks.inversion import TokenInversion
from mace_gov.audit.attacks.latent import LatentInversion
from mace_gov.audit.attacks.matched import MatchedWord
from mace_gov.audit.attacks.prefix import AdversarialPrefix
from mace_gov.audit.attacks.preimage import Preimage
from mace_gov.audit.attacks.textual import TextualInversion

ATTACKS: tuple[Attack, ...] = (
    TokenInversion(), AdversarialPrefix(), TextualInversion(), TextualInversion(vectors=8), MatchedWord(), Preimage(),
    FineTune(), LatentInversion(),
)
"""Each holds no state."""


def attacks_of(tiers: Collection[str]) -> list[Attack]:
    """The attacks of some tiers."""
    return [attack for attack in ATTACKS if attack.tier in tiers]
