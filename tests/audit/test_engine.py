"""The verb, on planted models of which the right answer is known."""

import json
import weakref

import pytest
from PIL import Image

from mace_gov.audit.detectors.by_name import make_detector
from mace_gov.audit.pictures import png_bytes
from mace_gov.audit.scoring import CHUNK
from mace_gov.audit.trials import read_trials
from mace_gov.core.digest import folder_files
from mace_gov.core.errors import DetectorError, IncompleteError, PolicyError, UsageError
from mace_gov.documents.audit import AuditResult
from mace_gov.documents.policy import Suite
from tests import factories
from tests.audit import planted


def rule(result: AuditResult, name: str):
    (found,) = [m for m in result.measurements if m.rule == name]
    return found


def powers(result: AuditResult, suite: Suite, detector: str = "any"):
    return [p for p in result.power if p.suite is suite and p.detector == detector and p.concept is None]


def test_a_good_erasure_is_seen_as_one(tmp_path):
    result = planted.run(tmp_path / "evidence", planted.erased, policy=factories.policy())
    direct, synonym, kept = (rule(result, f"NSFW-00{n}") for n in (1, 2, 3))
    assert direct.base.value == 1 and direct.governed.hits == 0 and direct.governed.high <= 0.05
    assert direct.governed.clusters >= 59
    assert synonym.governed.high <= 0.10
    assert kept.governed.value == 1 and kept.governed.low >= 0.90 and kept.governed.n >= 30
    assert direct.p_value < 1e-6 and kept.p_value == 1
    assert result.broken.passed and not result.broken.findings
    assert all(check.passed for check in result.power)
    assert result.measures["Acc_e"] == 0 and result.measures["Acc_s"] == 1 and result.measures["Acc_g"] == 0
    assert result.unscored == 0 and result.limitations


def test_the_result_reads_back_and_lists_every_file(tmp_path):
    result = planted.run(tmp_path, planted.erased)
    assert AuditResult.from_json(json.loads(result.canonical())) == result
    assert result.files == folder_files(tmp_path)
    trials = read_trials(tmp_path / "trials.jsonl")
    assert len(trials) == result.trials
    assert all(result.files[trial.image] == trial.image_digest for trial in trials)
    assert {trial.image for trial in trials} <= {n for n in result.files if n.startswith("pictures/")}
    asked = {side: [(t.prompt, t.seed) for t in trials if t.side == side] for side in ("base", "governed")}
    assert asked["base"] == asked["governed"]


def test_of_many_pictures_few_are_in_memory(tmp_path, monkeypatch):
    alive, most = set(), 0
    begin = Image.Image.__init__

    def counted(self):
        nonlocal most
        begin(self)
        alive.add(id(self))
        weakref.finalize(self, alive.discard, id(self))
        most = max(most, len(alive))

    monkeypatch.setattr(Image.Image, "__init__", counted)
    result = planted.run(tmp_path / "out", planted.erased, policy=planted.small_policy(prompts=16, unrelated=200),
                         cache=tmp_path / "cache")
    assert result.trials > 6 * CHUNK and most <= 2 * CHUNK + 8, "no more than what is looked at, and what was before"


def test_a_no_op_erasure_still_shows_everything(tmp_path):
    result = planted.run(tmp_path, planted.faithful)
    assert rule(result, "NSFW-001").governed.low > 0.05
    assert rule(result, "NSFW-002").governed.low > 0.10
    assert rule(result, "NSFW-001").p_value == 1
    assert result.broken.passed


@pytest.mark.parametrize(("model", "word"), [
    (planted.noise, "noise"), (planted.black, "constant"), (planted.collapsed, "collapsed"),
    (planted.unheeding, "follow"),
])
def test_a_wreck_is_called_broken_though_nothing_banned_is_in_it(tmp_path, model, word):
    result = planted.run(tmp_path, model)
    assert rule(result, "NSFW-001").governed.hits == 0
    assert not result.broken.passed
    assert any(word in finding for finding in result.broken.findings)
    assert rule(result, "NSFW-003").governed.high < 0.90


@pytest.mark.parametrize("model", [planted.noise, planted.black, planted.collapsed, planted.unheeding])
def test_a_wreck_is_called_broken_without_any_unrelated_prompt(tmp_path, model):
    policy = planted.small_policy(policy={"rules": factories.RULES[:2]}, unrelated=0)
    assert not planted.run(tmp_path, model, policy=policy).broken.passed
    assert planted.run(tmp_path / "good", planted.erased, policy=policy).broken.passed


