"""What a guard learns from: noised pictures, what the U-Net is told of each, and what it should see in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress
from mace_gov.diffusion.batching import batch_size_of
from mace_gov.diffusion.denoising import levels_of
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.generate import predict, sample
from mace_gov.diffusion.learnt_words import BATCH, all_steps, learn_words, word_conditions
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import Conditions, TextReader
from mace_gov.documents.drawable import may_draw
from mace_gov.documents.plan import ErasurePlan, GuardSettings, Target
from mace_gov.documents.reuse import derived_seed
from mace_gov.documents.terms import Kind
from mace_gov.erase.preserve import evenly, other_captions, split
from mace_gov.erase.training_pictures import training_pictures, undrawn

ERASED, KEPT = 4, 12
"""Noised pictures of a step for what is erased, and for what is kept."""
ANCHORED = 0.4
"""Share of the former that are the anchor's own: the concept's name must lead there from any picture."""
UNTOLD = 0.15
"""Share of the latter that are told nothing, which classifier-free guidance reads."""
STARTS = 2
"""Of each search for a word, see ``learnt_words.STARTS``: fewer than an attack's, since there are more rounds."""
ANCHORS = 8
"""Pictures of each anchor."""
CONTROLS = 64
"""Draws that the losses are compared on before and after; of captions that no step trains on, and of other noise."""


@dataclass(frozen=True)
class Lesson:
    """Noised pictures with what the U-Net is told, and what its prediction should be that of."""

    latents: torch.Tensor
    """[n, c, h, w]."""
    told: Conditions
    """n prompts."""
    goal: Conditions
    """n prompts: told these, the base's prediction is the goal."""
    steps: torch.Tensor
    """Timesteps [n]."""
    noise: torch.Tensor
    """[n, c, h, w]."""

    def part(self, part: slice) -> Lesson:
        """Some of them."""
        return Lesson(self.latents[part], self.told[part], self.goal[part], self.steps[part], self.noise[part])

    def noised(self, pipe: Pipeline) -> tuple[torch.Tensor, torch.Tensor]:
        """The pictures with their noise [n, c, h, w], and their timesteps [n], on the U-Net's device."""
        device = pipe.unet.device
        latents, noise, steps = (each.to(device) for each in (self.latents, self.noise, self.steps))
        level = levels_of(pipe)[steps].view(-1, 1, 1, 1)
        return level.sqrt() * latents + (1 - level).sqrt() * noise, steps


