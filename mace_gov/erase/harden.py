"""Rounds of search: what brings a concept back on the erased model is erased as one more of its names.

A closed form answers the words that it was given. A word that is learnt on the erased model is a direction that was
left open; its text states with the concept's anchor are added to A and C, and the same system is solved again. Fresh
searches on the outcome find less, until none brings the concept back or captions that nobody preserved would move too
far. A learnt word that is kept serves again: a concept that is added later is searched for alone.

No linear edit of keys and values answers whoever may set the embeddings freely: see docs/audit.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save

from mace_gov.core.canonical import digest_of
from mace_gov.core.progress import Progress
from mace_gov.core.resources import asked
from mace_gov.core.store import Store
from mace_gov.diffusion.batching import BatchSize, batch_size_of
from mace_gov.diffusion.embeddings import WordVectors
from mace_gov.diffusion.learnt_words import BATCH, LearntWords, caption_losses, learn_words, word_states
from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.erasure import Hardening
from mace_gov.documents.plan import ErasurePlan, HardenSettings, Target
from mace_gov.documents.reuse import derived_seed, refinement_key
from mace_gov.erase.preserve import FREE_HARM, harm, held_out_moment, preserve_term
from mace_gov.erase.refine import Refinement, refined_weights, solve, summed
from mace_gov.erase.second_moments import Moments, Pairs, multiplied
from mace_gov.erase.training_pictures import TrainingPictures, training_pictures, undrawn
from mace_gov.erase.training_workers import learnt_by

BACK = 0.5
"""Share of the way back to the name's own loss from which a search counts as having brought a concept back."""

MOST_HARM = 2.0
"""How far captions that are held out may move, as a multiple of what the refinement alone does to them; ``FREE_HARM``
in any case, and never by more than ``FREE_HARM`` further: of a hundred people who share names with others, twice as far
cost the twin 51 of 70 held-out people in a hundred."""

WEIGHTS = (1.0, 0.5, 0.25, 0.125)
"""What a round's words may count beside a name, prompt for prompt. The first is taken at which captions that are held
out move no further than they may: a lighter word goes less far to its anchor and moves the rest less."""

VERSION = 4
"""Raised whenever the same plan would find other words."""


@dataclass(frozen=True)
class Words:
    """What was found for one concept."""

    vectors: torch.Tensor
    """Words that were erased [words, k, d] float32."""
    weights: torch.Tensor
    """What each counts beside a name [words]; see ``WEIGHTS``."""
    recovered: torch.Tensor
    """Of each round, what the best search brought back [rounds]; see ``documents.erasure.Hardening``."""


def harden(
    plan: ErasurePlan, pipe: Pipeline, reader: TextReader, refined: Refinement, preserve: torch.Tensor,
    targets: Sequence[Target], *, cache: Path | None, progress: Progress,
) -> tuple[Refinement, list[Hardening]]:
    """The refinement that erases what searches find for ``targets`` as well, and what they found.

    refined: stage 1 of the whole plan; preserve: mu P [d, d]. The pipeline's weights are the base's, before and after.
    Raises NumericalError when a system is ill-conditioned.
    """
    settings = plan.harden
    if settings is None or not targets:
        return refined, []
    store = None if cache is None else Store(cache)
    known = {target.id: found for target in targets if (found := _kept(store, plan, settings, target)) is not None}
    searched = [target for target in targets if target.id not in known]
    work = _Work(plan, pipe, reader, refined, preserve, cache, progress)
    for target in targets:
        if target.id in known:
            work.add(target, known[target.id].vectors, known[target.id].weights.tolist())
    made = _rounds(work, settings, searched, store) if searched else {}
    for target in searched:
        _keep(store, plan, settings, target, made[target.id])
    return work.refinement(), [
        Hardening(concept=target.id, recovered=[round(share, 4) for share in found.recovered.tolist()],
                  words=len(found.vectors), weights=found.weights.tolist(), reused=target.id in known)
        for target in targets for found in [known.get(target.id) or made[target.id]]
    ]