def test_a_base_that_cannot_draw_the_concept_has_no_power(tmp_path):
    result = planted.run(tmp_path, planted.erased, base=planted.incapable)
    assert rule(result, "NSFW-001").governed.hits == 0
    for suite in (Suite.DIRECT, Suite.SYNONYM):
        (check,) = powers(result, suite)
        assert not check.passed and check.base.hits == 0
    assert powers(result, Suite.UNRELATED)[0].passed


def test_one_concept_that_the_base_does_not_draw_is_named(tmp_path):
    def half(prompt, seed):
        return (planted.erased if planted.subject(prompt) == "naked" else planted.faithful)(prompt, seed)

    class Strict(planted.Reader):
        def score(self, images, queries):
            asked = [type(q)(q.phrases[:1], q.facet, q.banned, q.side) for q in queries]
            return super().score(images, asked)

    result = planted.run(tmp_path, planted.erased, base=half, detector=Strict)
    named = {(p.suite, p.concept) for p in result.power if p.concept}
    assert named == {(Suite.DIRECT, "naked"), (Suite.SYNONYM, "naked")}
    assert not any(p.passed for p in result.power if p.concept)


class Raising(planted.Reader):
    """Breaks on some pictures, with whatever error."""

    def __init__(self, spec, error=RuntimeError, every=5):
        super().__init__(spec)
        self.error, self.every, self.seen = error, every, set()

    def score(self, images, queries):
        for image in images:
            if sum(image.tobytes()) % self.every == 0:
                self.seen.add(image.tobytes())
                raise self.error("cannot read this one")
        return super().score(images, queries)


@pytest.mark.parametrize("error", [RuntimeError, DetectorError, ValueError, ZeroDivisionError])
def test_a_detector_that_raises_leaves_trials_unscored_and_never_absent(tmp_path, error):
    made = []

    def detector(spec):
        made.append(Raising(spec, error))
        return made[-1]

    result = planted.run(tmp_path, planted.erased, detector=detector)
    (card,) = result.detectors
    assert card.failures >= len(made[0].seen) > 0
    trials = read_trials(tmp_path / "trials.jsonl")
    broken = [trial for trial in trials if trial.present is None]
    assert len(broken) == card.failures and all(trial.scores == {"judge": None} for trial in broken)
    direct = rule(result, "NSFW-001")
    assert direct.unscored > 0 and result.unscored > 0
    asked = sum(trial.suite is Suite.DIRECT and trial.side == "governed" for trial in trials)
    assert direct.governed.n < asked
    assert any("cannot read this one" in sentence for sentence in result.limitations)


def test_a_detector_that_always_raises_measures_nothing(tmp_path):
    result = planted.run(tmp_path, planted.erased, detector=lambda spec: Raising(spec, every=1))
    direct = rule(result, "NSFW-001")
    assert (direct.governed.n, direct.governed.low, direct.governed.high) == (0, 0, 1)
    assert direct.unscored > 0 and direct.p_value is None
    assert not powers(result, Suite.DIRECT)[0].passed
    assert "Acc_e" not in result.measures


@pytest.mark.parametrize("scores", [[float("nan")], [1.5], [-0.1], []])
def test_scores_that_are_no_scores_are_unscored(tmp_path, scores):
    class Odd(planted.Reader):
        def score(self, images, queries):
            return scores * len(images)

    result = planted.run(tmp_path, planted.erased, detector=Odd)
    assert rule(result, "NSFW-001").governed.n == 0 and result.detectors[0].failures == result.trials


def test_any_detector_over_its_threshold_makes_a_hit_and_one_that_breaks_takes_the_absence_away(tmp_path):
    def detector(spec):
        return planted.Reader(spec) if spec.name == "judge" else Raising(spec, every=1)

    policy = planted.small_policy(policy={"detectors": ("judge", "always-absent")})
    result = planted.run(tmp_path, planted.faithful, policy=policy, detector=detector)
    assert rule(result, "NSFW-001").governed.value == 1 and rule(result, "NSFW-001").unscored == 0
    result = planted.run(tmp_path / "second", planted.erased, policy=policy, detector=detector)
    assert rule(result, "NSFW-001").governed.n == 0 and rule(result, "NSFW-001").unscored > 0


def test_always_absent_has_no_power_and_always_present_no_absence(tmp_path):
    for name, expected in (("always-absent", 0), ("always-present", 1)):
        policy = planted.small_policy(policy={"detectors": (name,)})
        result = planted.run(tmp_path / name, planted.erased, policy=policy, detector=make_detector)
        assert rule(result, "NSFW-001").governed.value == expected
        assert powers(result, Suite.DIRECT)[0].passed is bool(expected)


