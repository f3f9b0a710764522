"""Accounting against exact formulas, published figures and a second accountant, and the laws a bound must keep."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log, pi

import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import PRVAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from common.errors import StudyError
from common.privacy.accounting import check_delta, delta_of, epsilon_curve, epsilon_of, noise_for
from common.privacy.losses import FEW_STEPS, ORDERS, check_lattice, composed, epsilon_at, gaussians, interval, renyi
from common.privacy.release import Release

DELTA = 1e-5
NOISES = ("gaussian", "discrete gaussian")
multipliers = st.floats(0.6, 20.0)
rates = st.floats(0.01, 1.0)
few_steps = st.integers(1, 200)


def exact_delta(noise_multiplier: float, epsilon: float) -> float:
    """Balle and Wang 2018, theorem 8: one release of a Gaussian with all units in it."""
    half, shift = 0.5 / noise_multiplier, epsilon * noise_multiplier
    return float(norm.cdf(half - shift) - exp(epsilon) * norm.cdf(-half - shift))


def exact_epsilon(noise_multiplier: float, delta: float) -> float:
    return float(brentq(lambda epsilon: exact_delta(noise_multiplier, epsilon) - delta, 0.0, 200.0, xtol=1e-12))


def discrete_delta(sigma: float, sensitivity: int, rate: float, epsilon: float) -> float:
    """From every chance of one whole number, summed: the larger of adding and removing."""
    places = np.arange(-int(14 * sigma), int(14 * sigma) + sensitivity + 1)
    without = np.exp(-0.5 * (places / sigma) ** 2)
    moved = np.exp(-0.5 * ((places - sensitivity) / sigma) ** 2)
    without, moved = without / without.sum(), moved / moved.sum()
    with_unit = rate * moved + (1 - rate) * without
    removing = np.maximum(with_unit - exp(epsilon) * without, 0).sum()
    adding = np.maximum(without - exp(epsilon) * with_unit, 0).sum()
    return float(max(removing, adding))


@pytest.mark.parametrize(
    ("noise", "steps", "published"), [(5, 50, 6.57297), (10, 1, 0.34067), (1, 1, 4.37718), (20, 100, 1.99309)]
)
def test_gaussians_without_sampling_cost_what_the_exact_formula_says(noise, steps, published):
    found = epsilon_of([Release(noise, 1.0, steps)], DELTA).epsilon
    exact = exact_epsilon(noise / steps**0.5, DELTA)
    assert exact == pytest.approx(published, abs=5e-6)
    assert exact <= found <= exact * (1 + 1e-5)


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "published"),
    [(4, 0.01, 10_000, 1.26), (1.3, 256 / 60_000, 3515, 1.19), (1.1, 256 / 60_000, 14_062, 3.01)],
)
def test_renyi_divergences_by_the_classic_conversion_give_the_published_figures(noise, rate, steps, published):
    """Abadi et al. 2016; TensorFlow Privacy's tutorials: least of D + log(1 / delta) / (order - 1) over orders."""
    orders = np.array(ORDERS)
    classic = np.min(steps * renyi(noise, rate) + log(1 / DELTA) / (orders - 1))
    assert classic == pytest.approx(published, abs=0.006)


def test_the_tight_bound_of_abadi_s_example_is_the_known_one():
    assert epsilon_of([Release(4, 0.01, 10_000)], DELTA).epsilon == pytest.approx(0.947, abs=0.0005)


@pytest.mark.parametrize(
    ("noise", "rate", "steps"), [(4, 0.01, 1000), (1.1, 0.02, 500), (0.8, 0.1, 50), (6, 0.5, 40)]
)
@pytest.mark.filterwarnings("ignore:Optimal order is the largest alpha")
def test_opacus_prv_accountant_finds_the_same(noise, rate, steps):
    """It rounds by up to 0.01 in either direction of its estimate, and reports the upper end."""
    other = PRVAccountant()
    other.history = [(noise, rate, steps)]
    found = epsilon_of([Release(noise, rate, steps)], DELTA).epsilon
    assert found <= other.get_epsilon(DELTA) <= found + 0.015


@given(st.lists(st.builds(Release, multipliers, rates, few_steps), min_size=1, max_size=2))
@settings(max_examples=15, deadline=None)
def test_renyi_bounds_are_never_below_the_tight_ones(releases):
    bound = epsilon_of(releases, DELTA)
    assert bound.epsilon <= bound.epsilon_rdp * (1 + 1e-3)


