"""Distances between sets of pictures, against what they must be."""

import numpy as np
import pytest

from mace_gov.audit.metrics.distances import distances, drift, frechet, kernel

RNG = np.random.default_rng(5)


def test_the_frechet_distance_of_gaussians_is_the_known_one():
    first, second = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 16.0])
    one = RNG.multivariate_normal([0, 0, 0], first, 200_000)
    other = RNG.multivariate_normal([1, 0, -2], second, 200_000)
    exact = 5 + sum((np.sqrt(a) - np.sqrt(b)) ** 2 for a, b in zip(np.diag(first), np.diag(second), strict=True))
    assert frechet(one, other) == pytest.approx(exact, rel=0.02)
    assert frechet(one[:500], one[:500]) == pytest.approx(0, abs=1e-6)
    turn, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    assert frechet(one @ turn, other @ turn) == pytest.approx(frechet(one, other), rel=1e-6)


def test_the_kernel_distance_is_unbiased_and_grows_with_a_shift():
    draws = [kernel(RNG.normal(size=(20, 8)), RNG.normal(size=(20, 8))) for _ in range(400)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / 20
    one = RNG.normal(size=(60, 8))
    assert kernel(one, RNG.normal(size=(60, 8)) + 1) > 10 * np.std(draws)


def test_drift_is_paired():
    one = RNG.normal(size=(50, 6))
    assert drift(one, 3 * one) == pytest.approx(0, abs=1e-9) and drift(one, -one) == pytest.approx(2)
    assert drift(one, one[::-1]) > 0.5 and frechet(one, one[::-1]) == pytest.approx(0, abs=1e-6)


def test_the_names_say_whose_features_they_are():
    one = RNG.normal(size=(10, 4))
    assert set(distances(one, one, "judge")) == {"FID_judge", "KID_judge", "drift_judge"}
    assert distances(one[:1], one[:1], "judge") == {}


def test_the_judge_s_features_are_those_its_decisions_rest_on():
    import torch
    from PIL import Image

    from mace_gov.embedded.judge import Judge, Net

    judge = Judge(Net(3, 2), ("a", "b", "nothing"), ("x", "y"))
    images = [Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(3)]
    features = judge.features(images)
    assert features.shape == (3, 320)
    with torch.no_grad():
        again = judge.net.concept(torch.from_numpy(features)).softmax(-1).numpy()
    assert np.allclose(again, judge.predict(images).concept_probs, atol=1e-5)
