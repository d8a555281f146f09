"""The preserve term: second moments of what must keep its outputs.

P = sum e e^T over every position of every caption, begin, end and padding included, since cross-attention reads them
all. It is a sum, not a mean: more captions weigh more, and mu multiplies it plainly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load, save

from mace_gov.core.canonical import digest_of
from mace_gov.core.errors import NumericalError
from mace_gov.core.progress import Progress, Silent
from mace_gov.core.store import Store
from mace_gov.diffusion.text import TextReader
from mace_gov.documents.plan import ErasurePlan, ModelManifest
from mace_gov.documents.policy import Kind
from mace_gov.erase.captions import captions_for, without
from mace_gov.erase.namesakes import namesakes
from mace_gov.erase.texts import encoder_digest


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


def prior_captions(plan: ErasurePlan) -> list[str]:
    """General captions, but for those that name a target, by whichever name."""
    banned = [name for target in plan.targets for name in (target.target, *(target.other_names or []))]
    return without(captions_for(Path(plan.base.path)), banned)


def concept_captions(plan: ErasurePlan) -> list[str]:
    """Captions of the concepts that are preserved by name; none where their scale is 0."""
    kept = plan.preserve.concepts if plan.preserve.concept_scale > 0 else []
    return [each.replace("{}", phrase, 1) for phrase in kept for each in plan.templates]


def namesake_captions(plan: ErasurePlan) -> list[str]:
    """A caption for each namesake, the plan's templates in turn; none where their scale is 0."""
    if not plan.preserve.namesake_scale:
        return []
    people = namesakes([target.target for target in plan.targets if target.kind is Kind.CELEBRITY])
    return [plan.templates[n % len(plan.templates)].replace("{}", name, 1) for n, name in enumerate(people)]


def moment_of(
    reader: TextReader, base: ModelManifest, captions: Sequence[str], cache: Path | None = None,
    progress: Progress | None = None,
) -> torch.Tensor:
    """P [d, d] of captions, kept as a whole in ``cache``."""
    key = digest_of({"what": "moment/v1", "text": encoder_digest(base), "captions": captions})
    store, name = None if cache is None else Store(cache), f"moments/{key}.safetensors"
    if store is not None and (data := store.get(name)) is not None:
        return load(data)["P"]
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


def preserve_term(
    reader: TextReader, plan: ErasurePlan, cache: Path | None = None, progress: Progress | None = None
) -> torch.Tensor:
    """mu P = scale P_prior + conceptScale P_concepts + namesakeScale P_namesakes, [d, d] float64.

    Namesakes stand in one caption each.
    Raises NumericalError when the term is not finite.
    """
    settings = plan.preserve
    term = torch.zeros(reader.width, reader.width, dtype=torch.float64)
    if settings.prior == "general" and settings.scale > 0:
        term += settings.scale * moment_of(reader, plan.base, prior_captions(plan), cache, progress)
    if captions := concept_captions(plan):
        term += settings.concept_scale * moment_of(reader, plan.base, captions, cache, progress)
    if captions := namesake_captions(plan):
        term += (settings.namesake_scale or 0.0) * moment_of(reader, plan.base, captions, cache, progress)
    if not torch.isfinite(term).all():
        raise NumericalError("the preserve matrix is not finite, expected finite text states and scales")
    return term