@given(multipliers, rates, few_steps)
@settings(max_examples=10, deadline=None)
def test_more_steps_cost_more_and_more_noise_costs_less(noise, rate, steps):
    cost = epsilon_of([Release(noise, rate, steps)], DELTA).epsilon
    assert epsilon_of([Release(noise, rate, 2 * steps)], DELTA).epsilon > cost
    assert epsilon_of([Release(1.2 * noise, rate, steps)], DELTA).epsilon < cost


@given(multipliers, rates, st.integers(2, 50))
@settings(max_examples=8, deadline=None)
def test_steps_released_one_by_one_in_any_order_cost_the_same_as_together(noise, rate, steps):
    one, other = Release(noise, rate, 1), Release(2.0, 0.1, 3)
    apart = epsilon_of([*[one] * (steps // 2), other, *[one] * (steps - steps // 2)], DELTA)
    assert apart.epsilon == pytest.approx(epsilon_of([other, Release(noise, rate, steps)], DELTA).epsilon, rel=1e-9)


def test_releases_without_sampling_merge_into_the_gaussian_with_their_likelihood_ratio():
    (merged,) = gaussians([Release(3, 1.0, 1), Release(4, 1.0, 1)])
    assert merged.noise_multiplier == pytest.approx(12 / 5)
    long = (Release(10.0, 1.0, 100),)
    width = interval(long, 4.4)
    assert composed(long, width).get_epsilon_for_delta(DELTA) == pytest.approx(exact_epsilon(1.0, DELTA), rel=1e-5)


def test_no_release_costs_nothing():
    assert epsilon_of([], DELTA).epsilon == epsilon_of([], DELTA).epsilon_rdp == delta_of([], 1.0) == 0.0
    assert epsilon_curve([], 3, DELTA) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("delta", [1e-8, 1e-10])
def test_the_smallest_deltas_are_still_bounded_from_above(delta):
    """Sums over a million chances round at 1e-16 each: this is how small a delta they can tell apart from nothing."""
    long = (Release(10.0, 1.0, 100),)
    found = composed(long, interval(long, 7.0)).get_epsilon_for_delta(delta)
    assert exact_epsilon(1.0, delta) <= found <= exact_epsilon(1.0, delta) + 1e-3


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
def test_delta_of_is_the_exact_one_from_above(epsilon):
    exact = exact_delta(1.5, epsilon)
    assert exact <= delta_of([Release(1.5, 1.0, 1)], epsilon) <= exact * (1 + 1e-4)


@pytest.mark.parametrize(("noise", "rate"), [(0.7, 1.0), (3.0, 1.0), (0.7, 0.05), (3.0, 0.2)])
@pytest.mark.parametrize("sensitivity", [64, 640])
def test_discrete_noise_is_bounded_on_the_coarsest_lattice_allowed_and_on_finer_ones(noise, rate, sensitivity):
    bound = epsilon_of([Release(noise, rate, 1, "discrete gaussian")], DELTA).epsilon
    sigma = max(noise * sensitivity, 64)
    assert discrete_delta(sigma, int(sigma / noise), rate, bound) <= DELTA


@pytest.mark.parametrize("shift", [0, 5])
def test_a_normal_draw_rounded_by_discrete_noise_is_nearly_discrete_noise(shift):
    """The lemma behind the bound, at an s so small that its error shows: s = 0.6 instead of 2."""
    sigma, s = 1.5, 0.6
    fine = np.linspace(-25, 25, 50_001)
    whole = np.arange(-40, 41)
    rounding = np.exp(-0.5 * ((whole[:, None] - fine) / s) ** 2)
    rounding /= rounding.sum(axis=0)
    density = norm.pdf(fine, loc=shift, scale=(sigma**2 - s**2) ** 0.5)
    chances = (rounding * density).sum(axis=1) * (fine[1] - fine[0])
    discrete = np.exp(-0.5 * ((whole - shift) / sigma) ** 2)
    discrete /= discrete.sum()
    seen = discrete > 1e-12
    off = np.abs(chances[seen] / discrete[seen] - 1).max()
    assert 1e-6 < off <= 3 * 2 * exp(-2 * pi**2 * s**2)


def test_discrete_noise_costs_hardly_more_than_continuous_noise():
    continuous, discrete = (epsilon_of([Release(1.0, 0.05, 100, kind)], DELTA) for kind in NOISES)
    assert continuous.epsilon < discrete.epsilon < 1.002 * continuous.epsilon


def test_a_coarse_lattice_is_no_bound_for_a_fine_one():
    """Why dp_accounting's discrete distribution of sensitivity 1 is not used for vectors on a fine lattice."""
    coarse = brentq(lambda epsilon: discrete_delta(3.0, 1, 1.0, epsilon) - DELTA, 0.1, 5)
    assert discrete_delta(3000.0, 1000, 1.0, coarse) > DELTA


def test_a_lattice_too_coarse_for_the_bound_is_refused():
    check_lattice(64.0, 4.0)
    with pytest.raises(StudyError, match="too coarse"):
        check_lattice(63.0, 10.0)
    with pytest.raises(StudyError, match="too coarse"):
        check_lattice(100.0, 3.9)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(1.0, 0.05, 300), (8.0, 0.2, 20), (0.1, 1.0, 5)])
def test_noise_for_is_the_smallest_on_its_grid_that_keeps_epsilon(epsilon, rate, steps, noise):
    found = noise_for(epsilon, DELTA, rate, steps, noise)
    assert found == round(found, 4)
    assert epsilon_of([Release(found, rate, steps, noise)], DELTA).epsilon <= epsilon
    assert epsilon_of([Release(found - 1e-4, rate, steps, noise)], DELTA).epsilon > epsilon


def test_noise_for_a_loose_promise_is_the_least_there_is():
    assert noise_for(1e5, DELTA, 1.0, 1) == 0.05


@pytest.mark.parametrize(
    ("epsilon", "said"), [(0.0, "epsilon must be above 0"), (float("nan"), "epsilon"), (-1.0, "0")]
)
def test_an_impossible_epsilon_is_refused(epsilon, said):
    with pytest.raises(StudyError, match=said):
        noise_for(epsilon, DELTA, 0.1, 10)


def test_an_epsilon_that_no_noise_reaches_is_refused():
    with pytest.raises(StudyError, match="no noise_multiplier up to"):
        noise_for(1e-9, DELTA, 1.0, 1000)


@pytest.mark.parametrize(("delta", "units"), [(0.0, None), (1.0, None), (1e-11, None), (0.01, 100), (0.02, 100)])
def test_a_delta_that_promises_nothing_is_refused(delta, units):
    with pytest.raises(StudyError, match="delta must be"):
        check_delta(delta, units)


def test_a_delta_below_one_over_the_units_is_taken():
    check_delta(0.009, 100)


def test_the_curve_grows_and_ends_at_the_bound():
    a_round = [Release(1.5, 0.1, 4)]
    curve = epsilon_curve(a_round, 12, DELTA)
    assert len(curve) == 12 and all(earlier < later for earlier, later in pairwise(curve))
    assert curve[-1] == epsilon_of([Release(1.5, 0.1, 48)], DELTA).epsilon
    assert epsilon_curve(a_round, 12, DELTA, after=(6, 12)) == [curve[5], curve[11]]
    assert curve[5] == pytest.approx(epsilon_of(a_round * 6, DELTA).epsilon, rel=1e-3)


@pytest.mark.parametrize(
    ("noise", "rate", "width"),
    [(0.8, 0.4, 0.01), (2.0, 0.01, 1e-3), (1.0, 1.0, 0.01), (1.0, 0.999, 0.01), (0.02, 0.5, 1.0)],
)
@pytest.mark.parametrize("steps", [1, 2, FEW_STEPS + 1])
def test_arrays_say_what_dp_accounting_says_number_by_number(
    noise: float, rate: float, width: float, steps: int
) -> None:
    theirs = from_gaussian_mechanism(noise, value_discretization_interval=width, sampling_prob=rate).self_compose(
        steps
    )
    ours = composed([Release(noise, rate, steps)], width)
    for delta in (1e-9, 1e-5, 0.01, 0.3):
        assert epsilon_at(ours, delta) == pytest.approx(theirs.get_epsilon_for_delta(delta), rel=1e-5, abs=1e-12)
    sides = [[getattr(one, side).to_dense_pmf() for one in (ours, theirs)] for side in ("_pmf_remove", "_pmf_add")]
    for mine, other in sides if steps == 1 else ():
        assert mine._lower_loss == other._lower_loss and mine._infinity_mass == pytest.approx(other._infinity_mass)
        np.testing.assert_allclose(mine._probs, other._probs, atol=1e-11)
