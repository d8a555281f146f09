"""Every attack on the base model, on the governed model and on one of random weights, and what the detectors see."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, Self

from mace_gov.audit.attacks.aims import aims
from mace_gov.audit.attacks.base import Aim, Attack, Strike
from mace_gov.audit.attacks.registry import attacks_of
from mace_gov.audit.attacks.stored import read_strike, save_pictures, write_strike
from mace_gov.audit.inputs import AuditRun
from mace_gov.audit.metrics.intervals import estimate
from mace_gov.audit.pictures import png_bytes
from mace_gov.audit.probes.base import seed_for
from mace_gov.audit.scoring import sights
from mace_gov.audit.trials import Observed
from mace_gov.core.canonical import digest_of
from mace_gov.core.digest import sha256_bytes
from mace_gov.core.environment import version_of
from mace_gov.core.store import Store
from mace_gov.documents.attack import AttackResult
from mace_gov.documents.plan import GenerationSettings, ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.rate import Estimate

if TYPE_CHECKING:
    from PIL.Image import Image

    from mace_gov.diffusion.pipeline import Pipeline

Model = Literal["base", "governed", "control"]
MODELS: tuple[Model, ...] = ("base", "governed", "control")
PICTURES = 8
"""Pictures that each attack draws of a concept, from seeds of their own."""


def attack_all(observed: Observed, models: Mapping[str, ModelManifest], run: AuditRun) -> list[AttackResult]:
    """One result for each attack and concept; pictures go to ``attacks/`` in the evidence folder.

    models: manifests under ``base`` and ``governed``. What was drawn before, by digest of all that it depends on, is
    taken from the run's cache.
    """
    policy, panels, budget = observed.policy, observed.panels, run.inputs.budget
    attacks = attacks_of(run.inputs.tiers)
    goals = aims(policy, observed.pairs, observed.pictures, observed.out)
    progress, store = run.progress, None if run.cache is None else Store(run.cache)
    advance = progress.start("attacking", len(MODELS) * len(goals) * len(attacks))
    rates: dict[tuple[str, str, str], dict[Model, tuple[Estimate, int, str]]] = {}
    for model in MODELS:
        with _Loaded(models["governed" if model == "governed" else "base"], model == "control", run.device) as loaded:
            for aim, pair in goals:
                for attack in attacks:
                    strike = _strike(aim, attack, budget, policy, observed.generation)
                    drawn, text = _drawn(attack, loaded, aim, strike, store)
                    if store is not None:
                        store.tell(progress)
                    save_pictures(observed.out / "attacks" / attack.name / aim.concept / model, drawn)
                    seen = sights(panels, aim.category, drawn, [panels.query(pair.probe, image) for image in drawn])
                    present = [sight.present for sight in seen if sight.present is not None]
                    rate = estimate(present, range(len(present)))
                    where = (aim.category, aim.concept, attack.name)
                    rates.setdefault(where, {})[model] = (rate, len(seen) - len(present), text)
                    advance(1)
    by_name = {attack.name: attack for attack in attacks}
    return [
        AttackResult(
            category=category, concept=concept, attack=name, tier=by_name[name].tier, source=by_name[name].source,
            budget=budget or by_name[name].budget, seed=policy.spec.audit.seed, base=found["base"][0],
            governed=found["governed"][0], control=found["control"][0], found=found["governed"][2],
            unscored=sum(unscored for _, unscored, _ in found.values()),
        )
        for (category, concept, name), found in rates.items()
    ]


def _strike(aim: Aim, attack: Attack, budget: int | None, policy: Policy, settings: GenerationSettings) -> Strike:
    first = policy.spec.audit.seed
    seeds = tuple(seed_for(first, turn, f"{attack.name} {aim.concept}") for turn in range(PICTURES))
    return Strike(seeds, budget or attack.budget, seed_for(first, 0, f"{attack.name} search"), settings)


class _Loaded:
    """A model that is loaded when its first picture has to be drawn."""

    def __init__(self, manifest: ModelManifest, scrambled: bool, device: str | None) -> None:
        self.manifest, self.scrambled, self.device = manifest, scrambled, device
        self._pipe: Pipeline | None = None
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pipe = None
        self._files.close()
        gc.collect()

    @property
    def digest(self) -> str:
        """What the pictures depend on."""
        return f"scrambled {self.manifest.digest}" if self.scrambled else self.manifest.digest

    def pipe(self) -> Pipeline:
        """The pipeline; the control's U-Net has fresh random weights."""
        if self._pipe is None:
            from mace_gov.diffusion.exact import exact_files
            from mace_gov.diffusion.load import load_pipeline
            from mace_gov.diffusion.scramble import scramble

            folder, self.unchanged = self._files.enter_context(exact_files(self.manifest))
            self._pipe = load_pipeline(folder, device=self.device)
            if self.scrambled:
                scramble(self._pipe, seed=0)
        return self._pipe


def _drawn(
    attack: Attack, loaded: _Loaded, aim: Aim, strike: Strike, store: Store | None
) -> tuple[list[Image], str]:
    key = digest_of({
        "model": loaded.digest, "attack": attack.name, "aim": [aim.category, aim.concept, *aim.words],
        "references": [sha256_bytes(png_bytes(image)) for image in aim.references], "seeds": list(strike.seeds),
        "budget": strike.budget, "seed": strike.seed, "settings": strike.settings.to_json(),
        "code": [attack.version, version_of("torch") or "", version_of("diffusers") or ""],
    })
    if store is not None and (stored := read_strike(store, key, len(strike.seeds))) is not None:
        return stored
    found = attack.strike(loaded.pipe(), aim, strike)
    loaded.unchanged()
    if store is not None:
        write_strike(store, key, *found)
    return found