class Lessons:
    """Pictures and captions to learn from."""

    def __init__(
        self, plan: ErasurePlan, pipe: Pipeline, settings: GuardSettings, targets: Sequence[Target],
        cache: Path | None, progress: Progress,
    ) -> None:
        self.plan, self.pipe, self.targets, self.progress = plan, pipe, targets, progress
        advance = progress.start("drawing training pictures", undrawn(plan, targets, cache))
        drawn = training_pictures(pipe, plan, targets, cache, advance, progress)
        self.own = [drawn[target.id].latents for target in targets]
        reader = TextReader.of(pipe)
        self.empty = reader.conditions([""])
        self.named = [reader.conditions([reader.fill(each, t.target) for each in plan.templates]) for t in targets]
        self.anchored = [reader.conditions([reader.fill(each, t.anchor) for each in plan.templates]) for t in targets]
        anchors = sorted({target.anchor for target in targets})
        parts = [split(_drawable(plan, part)) for part in other_captions(plan, reader.tokenizer)]
        taught = evenly([part for part, _ in parts], settings.pictures)
        if not taught:
            raise NumericalError("guard: no caption is left that it could keep, expected some that name nothing banned",
                                 hint="Give the model more captions (captions.txt), or take the block out.")
        held = evenly([part for _, part in parts], CONTROLS // 4) or taught  # of fewer than ten none is held out
        wanted = [plan.templates[n % len(plan.templates)].replace("{}", anchor, 1)
                  for anchor in anchors for n in range(ANCHORS)] + taught + held
        self.texts = reader.conditions(wanted)
        advance = progress.start("drawing what the guard keeps", len(wanted))
        latents = []
        for part, made in batch_size_of(pipe, f"draw {plan.generation.size}", plan.generation.batch).each(
                len(wanted), lambda part: sample(
                    pipe, self.texts[part], self.empty,
                    [derived_seed(plan.seed, f"guard:{n}") for n in range(len(wanted))[part]], plan.generation)):
            latents.append(made.float().cpu())
            advance(part.stop - part.start)
        self.latents = torch.cat(latents)
        count = len(anchors) * ANCHORS
        self.of_anchor = {anchor: range(n * ANCHORS, (n + 1) * ANCHORS) for n, anchor in enumerate(anchors)}
        self.taught = range(count, count + len(taught))
        self.held = range(count + len(taught), len(wanted))

    def find_words(self, steps: int, turn: int) -> None:
        """Search a word for each concept on the U-Net as it is now; from then on these lead to the anchors as well."""
        size = batch_size_of(self.pipe, "learnt words", max(1, self.plan.generation.batch // BATCH))
        seeds = [derived_seed(self.plan.seed, f"{target.id}:guard:{turn}") for target in self.targets]
        advance = self.progress.start("searching for words that bring concepts back (steps)",
                                      all_steps(steps, STARTS) * len(seeds))
        learnt = torch.cat([found.vectors for _, found in size.each(len(seeds), lambda part: learn_words(
            self.pipe, self.own[part], seeds[part], steps=steps, starts=STARTS, advance=advance))])
        words = WordVectors(self.pipe)
        for which, vectors in enumerate(learnt):
            told = Conditions.joined(word_conditions(words, vectors, self.plan.templates)[1])
            self.named[which] = Conditions.joined([self.named[which], told])
            goal = self.anchored[which]
            self.anchored[which] = Conditions.joined([goal, goal[:len(told)]])

    def draw(self, erased: int, kept: int, chance: torch.Generator, *, held_out: bool = False) -> Lesson:
        """So many draws of either kind. held_out: kept ones of captions that no step trains on."""
        latents, told, goal = [], [], []

        def one_of(count: int) -> int:
            return int(torch.randint(count, (1,), generator=chance))

        for _ in range(erased):
            which = one_of(len(self.targets))
            template = one_of(len(self.named[which]))
            if float(torch.rand(1, generator=chance)) < ANCHORED:
                latents.append(self.latents[self.of_anchor[self.targets[which].anchor][one_of(ANCHORS)]])
            else:
                latents.append(self.own[which][one_of(len(self.own[which]))])
            told.append(self.named[which][template:template + 1])
            goal.append(self.anchored[which][template:template + 1])
        among = self.held if held_out else self.taught
        for _ in range(kept):
            place = among[one_of(len(among))]
            untold = float(torch.rand(1, generator=chance)) < UNTOLD
            text = self.empty if untold else self.texts[place:place + 1]
            latents.append(self.latents[place])
            told.append(text)
            goal.append(text)
        shape = (len(latents), *latents[0].shape)
        steps = torch.randint(len(levels_of(self.pipe)), shape[:1], generator=chance)
        noise = torch.randn(shape, generator=chance)
        return Lesson(torch.stack([each.cpu() for each in latents]), Conditions.joined(told), Conditions.joined(goal),
                      steps, noise)

    @torch.no_grad()
    def scale(self, control: Lesson) -> float:
        """Mean square of a prediction's difference where it is told something and where nothing: what counts as far."""
        noised, steps = control.noised(self.pipe)
        told, untold = (predict(self.pipe, noised, steps, text).float() for text in (
            control.told, self.empty.repeated(len(control.told))))
        return float((told - untold).square().mean())


def _drawable(plan: ErasurePlan, captions: Sequence[str]) -> list[str]:
    """Captions of which pictures may be made beside what is erased."""
    kind = Kind.EXPLICIT if any(target.kind is Kind.EXPLICIT for target in plan.targets) else Kind.OBJECT
    return [caption for caption in captions if may_draw(kind, caption)]
