"""Chances under the claim of normal noise: exact, known by hand where they can be, and small for what is no noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest

from experiments.attacks.noise import normality
from experiments.noisy_sums import Floats, NoiseTests

TESTS: dict[str, Callable[[Floats], float]] = {
    "size": normality.of_size,
    "parts": lambda noise: normality.of_size_by_part(noise, [slice(0, 3), slice(3, 10)]),
    "shape": normality.of_shape,
    "constant": normality.of_constant_part,
    "common": normality.of_common_part,
    "similarity": normality.of_largest_similarity,
    "similarity of coordinates": lambda noise: normality.of_largest_similarity(noise.T),
    "share": lambda noise: normality.of_share_of(noise, np.ones(noise.shape)),
}
BROKEN: dict[str, Callable[[Floats], Floats]] = {
    "size": lambda noise: 0.9 * noise,
    "parts": lambda noise: np.concatenate([noise[:, :3] * 0.7, noise[:, 3:]], axis=1),
    "shape": np.sign,
    "constant": lambda noise: 0.9 * noise + 0.4 * np.arange(-5, 5) / 3,
    "common": lambda noise: np.repeat(noise[:, :1], 10, axis=1),
    "similarity": lambda noise: np.concatenate([noise, noise[3:4] * -0.5]),
    "similarity of coordinates": lambda noise: np.concatenate([noise, noise[:, 2:3]], axis=1),
    "share": lambda noise: noise + 0.2,
}


@pytest.mark.parametrize("name", TESTS)
def test_no_test_speaks_oftener_of_true_noise_than_it_says(name: str) -> None:
    """At a tenth: of 400 draws at most as many as have a chance of 1 in 10,000."""
    rng, found = np.random.default_rng(11), 0
    for _ in range(400):
        found += TESTS[name](rng.normal(size=(30, 10))) < 0.1
    assert binomtest(found, 400, 0.1, alternative="greater").pvalue > 1e-4


@pytest.mark.parametrize("name", TESTS)
def test_each_test_finds_what_it_is_for(name: str) -> None:
    rng = np.random.default_rng(12)
    assert all(TESTS[name](BROKEN[name](rng.normal(size=(300, 10)))) < 1e-5 for _ in range(5))


def test_chances_that_can_be_worked_out_by_hand() -> None:
    """Two draws: the sum of squares is exponential of mean 2, and below 2 log 2 in half of all cases."""
    half = np.sqrt(np.log(2.0))
    assert normality.of_size(np.array([[half, half]])) == pytest.approx(1.0)
    assert normality.of_size(np.zeros((1, 2))) == 0
    assert normality.of_share_of(np.array([[1.959964]]), np.array([[1.0]])) == pytest.approx(0.05, abs=1e-6)


def test_similarity_of_three_dimensions_is_uniform() -> None:
    """In three dimensions the cosine of two independent directions is uniform; four are asked for, so by symmetry of
    the beta distribution: P[cos^2 > 1/2] = 1 - (2 / pi) (pi / 4 + 1 / 2) = 0.18169 with four."""
    rows = np.array([[1.0, 0, 0, 0], [1.0, 1, 0, 0]])
    assert normality.of_largest_similarity(rows) == pytest.approx(0.181690, abs=1e-6)


def test_what_is_resolved_is_found_in_nine_of_ten_cases() -> None:
    share = normality.resolved(2000, 0.001)
    rng = np.random.default_rng(13)
    small = [normality.of_size((1 - share) * rng.normal(size=(1, 2000))) < 0.001 for _ in range(300)]
    assert 0.85 < np.mean(small) < 0.95


def test_only_chances_below_the_share_of_a_test_fail_and_the_oddest_comes_first() -> None:
    found = NoiseTests({"a": 0.3, "b": 0.0009, "c": 0.0002, "d": 0.0}, 0.001, 1.0, 0.1)
    assert found.failed == ("d", "c")
