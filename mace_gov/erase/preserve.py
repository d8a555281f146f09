"""The preserve term: second moments of what must keep its outputs.

P = sum e e^T over every position of every caption, begin, end and padding included, since cross-attention reads them
all. Weights of the default are relative: prompt for prompt beside what is erased. Published ones multiply the sum, and
go with a prior of some 617,000 captions; ``prior_size`` makes the few here count for as many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load, save

from mace_gov.core.canonical import digest_of
from mace_gov.core.errors import NumericalError
from mace_gov.core.phrases import phrase_key
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.store import Store
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.erasure import Stage
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.terms import Kind
from mace_gov.erase.captions import captions_for, without
from mace_gov.erase.namesakes import namesakes
from mace_gov.erase.texts import encoder_digest
from mace_gov.erase.vocabulary import word_captions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


FREE_HARM = 0.03
"""``harm`` up to which nothing is lost that pictures show: up to .034 the three models of docs/methods.md kept 248 of
249 others or more, five objects erased."""


LEAST_NAMESAKES = 8
"""Captions of namesakes that tell what an edit does to people; so many are held out from some twenty people on."""


def second_moment(states: Iterable[torch.Tensor], width: int) -> torch.Tensor:
    """Sum of e e^T over the rows of every state [L, d], in float64 on the CPU; memory is O(d^2)."""
    total = torch.zeros(width, width, dtype=torch.float64)
    for block in _blocks(states):
        total.addmm_(block.T, block)
    return total  # [d, d]


def _blocks(states: Iterable[torch.Tensor], rows: int = 4096) -> Iterable[torch.Tensor]:
    """States gathered into tall float64 blocks, so that the products are few and large."""
    held: list[torch.Tensor] = []
    count = 0
    for state in states:
        held.append(state)
        count += state.shape[0]
        if count >= rows:
            yield torch.cat(held).cpu().double()
            held, count = [], 0
    if held:
        yield torch.cat(held).cpu().double()


def prior_captions(plan: ErasurePlan, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """General captions, and with ``prior: vocabulary`` one of each word that the tokenizer lists.

    None of them names a target, by whichever name, nor what is held out.
    """
    banned = [name for target in plan.targets for name in (target.target, *(target.other_names or []))]
    captions = captions_for(Path(plan.base.path))
    if plan.preserve.prior == "vocabulary":
        captions = [*captions, *word_captions(tokenizer, plan.templates)]
    return without(captions, [*banned, *(plan.preserve.held_out or [])])


def _concept_captions(plan: ErasurePlan) -> list[str]:
    """Captions of the concepts that are preserved by name, each in every template."""
    return [each.replace("{}", phrase, 1) for phrase in plan.preserve.concepts for each in plan.templates]


def _namesake_captions(plan: ErasurePlan) -> list[str]:
    """A caption for each namesake, the plan's templates in turn."""
    left_out = {phrase_key(phrase) for phrase in plan.preserve.held_out or []}
    left_out |= {phrase_key(name) for target in plan.targets for name in target.other_names or []}
    people = [name for name in namesakes([t.target for t in plan.targets if t.kind is Kind.CELEBRITY])
              if phrase_key(name) not in left_out]
    return [plan.templates[n % len(plan.templates)].replace("{}", name, 1) for n, name in enumerate(people)]


def second_moment_of(
    reader: TextReader, base: ModelManifest, captions: Sequence[str], cache: Path | None = None,
    progress: Progress | None = None,
) -> torch.Tensor:
    """P [d, d] of captions, kept as a whole in ``cache``."""
    key = digest_of({"what": "moment/v1", "text": encoder_digest(base), "captions": captions})
    store, name = None if cache is None else Store(cache), f"moments/{key}.safetensors"

    def kept() -> torch.Tensor | None:
        data = None if store is None else store.get(name)
        return None if data is None else load(data)["P"]

    if (found := kept()) is not None:
        return found
    with nullcontext() if store is None else store.lease([name], progress or Silent()):
        if (found := kept()) is not None:  # another run read it meanwhile
            return found
        advance = (progress or Silent()).start("reading what is preserved", len(captions))
        states = reader.states([reader.tokens(caption) for caption in captions])
        moment = second_moment(_counted(states, advance), reader.width)
        if store is not None:
            store.tell(progress or Silent())
            store.put(name, save({"P": moment}))
    return moment


def _counted(states: Iterable[torch.Tensor], advance: Callable[[int], None]) -> Iterator[torch.Tensor]:
    for state in states:
        yield state
        advance(1)


