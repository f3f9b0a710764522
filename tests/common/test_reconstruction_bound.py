"""The bound on any reconstruction: golden numbers of a Gaussian, drawn and exact oracles of sampled ones, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from common.errors import StudyError
from common.privacy.accounting import noise_for
from common.privacy.reconstruction_bound import success_bound, success_bounds
from common.privacy.release import Release

PRIORS = (0.5, 0.1, 0.01, 1 / 740, 1 / 5856)


@pytest.mark.parametrize(
    ("noise", "prior", "by_hand"),
    # Phi(Phi^-1(prior) + 1 / noise), from a table of the normal distribution
    [(1.0, 0.5, 0.84134), (1.0, 0.1, 0.38914), (2.0, 0.5, 0.69146), (1.0, 0.01, 0.09236), (0.5, 0.1, 0.76376)],
)
def test_one_gaussian_gives_the_numbers_worked_out_by_hand(noise: float, prior: float, by_hand: float) -> None:
    assert success_bound([Release(noise, 1.0, 1)], prior) == pytest.approx(by_hand, abs=1e-5)


def test_sixteen_gaussians_of_noise_four_are_one_of_noise_one_and_the_bound_is_never_below_it() -> None:
    found = success_bounds([Release(4.0, 1.0, 16)], PRIORS)
    exact = norm.cdf(norm.ppf(PRIORS) + 1)
    assert np.all(found >= exact)
    assert found == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.1), (0.5, 0.02), (2.0, 0.7)])
def test_one_sampled_gaussian_gives_what_its_best_test_does(noise: float, rate: float) -> None:
    """The best test of (1 - q) N(0, s) + q N(1, s) against N(0, s) is a threshold: its power is plain."""
    found = np.array(success_bounds([Release(noise, rate, 1)], PRIORS))
    exact = (1 - rate) * np.array(PRIORS) + rate * norm.sf(norm.isf(PRIORS) - 1 / noise)
    assert np.all(found >= exact - 1e-12)
    small = np.array(PRIORS) < 0.2  # at 1 in 2 the larger of both directions is looser, by little
    assert found[small] == pytest.approx(exact[small], rel=1e-3)
    assert np.all(found <= exact * 1.02)


def test_many_sampled_steps_give_what_the_best_attack_reaches_in_simulation() -> None:
    noise, rate, steps, draws = 1.0, 0.05, 60, 200_000
    rng = np.random.default_rng(5)

    def losses(is_there: bool) -> np.ndarray:
        total = np.zeros(draws)
        for _ in range(steps):
            place = rng.normal(0, noise, draws) + (is_there & (rng.random(draws) < rate))
            total += np.log1p(rate * np.expm1((place - 0.5) / noise**2))
        return total

    without, with_it = losses(False), losses(True)
    for prior, found in zip((0.1, 0.01), success_bounds([Release(noise, rate, steps)], (0.1, 0.01)), strict=True):
        reached = float(np.mean(with_it > np.quantile(without, 1 - prior)))
        assert reached <= found + 4 * np.sqrt(reached / draws)
        assert reached == pytest.approx(found, rel=0.03)


def test_the_default_promise_of_epsilon_1_leaves_one_of_740_patients_nearly_hidden() -> None:
    noise = noise_for(1.0, 1e-4, 0.02, 400)
    assert 1 / 740 < success_bound([Release(noise, 0.02, 400)], 1 / 740) < np.e / 740 + 1e-4


@settings(max_examples=4, deadline=None)
@given(
    noise=st.floats(0.4, 8),
    rate=st.sampled_from((0.01, 0.3, 1.0)),
    steps=st.integers(1, 6),
    prior=st.floats(1e-6, 0.999),
)
def test_the_bound_lies_between_the_prior_and_one_and_grows_with_the_prior_and_the_steps(
    noise: float, rate: float, steps: int, prior: float
) -> None:
    one, more = success_bounds([Release(noise, rate, steps)], (prior, min(1.0, prior * 1.1)))
    assert prior <= one <= more <= 1
    assert one <= success_bound([Release(noise, rate, 2 * steps)], prior) + 1e-9


def test_what_runs_only_nearly_as_described_costs_its_distance_twice() -> None:
    described = Release(1.0, 1.0, 1)
    nearly = Release(1.0, 1.0, 1, variation=0.001)
    assert success_bound([nearly], 0.1) == pytest.approx(success_bound([described], 0.101) + 0.001, abs=1e-12)


def test_noise_that_hides_nothing_bounds_nothing_and_no_release_leaves_the_prior() -> None:
    assert success_bound([Release(1e-6, 1.0, 1)], 0.01) == 1.0
    assert success_bound([], 0.2) == 0.2


def test_a_prior_that_is_no_chance_is_refused() -> None:
    with pytest.raises(StudyError, match="between 0 and 1"):
        success_bound([Release(1.0, 1.0, 1)], 1.5)