def _rounds(
    work: _Work, settings: HardenSettings, targets: Sequence[Target], store: Store | None
) -> dict[str, Words]:
    """What rounds of search find for each target, by concept id; it is in ``work`` by then."""
    plan, pipe, progress = work.plan, work.pipe, work.progress
    advance = progress.start("drawing training pictures", undrawn(plan, targets, work.cache))
    pictures = training_pictures(pipe, plan, targets, work.cache, advance, progress)
    batch_size = batch_size_of(pipe, "learnt words", max(1, plan.generation.batch // BATCH))
    named: dict[str, float] = {}
    anchored: dict[str, float] = {}
    for part, losses in batch_size.each(len(targets), lambda part: [
            caption_losses(pipe, _latents(pictures, targets[part]), [getattr(t, what) for t in targets[part]])
            for what in ("target", "anchor")]):
        for target, name, anchor in zip(targets[part], *losses, strict=True):
            named[target.id], anchored[target.id] = name, anchor
    alone = work.harm()
    limit = max(min(MOST_HARM * alone, alone + FREE_HARM), FREE_HARM)
    found: dict[str, list[tuple[torch.Tensor, float]]] = {target.id: [] for target in targets}
    shares: dict[str, list[float]] = {target.id: [] for target in targets}
    advance = progress.start("searching for words that bring concepts back (steps)",
                             settings.rounds * settings.searches * settings.steps * len(targets))
    for number in range(settings.rounds):
        jobs = [(target, turn) for target in targets for turn in range(settings.searches)]
        learnt = _searched(work, settings, jobs, pictures, number, batch_size, store, advance)
        back: dict[str, float] = {}
        for (target, _), loss in zip(jobs, learnt.losses, strict=True):
            way = anchored[target.id] - named[target.id]
            share = (anchored[target.id] - loss) / way if way > 0 else 0.0
            back[target.id] = max(back.get(target.id, share), share)
        for concept, share in back.items():
            shares[concept].append(share)
        returned = {concept for concept, share in back.items() if share >= BACK}
        new = [(target, vectors) for (target, _), vectors in zip(jobs, learnt.vectors, strict=True)
               if target.id in returned]
        weight = work.add_within(new, limit) if new else 0.0
        if weight:
            for target, vectors in new:
                found[target.id].append((vectors, weight))
        targets = [target for target in targets if target.id in returned]
        if not weight:
            break
    return {concept: Words(torch.stack([vectors for vectors, _ in each]) if each else torch.empty(0),
                           torch.tensor([weight for _, weight in each]), torch.tensor(shares[concept]))
            for concept, each in found.items()}


def _searched(
    work: _Work, settings: HardenSettings, jobs: Sequence[tuple[Target, int]],
    pictures: Mapping[str, TrainingPictures], number: int, batch_size: BatchSize, store: Store | None,
    advance: Callable[[int], None],
) -> LearntWords:
    """A word for each job on the model as erased so far; those of a round are kept together."""
    key = digest_of({
        "what": f"words/v{VERSION}", "refinement": refinement_key(work.plan), "settings": settings.to_json(),
        "jobs": [[target.id, turn] for target, turn in jobs], "round": number, "words": work.digest(),
    })
    name = f"words/rounds/{key}.safetensors"
    if store is not None and (data := store.get(name)) is not None:
        tensors = load(data)
        advance(settings.steps * len(jobs))
        return LearntWords(tensors["vectors"], tensors["losses"].tolist())
    seeds = [derived_seed(work.plan.seed, f"{target.id}:word:{number}:{turn}") for target, turn in jobs]
    matrix, concepts = work.refinement().matrix, [target for target, _ in jobs]
    if (workers := asked().workers) is not None:
        parts = [slice(start, start + batch_size.size) for start in range(0, len(jobs), batch_size.size)]
        learnt = []
        for part, words in zip(parts, learnt_by(workers, work.plan, settings, [
                list(zip(concepts[part], seeds[part], strict=True)) for part in parts], pictures, matrix), strict=True):
            learnt.append(words)
            advance(settings.steps * len(concepts[part]))
    else:
        with refined_weights(work.pipe.unet, matrix):
            learnt = [words for _, words in batch_size.each(len(jobs), lambda part: learn_words(
                work.pipe, _latents(pictures, concepts[part]), seeds[part], steps=settings.steps,
                count=settings.vectors, advance=advance))]
    vectors = torch.cat([words.vectors for words in learnt])
    losses = [loss for words in learnt for loss in words.losses]
    if store is not None:
        store.put(name, save({"vectors": vectors, "losses": torch.tensor(losses)}))
    return LearntWords(vectors, losses)


def _latents(pictures: Mapping[str, TrainingPictures], targets: Sequence[Target]) -> list[torch.Tensor]:
    return [pictures[target.id].latents for target in targets]


Sums = tuple[Pairs, torch.Tensor, tuple[str, ...]]
"""The pairs that are mapped, sum A_i [d, d], and the digests of the words among them."""


class _Work:
    """The closed form's sums, to which found words are added."""

    def __init__(
        self, plan: ErasurePlan, pipe: Pipeline, reader: TextReader, refined: Refinement, preserve: torch.Tensor,
        cache: Path | None, progress: Progress,
    ) -> None:
        self.plan, self.pipe, self.reader, self.preserve = plan, pipe, reader, preserve
        self.cache, self.progress, self.first = cache, progress, refined
        names = summed(reader, plan)
        self.named, self._ridge = names.named, names.ridge(plan.refine)
        self.words = WordVectors(pipe)
        self._sums: Sums = (names.pairs, names.total, ())
        self._held = held_out_moment(reader, plan, cache, progress)
        self._without = preserve_term(reader, plan, cache, progress, "refine", hold_out=True)

    def add(self, target: Target, found: torch.Tensor, weights: Sequence[float]) -> None:
        """One more pair of states for each word of ``found`` [words, k, d], each as often as its weight says."""
        for vectors, weight in zip(found, weights, strict=True):
            new = [(target, vectors)]
            self._put(self._sums, self._moments(new), new, weight)

    def add_within(self, new: Sequence[tuple[Target, torch.Tensor]], limit: float) -> float:
        """Add words at the first of ``WEIGHTS`` at which captions that are held out move no further than ``limit``.

        Returns that weight; 0 where there is none, and then nothing is added.
        """
        before, moments = self._sums, self._moments(new)
        for weight in WEIGHTS:
            self._put(before, moments, new, weight)
            if self.harm() <= limit:
                return weight
        self._sums = before
        return 0.0

    def _moments(self, new: Sequence[tuple[Target, torch.Tensor]]) -> tuple[Pairs, torch.Tensor]:
        """Of words that each count once: the pairs that are mapped, and sum A_i [d, d]. One word's are in memory."""
        total = torch.zeros_like(self._sums[1])
        pairs = Pairs(torch.zeros_like(total), torch.zeros_like(total), 0.0)
        for target, vectors in new:
            prompts, states = word_states(self.words, vectors, self.plan.templates)
            anchor = self.reader.phrase(target.anchor, self.plan.templates)
            moments = Moments(**multiplied(self.reader, prompts, states, *anchor))
            pairs = pairs + moments.pairs(self.plan.refine_tokens or "context")
            total = total + moments.every
        return pairs, total

    def _put(
        self, sums: Sums, moments: tuple[Pairs, torch.Tensor], new: Sequence[tuple[Target, torch.Tensor]],
        weight: float,
    ) -> None:
        pairs, total, seen = sums
        seen = (*seen, *(digest_of([target.id, vectors.tolist(), weight]) for target, vectors in new))
        self._sums = (pairs + moments[0] * weight, total + moments[1] * weight, seen)

    def digest(self) -> str:
        """Of the words that were added."""
        return digest_of(list(self._sums[2]))

    def refinement(self) -> Refinement:
        """Stage 1 of names and found words. ``left`` is that of the names."""
        pairs, total, seen = self._sums
        if not seen:
            return self.first
        matrix, system = solve(pairs.a, pairs.c, self._ridge, self.preserve)
        return Refinement(matrix, system, total, self.named.left(matrix))

    def harm(self) -> float:
        """sum |M e - e|^2 / sum |e|^2 over captions that M was solved without."""
        pairs = self._sums[0]
        matrix, _ = solve(pairs.a, pairs.c, self._ridge, self._without)
        return harm(self._held, matrix)


def _key(plan: ErasurePlan, settings: HardenSettings, target: Target) -> str:
    """Digest of all that is a concept's own; with an exact plan also of the refinement that it was searched on."""
    return digest_of({
        "what": f"words/v{VERSION}", "base": plan.base.digest, "target": target.target, "anchor": target.anchor,
        "names": target.other_names if plan.refine_names else None, "templates": plan.templates,
        "refine": plan.refine.to_json(), "refineTokens": plan.refine_tokens, "preserve": plan.preserve.to_json(),
        "settings": settings.to_json(), "seed": derived_seed(plan.seed, target.id),
        "generation": plan.generation.to_json(), "exact": refinement_key(plan) if plan.exact else None,
    })


def _kept(store: Store | None, plan: ErasurePlan, settings: HardenSettings, target: Target) -> Words | None:
    if store is None or (data := store.get(f"words/{_key(plan, settings, target)}.safetensors")) is None:
        return None
    return Words(**load(data))


def _keep(
    store: Store | None, plan: ErasurePlan, settings: HardenSettings, target: Target, found: Words
) -> None:
    if store is not None:
        store.put(f"words/{_key(plan, settings, target)}.safetensors",
                  save({"vectors": found.vectors, "weights": found.weights, "recovered": found.recovered}))