def weighted_captions(
    plan: ErasurePlan, tokenizer: PreTrainedTokenizerBase, stage: Stage = "fuse"
) -> list[tuple[float, list[str]]]:
    """What the preserve term of a stage is made of: mu and its captions, for the prior, the concepts, the namesakes.

    Parts without weight or without captions are left out. Methods of one closed form take stage 3's weights. Relative
    scales count every part for as many prompts as the targets stand in: the result is that of means of all matrices,
    and depends on neither the number of templates, nor of captions, nor of targets.
    """
    kept, first = plan.preserve, stage == "refine"
    scale = kept.refine_scale if first and kept.refine_scale is not None else kept.scale
    concepts = kept.refine_concept_scale if first and kept.refine_concept_scale is not None else kept.concept_scale
    parts: list[tuple[float, int | None, list[str]]] = []
    if kept.prior != "none" and scale > 0:
        parts.append((scale, kept.prior_size, prior_captions(plan, tokenizer)))
    if concepts > 0:
        parts.append((concepts, None, _concept_captions(plan)))
    if kept.namesake_scale:
        parts.append((kept.namesake_scale, None, _namesake_captions(plan)))
    targets = len(plan.targets) * len(plan.templates) if kept.relative else None
    return [(weight * (targets or size or len(captions)) / len(captions), captions)
            for weight, size, captions in parts if captions]


def held_out_moment(
    reader: TextReader, plan: ErasurePlan, cache: Path | None = None, progress: Progress | None = None
) -> torch.Tensor:
    """Sum of e e^T [d, d] over the captions that a fit does not preserve, to see what an edit does to them.

    Those of the prior and those of namesakes count alike: each has the trace of the first.
    """
    parts = [second_moment_of(reader, plan.base, captions, cache, progress)
             for captions in held_out_captions(plan, reader.tokenizer)]
    total = torch.zeros(reader.width, reader.width, dtype=torch.float64)
    for part in parts:
        total += part * (parts[0].trace() / part.trace())
    return total


def held_out_captions(plan: ErasurePlan, tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """The captions that a fit does not preserve, by part: see ``other_captions``. Namesakes only if they are many."""
    parts = [split(part)[1] for part in other_captions(plan, tokenizer)]
    return [part for n, part in enumerate(parts) if len(part) >= (LEAST_NAMESAKES if n else 1)]


def other_captions(plan: ErasurePlan, tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """What an edit is looked at by: captions of the prior, and of namesakes, preserved or not, where there are some.

    A prior names no person, so that it does not tell what an edit does to people.
    """
    return [part for part in (prior_captions(plan, tokenizer), _namesake_captions(plan)) if part]


def evenly(parts: Sequence[Sequence[str]], most: int) -> list[str]:
    """At most so many captions, spread over each part; as many of each, and of the others what one has too few of."""
    shares: dict[int, list[str]] = {}
    left = most
    for turn, which in enumerate(sorted(range(len(parts)), key=lambda n: len(parts[n]))):
        part = parts[which]
        count = min(left // (len(parts) - turn), len(part))
        left -= count
        if count and len(part) >= 2 * count:
            shares[which] = list(part[::len(part) // count][:count])
        else:
            shares[which] = [part[n * len(part) // count] for n in range(count)]
    return [caption for which in range(len(parts)) for caption in shares[which]]


def harm(moment: torch.Tensor, matrix: torch.Tensor) -> float:
    """sum |M e - e|^2 / sum |e|^2 from the moment sum e e^T [d, d] and M [d, d]; 0 where nothing is looked at."""
    if not moment.any():
        return 0.0
    change = matrix - torch.eye(len(matrix), dtype=matrix.dtype)
    return float(((change @ moment) * change).sum() / moment.trace())


def split(captions: Sequence[str]) -> tuple[list[str], list[str]]:
    """Captions in two: nine of ten, and every tenth, which a fit holds out."""
    return [c for n, c in enumerate(captions) if n % 10 != 9], [c for n, c in enumerate(captions) if n % 10 == 9]


def preserve_term(
    reader: TextReader, plan: ErasurePlan, cache: Path | None = None, progress: Progress | None = None,
    stage: Stage = "fuse", *, hold_out: bool = False,
) -> torch.Tensor:
    """mu P = scale P_prior + conceptScale P_concepts + namesakeScale P_namesakes, [d, d] float64, of a stage.

    Namesakes stand in one caption each. hold_out: leave every tenth caption out, as ``held_out_moment`` has them.
    Raises NumericalError when the term is not finite.
    """
    term = torch.zeros(reader.width, reader.width, dtype=torch.float64)
    for weight, captions in weighted_captions(plan, reader.tokenizer, stage):
        # in two parts, so that a fit, which leaves one of them out, has nothing to read again
        for part in split(captions)[:1 if hold_out else 2]:
            if part:
                term += weight * second_moment_of(reader, plan.base, part, cache, progress)
    if not torch.isfinite(term).all():
        raise NumericalError("the preserve matrix is not finite, expected finite text states and scales")
    return term
