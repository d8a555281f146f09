"""Pairs of neurons that answer one name each, from what a text encoder's layer reads and gives. See ``neurons``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from mace_gov.erase.margin import largest_margin

START, FULL = 0.25, 0.55
"""Where the ramp begins and where it has done its work, as shares of the way from the largest s of what must stay to
what nearly all of the name's own states reach."""
REACHED = 0.02
"""Share of a name's own states that may lie lower than that."""
SHRUNK = 0.02
"""Least variance of a direction, relative to the mean, when states are made comparable."""
RIDGES, OWN = (0.5, 0.05, 0.005, 0.0005), 0.025
"""lambdas of the machine of largest margin, and what a name's own states count, as shares of what must stay."""
MACHINES = 1 + len(RIDGES)
"""Solved for a group at most, the discriminant among them."""
ROOM = 0.25
"""Enough distance of a name from what is left alone, as a share of that from what is usual there."""
MOST_OTHERS = 20000
"""States that must stay of which the machine learns, more or less; its threshold is of all."""
STEEP = 60.0
"""Input of a neuron at the top of its ramp: there the encoder's smooth activation is a relu to within a thousandth."""
LEEWAY = 0.001
"""Share of what general captions read that may lie higher, where otherwise a name would not be told from them at all:
they hold its plural, and words that nobody listed for it."""
ROUNDING = 1e-3
"""Least distance of a ramp from what must stay: weights are rounded to halves."""
NARROW = 0.01
"""Least width of a ramp: its weights are the larger the narrower it is, and must not leave half precision's range."""

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""read [n, d], bias [n] and write [d, n] of n neurons."""


@dataclass(frozen=True)
class States:
    """Of one name, or of a caption: at the name's last token, and from the end of text on."""

    read: tuple[torch.Tensor, torch.Tensor]
    """Before the layer, [n, d] each."""
    given: tuple[torch.Tensor, torch.Tensor]
    """After it."""


def joined(states: Sequence[States]) -> States:
    """All of them, one after the other."""
    return States((torch.cat([s.read[0] for s in states]), torch.cat([s.read[1] for s in states])),
                  (torch.cat([s.given[0] for s in states]), torch.cat([s.given[1] for s in states])))


@dataclass(frozen=True)
class Group:
    """Names of a concept that one pair of neurons answers, and where it leads them."""

    names: tuple[States, ...]
    anchor: States
    reach: float = 1.0
    """How far they are led, of the way to it."""

    def at(self, place: int) -> torch.Tensor:
        """All of their states in one place, before the layer [n, d]."""
        return torch.cat([name.read[place] for name in self.names])


def pairs(
    place: int, concepts: Sequence[Group], stay: Sequence[States], prior: States,
    advance: Callable[[int], None] = lambda _n: None, before: Parts | None = None,
) -> tuple[Parts, list[bool]]:
    """Pairs for concepts in one place, and of each concept whether all of its names lie apart from what stays.

    What neurons of ``before`` write there as well is taken off. A concept's names share a pair, since synonyms are read
    alike; where together they are not apart, each gets its own.
    """
    parts, together = _solved(_Room(place, concepts, stay, prior), before, advance)
    single = [[replace(concept, names=(name,)) for name in concept.names]
              if not apart and len(concept.names) > 1 else [concept]
              for concept, apart in zip(concepts, together, strict=True)]
    if all(len(each) == 1 for each in single):
        return parts, together
    room = _Room(place, [group for groups in single for group in groups], stay, prior)
    parts, each = _solved(room, before, lambda _n: None)
    found = iter(each)
    return parts, [min(next(found) for _ in groups) for groups in single]


def _solved(room: _Room, before: Parts | None, advance: Callable[[int], None]) -> tuple[Parts, list[bool]]:
    """A pair for each group, and which of them lie apart from what stays and from one another."""
    place = room.place
    read, bias, reached, highest = room.machines(advance)
    apart = reached > highest
    gap = (reached - highest).clamp_min(0)  # what is not apart is left to what lies above all that must stay
    start = highest + (START * gap).clamp_min(ROUNDING)
    full = torch.maximum(highest + FULL * gap, start + NARROW)
    steep = STEEP / (full - start)
    write = torch.stack([_way(group, place, before) for group in room.groups]) / STEEP
    return (torch.cat([read * steep[:, None]] * 2), torch.cat([(bias - start) * steep, (bias - full) * steep]),
            torch.cat([write, -write]).T.contiguous()), apart.tolist()


def _way(group: Group, place: int, before: Parts | None) -> torch.Tensor:
    """What leads a group's mean state as far as it shall go, beside what neurons of ``before`` write there [d]."""
    anchor = group.anchor.given[place].mean(0)
    further = (group.reach - 1) * (anchor - _given(group, place, None))
    return anchor - _given(group, place, before) + further


def _given(group: Group, place: int, before: Parts | None) -> torch.Tensor:
    """The mean of a group's states after the layer and after neurons that it has already [d]."""
    given = torch.cat([name.given[place] for name in group.names])
    if before is not None:
        read, bias, write = before
        given = given + (group.at(place) @ read.T + bias).relu() @ write.T
    return given.mean(0)


