"""Second moments of a target's text states: all that refinement, directions and fusion read of them.

They are d x d whatever the number of templates, so they are kept where the states would be: a target whose text, anchor
and templates are those of an earlier run is neither encoded nor multiplied out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch

from mace_gov.diffusion.text import TextReader, Tokens
from mace_gov.documents.plan import ErasurePlan, PairedTokens, Target


@dataclass(frozen=True)
class Pairs:
    """Moments of pairs (e_s, e_t) of a target's states with its anchor's, float64."""

    a: torch.Tensor
    """sum e_s e_s^T [d, d]."""
    c: torch.Tensor
    """sum e_t e_s^T [d, d]."""
    square: float
    """sum |e_t|^2."""

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(self.a + other.a, self.c + other.c, self.square + other.square)

    def __mul__(self, weight: float) -> Pairs:
        """As if each pair stood in them ``weight`` times."""
        return Pairs(self.a * weight, self.c * weight, self.square * weight)

    def left(self, matrix: torch.Tensor) -> float:
        """sum |M e_s - e_t|^2 / sum |e_s - e_t|^2 for M [d, d]: 0 mapped whole, 1 untouched; 0 where they are one."""
        def distance(m: torch.Tensor) -> float:
            return float(((m @ self.a) * m).sum() - 2 * (m * self.c).sum()) + self.square

        before = distance(torch.eye(len(matrix), dtype=matrix.dtype))
        return distance(matrix) / before if before > 0 else 0.0


@dataclass(frozen=True)
class Moments:
    """Of one target's prompts, all float64 on the CPU."""

    own: torch.Tensor
    """States of the concept's own tokens [n own, d]."""
    loose: torch.Tensor
    """States around it that are in no pair with the anchor's [n loose, d]."""
    around: torch.Tensor
    """Sum of e e^T over all positions but its own [d, d]."""
    c: torch.Tensor
    """C_i = sum e_t e_s^T over the pairs around the concept [d, d]."""
    own_c: torch.Tensor
    """The same over pairs of the concept's own tokens with the anchor's own [d, d]."""
    squares: torch.Tensor
    """Sum of |e_t|^2 over the pairs around the concept, and over those of its own tokens [2]."""

    @property
    def a(self) -> torch.Tensor:
        """sum e_s e_s^T over the pairs around the concept [d, d]."""
        return self.around - self.loose.T @ self.loose

    def pairs(self, tokens: PairedTokens) -> Pairs:
        """The moments of the pairs that a refinement maps."""
        if tokens == "context":
            return Pairs(self.a, self.c, float(self.squares[0]))
        return Pairs(self.a + self.own.T @ self.own, self.c + self.own_c, float(self.squares.sum()))

    @property
    def every(self) -> torch.Tensor:
        """A_i = E_i E_i^T over all positions [d, d]."""
        return self.around + self.own.T @ self.own


def target_moments(reader: TextReader, plan: ErasurePlan, target: Target) -> Moments:
    """The moments of one of the plan's targets: of its name, or the mean over all its names where the plan says so."""
    each = [_of_name(reader, plan, name, target.anchor) for name in names_of(plan, target)]
    if len(each) == 1:
        return each[0]
    share = 1 / len(each)
    return Moments(
        own=torch.cat([m.own for m in each]) * share ** 0.5, loose=torch.cat([m.loose for m in each]) * share ** 0.5,
        around=_sum(m.around for m in each) * share, c=_sum(m.c for m in each) * share,
        own_c=_sum(m.own_c for m in each) * share, squares=_sum(m.squares for m in each) * share,
    )


def _sum(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    return reduce(torch.add, tensors)


def names_of(plan: ErasurePlan, target: Target) -> list[str]:
    """The names by which a target is erased: its own, and with ``refine_names`` its synonyms and narrower terms."""
    return [target.target, *(target.other_names or [])] if plan.refine_names else [target.target]


def _of_name(reader: TextReader, plan: ErasurePlan, name: str, anchor: str) -> Moments:
    what = {"what": "target/v2", "target": name, "anchor": anchor, "templates": plan.templates}
    return Moments(**reader.kept(what, lambda: _multiplied(reader, plan, name, anchor)))


def _multiplied(reader: TextReader, plan: ErasurePlan, name: str, anchor: str) -> dict[str, torch.Tensor]:
    prompts = [reader.fill(template, name) for template in plan.templates]
    states = TextReader.together(reader, prompts).double()  # [n, L, d]: read once, so not kept
    return multiplied(reader, prompts, states, *reader.phrase(anchor, plan.templates))


def multiplied(
    reader: TextReader, prompts: Sequence[Tokens], states: torch.Tensor, anchor_prompts: Sequence[Tokens],
    anchor_states: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """What ``Moments`` holds, of prompts with their states [n, L, d] and of the anchor's prompts with theirs; float64.
    """
    own, paired = torch.zeros(2, *states.shape[:2], dtype=torch.bool)
    moments = torch.zeros(2, reader.width, reader.width, dtype=torch.float64)
    squares = torch.zeros(2, dtype=torch.float64)
    for n, (one, other) in enumerate(zip(prompts, anchor_prompts, strict=True)):
        around = coexisting_pairs(one, other)
        own[n, one.positions], paired[n, [i for i, _ in around]] = True, True
        for part, pairs in enumerate((around, own_pairs(one, other))):
            e_t = anchor_states[n, [j for _, j in pairs]]
            moments[part].addmm_(e_t.T, states[n, [i for i, _ in pairs]])
            squares[part] += e_t.square().sum()
    rest = states[~own]
    return {"own": states[own], "loose": states[~own & ~paired], "around": rest.T @ rest, "c": moments[0].clone(),
            "own_c": moments[1].clone(), "squares": squares}


def own_pairs(source: Tokens, target: Tokens) -> list[tuple[int, int]]:
    """Positions of the concept's own tokens and of the anchor's, aligned at the last of them.

    Where the concept has more tokens than the anchor, its first ones all go to the anchor's first.
    """
    shift = target.found[1] - source.found[1]
    return [(i, max(i + shift, target.found[0])) for i in range(*source.found)]


def coexisting_pairs(source: Tokens, target: Tokens) -> list[tuple[int, int]]:
    """Positions of the target prompt and of the anchor prompt that stand for the same thing.

    Longest common prefix with prefix, longest common suffix with suffix, neither reaching into the own tokens of
    target or anchor; then on from the last used position on either side into the padding, one by one, until the
    longer prompt reaches the encoder's length.
    """
    left, right = source.ids[:source.used], target.ids[:target.used]
    prefix = _common(left[:source.found[0]], right[:target.found[0]])
    suffix = _common(left[source.found[1]:][::-1], right[target.found[1]:][::-1])
    pairs = [(i, i) for i in range(prefix)]
    pairs += [(source.used - k, target.used - k) for k in range(suffix, 0, -1)]
    padding = len(source.ids) - max(source.used, target.used)
    return pairs + [(source.used + j, target.used + j) for j in range(padding)]


def _common(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    count = 0
    while count < min(len(left), len(right)) and left[count] == right[count]:
        count += 1
    return count
