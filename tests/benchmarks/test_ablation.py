"""One pass over all variants of the ablation with a judge that cannot see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks import ablation
from mace_gov.documents.plan import GenerationSettings
from mace_gov.documents.policy import Suite
from mace_gov.policy.load import load_policy

POLICY = Path(__file__).parents[2] / "policies" / "objects-ten.yaml"


def test_the_first_concepts_alone_are_targets():
    policy = load_policy(POLICY).policy
    assert [c.id for _, c in ablation.first_concepts(policy, 3).concepts()] == ["airplane", "automobile", "bird"]
    assert ablation.first_concepts(policy, None) == policy


class Blind:
    """Sees the wanted thing in every other picture."""

    name, threshold = "blind", 0.5

    def looks_for(self, query) -> bool:
        return True

    def score(self, images, queries):
        assert len(images) == len(queries)
        return list(np.arange(len(images)) % 2.0)


def test_all_variants_run_and_leave_the_base_as_it_was(tiny_model, tmp_path, monkeypatch, capsys):
    build = ablation.build_probes

    def some(asking):
        probes = build(asking)
        return [p for suite in Suite for p in [q for q in probes if q.suite is suite][:2]]

    drawn = []
    sampler = GenerationSettings(steps=2, guidance=1.0, size=16, batch=8)
    draw = ablation.draw

    def remembering(*args):
        drawn.append([np.asarray(picture) for picture in draw(*args)])
        return drawn[-1]

    make = ablation.make_plan
    monkeypatch.setattr(ablation, "build_probes", some)
    monkeypatch.setattr(ablation, "draw", remembering)
    monkeypatch.setattr(ablation, "JudgeDetector", lambda **_: Blind())
    monkeypatch.setattr(ablation, "make_plan", lambda *a, **k: fast(make(*a, **k), sampler))
    lines = tmp_path / "lines.jsonl"
    asked = [str(POLICY), "--model", str(tiny_model), "--counts", "2", "--seeds", "2", "--cache", str(tmp_path / "c"),
             "--out", str(lines)]
    result = ablation.main(asked)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(json.dumps(result))
    table = result["tables"][2]
    assert list(table) == [ablation.BASE, *ablation.VARIANTS]
    assert [len(row["seeds"]) for row in table.values()] == [1, 1, 2, 2, 2, 2, 2, 2]
    assert table["MACE"]["erased"]["n"] == 4  # two pictures of each seed's erasure
    assert len({np.stack(pictures).tobytes() for pictures in drawn}) == len(drawn) == 14  # each is another model
    sets = len(list((tmp_path / "c" / "loras").iterdir()))
    assert sets == 5 * 2 * 2  # of two concepts and seeds: as preset, uniform, and three with a random start
    drawn.clear()
    assert ablation.main(asked) == result and not drawn  # all of it stands in the lines


def fast(plan, sampler):
    """The plan with few steps and large ones, so that even a random model changes visibly."""
    targets = [t.model_copy(update={"lora": t.lora.model_copy(update={"steps": 3, "images": 1, "learning_rate": 0.1})})
               for t in plan.targets]
    return plan.model_copy(update={"targets": targets, "generation": sampler, "templates": plan.templates[:2]})
