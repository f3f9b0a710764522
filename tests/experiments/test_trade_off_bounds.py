"""What a trade-off function allows of guesses: by hand, by linear programming, and by drawing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import norm

from common.privacy.accounting import epsilon_of, noise_for
from common.privacy.losses import ROUNDED, deltas_at
from common.privacy.release import Release
from experiments.audit.questions import _canary_test as canary_test
from experiments.audit.questions import _f_dp_bound as f_dp_bound
from experiments.audit.questions._canary_results import OTHER, PLANNED, bounds_of, guesses_tested, planned_guessing
from experiments.audit.questions._f_dp_bound import refuted
from experiments.audit.questions._guesses import Floats, Guessed, Guessing
from experiments.audit.questions._trade_off import Roc, TradeOff, trade_off

STEPS, RATE, DELTA = 400, 4 / 130, 1e-4
"""Of a hospital of 130 patients in the heart study."""


def gaussian(mu: float) -> TradeOff:
    """One Gaussian sum over everybody."""
    return trade_off(Release(1 / mu, 1.0, 1))


@cache
def heart(epsilon: float) -> Release:
    return Release(noise_for(epsilon, DELTA, RATE, STEPS), RATE, STEPS)


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
def test_of_one_gaussian_sum_the_curve_is_the_textbooks(mu: float) -> None:
    """Dong, Roth and Su 2022, equation 6: power Phi(Phi^-1(a) + mu) at a, both ways."""
    for level in (1e-4, 0.01, 0.2, 0.5, 0.9):
        exact = norm.cdf(norm.ppf(level) + mu)
        for roc in (gaussian(mu).presence, gaussian(mu).either):
            assert exact - 1e-9 <= roc.most_power(level) <= exact + 1e-3
            assert roc.least_false_alarms(float(exact)) == pytest.approx(level, rel=0.02)


def test_of_sampled_steps_the_curve_is_that_of_the_likelihood_ratio_by_drawing() -> None:
    """400 steps drawn one by one, 4000 times."""
    release, rng = heart(4.0), np.random.default_rng(1)
    there, not_there = drawn(release, 4000, rng, True), drawn(release, 4000, rng, False)
    roc = trade_off(release).presence
    for level in (0.02, 0.1, 0.4):
        power = (there > np.quantile(not_there, 1 - level)).mean()
        assert roc.most_power(level) == pytest.approx(power, abs=0.04)


def test_epsilon_of_a_curve_is_that_of_accounting() -> None:
    assert trade_off(heart(4.0)).epsilon(DELTA) == pytest.approx(epsilon_of([heart(4.0)], DELTA).epsilon, rel=1e-3)


def test_deltas_of_many_epsilons_are_the_librarys() -> None:
    losses = trade_off(heart(4.0)).losses
    epsilons = np.linspace(-6, 6, 101)
    for side in (losses._pmf_remove, losses._pmf_add):
        found, exact = deltas_at(side.to_dense_pmf(), epsilons), side.get_delta_for_epsilon(epsilons)
        assert np.abs(found - exact).max() < 2 * ROUNDED
        assert (found >= exact).all()


def drawn(release: Release, count: int, rng: np.random.Generator, there: bool) -> Floats:
    """(count,) log-likelihood ratios of a unit that is there, or not."""
    sigma, rate = release.noise_multiplier, release.sampling_rate
    found = np.zeros(count)
    for _ in range(release.steps):
        values = sigma * rng.normal(size=count) + (there and rng.random(count) < rate)
        found += np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * values - 1) / (2 * sigma**2))
    return found


@pytest.mark.parametrize("mu", [0.5, 1.5])
def test_one_guess_on_one_coin_is_right_with_the_chance_of_the_best_test(mu: float) -> None:
    """Where errors of both kinds are equal: Phi(mu / 2)."""
    assert f_dp_bound.chance(gaussian(mu), Guessed(1, 1, 1, True)) == pytest.approx(norm.cdf(mu / 2), abs=0.02)


def test_two_right_guesses_of_two_by_hand() -> None:
    """A line H(w) = min(1, 0.1 + 2 w). With chance t that both are right: all of t is right, so at one right guess
    there is p1 / 2 wrong with t <= 0.1 + p1, and at none p0 with t + p1 / 2 <= 0.1 + 2 (p1 / 2 + p0). At t = 0.55:
    p1 = 0.45 and p0 >= (0.775 - 0.1) / 2 - 0.225 = 0.1125, in all 1.1125; at t = 0.5 1.0; more is refuted."""
    line = Roc(np.array([0.0, 0.45, 1.0]), np.array([0.1, 1.0, 1.0]))
    found = TradeOff(line, line, None)
    assert refuted(found, Guessed(2, 2, 2, True), 0.51) and not refuted(found, Guessed(2, 2, 2, True), 0.49)


def by_linear_programming(roc: Roc, guessed: Guessed, scale: float) -> float:
    """The most that the chance of `correct` or more right guesses can be under inequality (1) of the module, written
    out for every number of right guesses and every straight piece of the curve."""
    counts, guesses, canaries = np.arange(guessed.guesses + 1), guessed.guesses, guessed.canaries
    slopes = np.diff(roc.power) / np.maximum(np.diff(roc.false_alarms), 1e-15)
    rows, limits = [], []
    for slope, at, power in zip(slopes, roc.false_alarms, roc.power, strict=False):
        for i in range(guesses + 1):
            right = np.where(counts > i, counts, 0) / canaries
            wrong = np.where(counts >= i, guesses - counts, 0) / canaries
            rows.append(right - slope * wrong)
            limits.append(scale * (power - slope * at))
    aim = -(counts >= guessed.correct).astype(float)
    found = linprog(aim, np.array(rows), np.array(limits), np.ones((1, len(counts))), [1.0])
    return float(-found.fun)


@settings(max_examples=25)
@given(st.integers(1, 7), st.data(), st.floats(0.2, 2.5), st.booleans())
def test_the_recursion_is_the_linear_programme(guesses: int, data: st.DataObject, mu: float, both: bool) -> None:
    guessed = Guessed(data.draw(st.integers(guesses, 12)), guesses, data.draw(st.integers(0, guesses)), both)
    levels = np.array([0.0, 0.003, 0.03, 0.1, 0.3, 0.6, 1.0])
    roc = Roc(levels, np.concatenate([[0.0], norm.cdf(norm.ppf(levels[1:-1]) + mu), [1.0]]))
    exact = by_linear_programming(roc, guessed, 1.0 if both else 0.5)
    found = TradeOff(roc, roc, None)
    assert refuted(found, guessed, min(1.0, exact * 1.001 + 1e-6)) or exact > 0.999
    assert not refuted(found, guessed, exact * 0.999 - 1e-6)


@pytest.mark.parametrize("way", [Guessing(3, True), Guessing(5, False), Guessing(9, True)])
def test_the_canary_tests_chance_is_that_of_drawing(way: Guessing) -> None:
    """20 canaries, a Gaussian sum each, drawn 4000 times."""
    mu, runs, rng = 1.2, 4000, np.random.default_rng(3)
    found, right = gaussian(mu), np.zeros(runs, np.int64)
    for run in range(runs):
        included = rng.random(20) < 0.5
        right[run] = way.made(rng.normal(size=20) + mu * included, included).correct
    for correct in range(way.each_way // 2, way.each_way * 2):
        exact = canary_test.chance(found, Guessed(20, way.each_way * (1 + way.both_ways), correct, way.both_ways))
        assert exact == pytest.approx((right >= correct).mean(), abs=0.025)


def test_a_ranking_that_knows_less_is_right_less_often() -> None:
    """Noise on top of the scores: the chances can only be too high."""
    rng, found = np.random.default_rng(4), gaussian(1.0)
    chances = []
    for _ in range(60):
        included = rng.random(200) < 0.5
        scores = rng.normal(size=200) + included + rng.normal(size=200)
        chances.append(canary_test.chance(found, Guessing(50, True).made(scores, included)))
    assert np.mean(np.array(chances) < 0.5) < 0.2


def test_of_300_audits_of_a_kept_promise_few_raise_an_alarm() -> None:
    """At 5 %, where 15 are expected, 24 at most; by the tests and by both bounds that assume this kind of noise."""
    rng, release, count = np.random.default_rng(7), heart(4.0), 500
    claimed, planned = trade_off(release), planned_guessing(release, count, 0.05)
    other, ways = Guessing(2 * count // 5, True), guesses_tested(count)
    there, not_there = drawn(release, 4000, rng, True), drawn(release, 4000, rng, False)
    alarms = np.zeros(2)
    for _ in range(300):
        included = rng.random(count) < 0.5
        scores = np.where(included, rng.choice(there, count), rng.choice(not_there, count))
        by_coins = canary_test.smallest_chance(claimed, [way.made(scores, included) for way in ways]) < 0.05
        by_curve = refuted(claimed, planned.made(scores, included), PLANNED * 0.05)
        alarms += by_coins, by_curve or refuted(claimed, other.made(scores, included), OTHER * 0.05)
    assert alarms.max() <= 24


def test_what_is_certified_beats_what_was_and_stays_below_the_claim() -> None:
    """5000 canaries, claim 4 in 400 steps: 1.26 was a prototype's, 0.96 is Steinke's on the same scores."""
    rng, release = np.random.default_rng(8), heart(4.0)
    included = rng.random(5000) < 0.5
    there, not_there = drawn(release, 5000, rng, True), drawn(release, 5000, rng, False)
    bounds = bounds_of(release, np.where(included, there, not_there), included, DELTA, 0.95, True)
    assert bounds.own_noise is not None
    assert bounds.any_mechanism.lower_bound < 1.3
    assert 1.8 < bounds.same_trade_off < bounds.own_noise < 4.1
    assert bounds.own_noise > 3