def test_the_second_run_draws_nothing_and_says_the_same(tmp_path):
    drawn = []

    def counting(prompt, seed):
        drawn.append((prompt, seed))
        return planted.erased(prompt, seed)

    first = planted.run(tmp_path / "one", counting, cache=tmp_path / "cache")
    once = len(drawn)
    second = planted.run(tmp_path / "two", counting, cache=tmp_path / "cache")
    assert once == len(set(drawn)) and len(drawn) == once
    assert first.model_copy(update={"seconds": {}}) == second.model_copy(update={"seconds": {}})


def test_a_spoilt_cached_picture_is_drawn_anew(tmp_path):
    first = planted.run(tmp_path / "one", planted.erased, cache=tmp_path / "cache")
    for path in sorted((tmp_path / "cache/pictures").iterdir())[:3]:
        path.write_bytes(path.read_bytes()[:60])
    assert planted.run(tmp_path / "two", planted.erased, cache=tmp_path / "cache").files == first.files


def test_cached_pictures_that_changed_places_are_drawn_anew_and_said(tmp_path):
    first = planted.run(tmp_path / "one", planted.erased, cache=tmp_path / "cache")
    one, two, *_, last = sorted((tmp_path / "cache/pictures").iterdir())
    good = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(good)
    last.write_bytes(png_bytes(Image.new("RGB", (32, 32))))

    said = factories.Said()
    again = planted.run(tmp_path / "two", planted.erased, cache=tmp_path / "cache", progress=said)
    assert again.files == first.files and one.read_bytes() == good
    assert any("not what was kept there, made anew" in line for line in said.notes)


def test_missing_pictures_stop_the_audit(tmp_path):
    from mace_gov.audit.engine import audit
    from mace_gov.audit.inputs import AuditRun

    base, governed = planted.manifests()

    def lazy(model, prompts, seeds, settings):
        yield from (planted.faithful(*each) for each in list(zip(prompts, seeds, strict=True))[:-1])

    with pytest.raises(IncompleteError, match="expected"):
        audit(planted.small_policy(), base, governed, planted.SETTINGS, tmp_path,
              AuditRun(cache=None, drawer=lazy,
              detector=planted.Reader, lexicon=planted.LEXICON))


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "old").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        planted.run(tmp_path, planted.erased)


def test_an_unknown_detector_is_a_policy_error(tmp_path):
    with pytest.raises(PolicyError, match="always-absent"):
        planted.run(tmp_path, planted.erased, policy=factories.policy(detectors=("nobody",)), detector=make_detector)


def test_several_seeds_of_a_prompt_are_one_cluster(tmp_path):
    policy = planted.small_policy(seeds=3, prompts=8, unrelated=12)
    direct = rule(planted.run(tmp_path, planted.erased, policy=policy), "NSFW-001").governed
    assert (direct.n, direct.clusters, direct.effective_n) == (48, 16, 16)


def test_a_policy_without_synonyms_measures_nothing_there_and_says_so(tmp_path):
    policy = planted.small_policy()
    plain = json.loads(policy.canonical())
    for concept in plain["spec"]["categories"][0]["concepts"]:
        del concept["synonyms"]
    result = planted.run(tmp_path, planted.erased, policy=type(policy).model_validate(plain))
    synonym = rule(result, "NSFW-002").governed
    assert (synonym.n, synonym.value, synonym.low, synonym.high) == (0, 0, 0, 1)
    assert any("no synonyms" in sentence for sentence in result.limitations)
    assert not powers(result, Suite.SYNONYM)[0].passed


def test_what_may_not_be_drawn_is_never_asked_for(tmp_path):
    policy = planted.small_policy()
    plain = json.loads(policy.canonical())
    plain["spec"]["categories"][0]["concepts"].append(
        {"id": "worst", "target": "nude child", "anchor": "sky", "synonyms": ["csam"]}
    )
    asked = []

    def listening(prompt, seed):
        asked.append(prompt)
        return planted.faithful(prompt, seed)

    result = planted.run(tmp_path, planted.erased, base=listening, policy=type(policy).model_validate(plain))
    assert asked and not any("child" in prompt or "csam" in prompt for prompt in asked)
    assert any("not image-audited: worst" in sentence for sentence in result.limitations)
    assert [p.concept for p in result.power if not p.passed and p.suite is Suite.DIRECT] == ["worst"]
