"""A target's moments: what they sum, and that a kept one is neither encoded nor multiplied out again."""

from __future__ import annotations

import pytest
import torch

from mace_gov.diffusion.text import TextReader
from mace_gov.erase.second_moments import coexisting_pairs, target_moments
from mace_gov.erase.texts import kept_reader


class Read(Exception):
    """The encoder was asked."""


def test_they_sum_what_the_papers_terms_sum(base_pipe, plan_for):
    reader, plan = TextReader.of(base_pipe), plan_for()
    for target in plan.targets:
        found = target_moments(reader, plan, target)
        prompts, states = reader.phrase(target.target, plan.templates)
        others, anchors = reader.phrase(target.anchor, plan.templates)
        pairs = [(n, i, j) for n, (one, other) in enumerate(zip(prompts, others, strict=True))
                 for i, j in coexisting_pairs(one, other)]
        e_s = torch.stack([states[n, i] for n, i, _ in pairs])
        e_t = torch.stack([anchors[n, j] for n, _, j in pairs])
        every = states.flatten(0, 1)
        rest = torch.cat([states[n, [i for i in range(reader.length) if i not in prompt.positions]]
                          for n, prompt in enumerate(prompts)])
        for one, other in ((found.a, e_s.T @ e_s), (found.c, e_t.T @ e_s), (found.every, every.T @ every),
                           (found.around, rest.T @ rest)):
            assert torch.allclose(one, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


def test_positions_without_a_partner_are_in_no_pair_but_around(base_pipe, plan_for):
    reader, plan = TextReader.of(base_pipe), plan_for()
    target = plan.targets[0].model_copy(update={"target": "cat", "anchor": "a dog on the street"})
    found = target_moments(reader, plan, target)
    assert len(found.loose) > 0
    assert torch.allclose(found.a + found.loose.T @ found.loose + found.own.T @ found.own, found.every)


def test_kept_ones_are_the_same_bits_and_encode_nothing(base_pipe, plan_for, tmp_path, monkeypatch):
    plan = plan_for()
    target, other = plan.targets[0], plan.targets[0].model_copy(update={"anchor": "art"})
    plain = target_moments(TextReader.of(base_pipe), plan, target)
    with kept_reader(base_pipe, plan, tmp_path) as reader:
        first = target_moments(reader, plan, target)
        monkeypatch.setattr(TextReader, "_read", lambda *_: (_ for _ in ()).throw(Read()))
        again = target_moments(reader, plan, target)
        for changed in ((plan, other), (plan.model_copy(update={"templates": plan.templates[:1]}), target)):
            with pytest.raises(Read):
                target_moments(reader, *changed)
    for name in ("own", "loose", "around", "c"):
        assert torch.allclose(getattr(first, name), getattr(plain, name), atol=1e-5)
        assert torch.equal(getattr(again, name), getattr(first, name))  # a copy, nothing is computed
