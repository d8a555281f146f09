"""The two ways in which rounds of search (``harden``) look for words that bring concepts back on a refined model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

from mace_gov.core.progress import Progress
from mace_gov.core.resources import asked
from mace_gov.diffusion.batching import batch_size_of
from mace_gov.diffusion.learnt_words import BATCH, LearntWords, caption_losses, learn_words
from mace_gov.diffusion.matched_words import match_words
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.projections import projections
from mace_gov.documents.plan import ErasurePlan, HardenSettings, Target
from mace_gov.erase.refine import refined_weights
from mace_gov.erase.training_pictures import TrainingPictures, training_pictures, undrawn
from mace_gov.erase.training_workers import learnt_by


class WordSearch(Protocol):
    """One of them."""

    def words(
        self, targets: Sequence[Target], seeds: Sequence[int], matrix: torch.Tensor, advance: Callable[[int], None]
    ) -> LearntWords:
        """A word for each of the targets, which may come several times, on the model refined by ``matrix`` [d, d]."""
        ...

    def share(self, target: Target, loss: float) -> float:
        """How much of a target a word of such a loss brings back: 0 nothing, 1 as much as its name on the base."""
        ...


class ByPictures:
    """Words by the model's own training loss on the base's pictures of the targets."""

    def __init__(
        self, plan: ErasurePlan, pipe: Pipeline, settings: HardenSettings, targets: Sequence[Target],
        cache: Path | None, progress: Progress,
    ) -> None:
        self.plan, self.pipe, self.settings = plan, pipe, settings
        advance = progress.start("drawing training pictures", undrawn(plan, targets, cache))
        self.pictures = training_pictures(pipe, plan, targets, cache, advance, progress)
        self.size = batch_size_of(pipe, "learnt words", max(1, plan.generation.batch // BATCH))
        self.losses: dict[str, tuple[float, float]] = {}
        """Of the base told the name, and told the anchor, by concept id."""
        for part, losses in self.size.each(len(targets), lambda part: [
                caption_losses(pipe, _latents(self.pictures, targets[part]), [getattr(t, what) for t in targets[part]])
                for what in ("target", "anchor")]):
            for target, *both in zip(targets[part], *losses, strict=True):
                self.losses[target.id] = both[0], both[1]

    def words(
        self, targets: Sequence[Target], seeds: Sequence[int], matrix: torch.Tensor, advance: Callable[[int], None]
    ) -> LearntWords:
        """See ``WordSearch``. By the run's workers, where there are some."""
        settings, size = self.settings, self.size
        if (workers := asked().workers) is not None:
            parts = [slice(start, start + size.size) for start in range(0, len(targets), size.size)]
            made = []
            for part, words in zip(parts, learnt_by(workers, self.plan, settings, [
                    list(zip(targets[part], seeds[part], strict=True)) for part in parts], self.pictures, matrix),
                    strict=True):
                made.append(words)
                advance(settings.steps * len(targets[part]))
        else:
            with refined_weights(self.pipe.unet, matrix):
                made = [words for _, words in size.each(len(targets), lambda part: learn_words(
                    self.pipe, _latents(self.pictures, targets[part]), seeds[part], steps=settings.steps,
                    count=settings.vectors, advance=advance))]
        return LearntWords(torch.cat([words.vectors for words in made]),
                           [loss for words in made for loss in words.losses])

    def share(self, target: Target, loss: float) -> float:
        """See ``WordSearch``: of the way from the anchor's loss to the name's."""
        named, anchored = self.losses[target.id]
        return (anchored - loss) / (anchored - named) if anchored > named else 0.0


class ByText:
    """Words by the keys and values that the targets' names give the base. No picture is drawn."""

    def __init__(self, pipe: Pipeline, settings: HardenSettings) -> None:
        self.pipe, self.settings = pipe, settings
        self.base = {name: layer.weight.detach().cpu().clone() for name, layer in projections(pipe.unet).items()}

    def words(
        self, targets: Sequence[Target], seeds: Sequence[int], matrix: torch.Tensor, advance: Callable[[int], None]
    ) -> LearntWords:
        """See ``WordSearch``."""
        with refined_weights(self.pipe.unet, matrix):
            return match_words(self.pipe, [(target.target, target.anchor) for target in targets], self.base, seeds,
                               steps=self.settings.steps, count=self.settings.vectors, advance=advance)

    def share(self, target: Target, loss: float) -> float:
        """See ``WordSearch``: of the way from the anchor's keys and values to the name's, of squares."""
        return 1 - loss


def word_search(
    plan: ErasurePlan, pipe: Pipeline, settings: HardenSettings, targets: Sequence[Target], cache: Path | None,
    progress: Progress,
) -> WordSearch:
    """The one that the settings name."""
    if settings.match == "text":
        return ByText(pipe, settings)
    return ByPictures(plan, pipe, settings, targets, cache, progress)


def _latents(pictures: Mapping[str, TrainingPictures], targets: Sequence[Target]) -> list[torch.Tensor]:
    return [pictures[target.id].latents for target in targets]