class _Room:
    """What is read in one place of each group, and everywhere of all that must stay: a neuron reads every place."""

    def __init__(self, place: int, groups: Sequence[Group], stay: Sequence[States], prior: States) -> None:
        self.place, self.groups = place, groups
        self.own = [group.at(place) for group in groups]
        self.elsewhere = [group.at(1 - place) for group in groups]
        self.stay, self.prior = torch.cat([one for each in stay for one in each.read] or [prior.read[0][:0]]), prior
        self.middle = prior.read[place].mean(0)
        self.root = self._root([each.read[place] for each in stay])
        others = torch.cat([*prior.read, self.stay])
        # an odd step, so that all places of a prompt take part
        self.others = self._comparable(others[::len(others) // MOST_OTHERS * 2 + 1])

    def _root(self, kept: Sequence[torch.Tensor]) -> torch.Tensor:
        """Cholesky's root of a covariance of captions and names, with what wording alone changes in it."""
        spread, named = self.prior.read[self.place] - self.middle, torch.cat([*self.own, *kept]) - self.middle
        within = torch.cat([states - states.mean(0) for states in (*self.own, *kept)])
        covariance = ((spread.T @ spread / len(spread) + named.T @ named / len(named)) / 2
                      + within.T @ within / len(within))
        covariance.diagonal().add_(SHRUNK * float(covariance.diagonal().mean()))
        root: torch.Tensor = torch.linalg.cholesky(covariance)
        return root

    def _comparable(self, states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.linalg.solve_triangular(self.root, (states - self.middle).T, upper=False).T
        return found

    def machines(self, advance: Callable[[int], None]) -> tuple[torch.Tensor, ...]:
        """w [n, d] and c [n] with s(h) = w h + c for each group, what its own states reach, and the highest other s.

        Fisher's discriminant hears a name in other wordings best; where it leaves no ``ROOM``, so does the machine of
        largest margin with the largest lambda that does, or else the one that leaves most. advance: told of each
        machine, ``MACHINES`` for a group in all.
        """
        best: list[tuple[torch.Tensor, ...]] = [()] * len(self.own)
        shares = [-torch.inf] * len(self.own)
        left = list(range(len(self.own)))
        for turn, ridge in enumerate((None, *RIDGES)):
            read, bias = self.discriminants(left) if ridge is None else self.margins(left, ridge, advance)
            reached = torch.stack([(self.own[n] @ w + c).quantile(REACHED)
                                   for n, w, c in zip(left, read, bias, strict=True)])
            highest = self.highest(left, read, bias, reached)
            share = (reached - highest) / (reached - bias - read @ self.middle).clamp_min(1e-9)
            for k, n in enumerate(left):
                if share[k] > shares[n]:
                    best[n], shares[n] = (read[k], bias[k], reached[k], highest[k]), float(share[k])
            advance(len(left) * (ridge is None) + (len(RIDGES) - turn) * sum(shares[n] >= ROOM for n in left))
            if not (left := [n for n in left if shares[n] < ROOM]):
                break
        return tuple(torch.stack(each) for each in zip(*best, strict=True))

    def discriminants(self, which: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Fisher's w and c, with s = 1 at a group's mean, 0 at the captions' and at the group's in the other place."""
        at = torch.stack([torch.stack([self.own[n].mean(0), self.elsewhere[n].mean(0)]) - self.middle for n in which])
        reads = torch.cholesky_solve(at.mT, self.root.expand(len(at), *self.root.shape))  # [n, d, 2]
        read = torch.linalg.solve(reads.mT @ at.mT, reads.mT)[:, 0]
        return read, -read @ self.middle

    def margins(
        self, which: Sequence[int], ridge: float, advance: Callable[[int], None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """w and c of the machines of largest margin; other groups are among what each is told from."""
        names = [self._comparable(states) for states in self.own]
        rest = [states for n, states in enumerate(names) if n not in which]
        found, shift = largest_margin([names[n] for n in which], torch.cat([self.others, *rest]),
                                      ridge=ridge * len(self.others), weight=OWN * len(self.others), advance=advance)
        read = torch.linalg.solve_triangular(self.root.T, found.T, upper=True).T
        return read, shift - read @ self.middle

    def highest(
        self, which: Sequence[int], read: torch.Tensor, bias: torch.Tensor, reached: torch.Tensor
    ) -> torch.Tensor:
        """The largest s of all that must stay, of some groups [n]; ``LEEWAY`` where general captions leave no room.

        A group's own states in the other place have a pair already. They are left alone where that leaves ``ROOM``; a
        machine that had to tell them apart would tell others worse.
        """
        of_groups = torch.stack([(states @ read.T + bias).amax(0) for states in self.own])
        of_groups[list(which), range(len(which))] = -torch.inf
        near = torch.cat([of_groups, self.stay @ read.T + bias]).amax(0)
        captions = (torch.cat(self.prior.read) @ read.T + bias).sort(0, descending=True).values
        few = captions[int(LEEWAY * len(captions))]
        highest = torch.maximum(near, torch.where(reached > captions[0], captions[0], few))
        elsewhere = torch.stack([(self.elsewhere[n] @ w + c).max() for n, w, c in zip(which, read, bias, strict=True)])
        alone, usual = torch.maximum(highest, elsewhere), bias + read @ self.middle
        return torch.where(reached - alone >= ROOM * (reached - usual), alone, highest)
