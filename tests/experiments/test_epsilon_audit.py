"""The bound of Steinke, Nasr and Jagielski, which takes nothing for granted but that some epsilon holds."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from common.errors import StudyError
from experiments.audit.questions._epsilon_bounds import (
    ceiling,
    epsilon_lower_bound,
    gaussian_epsilon,
    measured_epsilon,
    p_value,
)


def test_all_right_guesses_give_the_bound_that_can_be_computed_by_hand() -> None:
    """Without delta the chance of r right guesses is q^r: q = 0.05^(1/r), epsilon = log(q / (1 - q))."""
    assert epsilon_lower_bound(1000, 1000, 1000, 0, 0.95) == pytest.approx(5.80907, abs=1e-5)
    assert epsilon_lower_bound(2, 2, 5, 0, 0.75) == pytest.approx(0, abs=1e-9)
    assert epsilon_lower_bound(1, 1, 1, 0, 0.2) == pytest.approx(log(0.8 / 0.2))
    assert ceiling(1000, 0.95) == pytest.approx(5.80907, abs=1e-5)


def test_the_p_value_of_three_guesses_by_hand() -> None:
    """Epsilon log 3: each guess is right with chance 3/4. Two or more of three: 54/64.

    Just below two: P[W = 1] = 9/64, and P[0 <= W <= 1] / 2 = 5/64; the larger counts, times 2 m delta = 0.1.
    """
    assert p_value(2, 3, 5, log(3), 0) == pytest.approx(54 / 64)
    assert p_value(2, 3, 5, log(3), 0.01) == pytest.approx(54 / 64 + 0.1 * 9 / 64)
    assert p_value(0, 3, 5, log(3), 0.01) == 1


def slow_p_value(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """Every sum of the theorem written out, from products of single chances."""
    right = np.exp(epsilon) / (1 + np.exp(epsilon))
    chances = np.array([1.0])
    for _ in range(guesses):
        chances = np.append(chances * (1 - right), 0) + np.append(0, chances * right)
    below = [chances[max(0, correct - i) : correct].sum() / i for i in range(1, canaries + 1)]
    return min(1.0, chances[correct:].sum() + 2 * canaries * delta * max(below))


@given(st.integers(1, 25), st.data(), st.floats(0, 6), st.floats(0, 0.1))
def test_the_p_value_is_the_sum_written_out(canaries: int, data: st.DataObject, epsilon: float, delta: float) -> None:
    guesses = data.draw(st.integers(1, canaries))
    correct = data.draw(st.integers(0, guesses))
    slow = slow_p_value(correct, guesses, canaries, epsilon, delta)
    assert p_value(correct, guesses, canaries, epsilon, delta) == pytest.approx(slow, abs=1e-9)


@given(st.integers(1, 300), st.data())
def test_without_delta_the_bound_is_that_of_clopper_and_pearson(guesses: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, guesses))
    low = binomtest(correct, guesses, alternative="greater").proportion_ci(0.95, method="exact").low
    expected = max(0.0, log(low / (1 - low))) if low > 0 else 0.0
    assert epsilon_lower_bound(correct, guesses, guesses, 0, 0.95) == pytest.approx(expected, abs=1e-6)


@given(st.integers(10, 200), st.data(), st.sampled_from([0.0, 1e-5, 1e-3]))
def test_more_right_guesses_never_certify_less_and_delta_never_certifies_more(
    guesses: int, data: st.DataObject, delta: float
) -> None:
    correct = data.draw(st.integers(0, guesses - 1))
    bound = epsilon_lower_bound(correct, guesses, 200, delta, 0.95)
    assert bound <= epsilon_lower_bound(correct + 1, guesses, 200, delta, 0.95) + 1e-9
    assert bound <= epsilon_lower_bound(correct, guesses, 200, 0, 0.95) + 1e-9
    assert bound <= epsilon_lower_bound(correct, guesses, 200, delta, 0.9) + 1e-9


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(StudyError, match="correct"):
        epsilon_lower_bound(3, 2, 5, 0, 0.95)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_randomised_response_is_overestimated_no_oftener_than_the_confidence_allows(epsilon: float) -> None:
    """Each coin is told truly with chance e^epsilon / (1 + e^epsilon): exactly epsilon-DP, and nothing tells more."""
    rng = np.random.default_rng(5)
    exceeded = 0
    for _ in range(200):
        coins = rng.random(400) < 0.5
        truly = rng.random(400) < 1 / (1 + np.exp(-epsilon))
        scores = np.where(coins == truly, 1.0, 0.0) + 0.5 * rng.random(400)
        exceeded += measured_epsilon(scores, coins, 0.0, 0.9).lower_bound > epsilon
    assert exceeded <= binomtest(20, 200).k + 13, "0.1 of 200 and three standard deviations"


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
def test_gaussian_noise_is_never_overestimated_and_the_fit_comes_near(mu: float) -> None:
    rng = np.random.default_rng(6)
    true = gaussian_epsilon(mu, 1e-5)
    bounds, estimates = [], []
    for _ in range(20):
        coins = rng.random(4000) < 0.5
        found = measured_epsilon(coins * mu + rng.normal(size=4000), coins, 1e-5)
        bounds.append(found.lower_bound)
        estimates.append(found.estimate)
    assert 0.15 * true < np.mean(bounds)
    assert max(bounds) < true
    assert np.mean(estimates) == pytest.approx(true, rel=0.05)


def test_gaussian_epsilon_is_that_of_another_accountant() -> None:
    accounting = pytest.importorskip("dp_accounting")
    event = accounting.GaussianDpEvent(1.0)
    accountant = accounting.pld.PLDAccountant().compose(event)
    assert gaussian_epsilon(1.0, 1e-5) == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-3)
