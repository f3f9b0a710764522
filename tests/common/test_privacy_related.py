"""Epsilon of substitutions, of groups and of one person in several hospitals, against the oracle and against laws."""

from __future__ import annotations

from math import comb, exp, inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from common.errors import StudyError
from common.privacy.accounting import epsilon_of
from common.privacy.group_privacy import group_epsilon, several_hospitals_epsilon, substitution_epsilon
from common.privacy.release import Release
from tests.common.hockey_stick import (
    NOTHING,
    Mixture,
    bracket,
    epsilon_of_one_normal,
    normal_cells,
    one_normal,
    subsampled,
)

DELTA = 1e-5
TIGHT = 1e-3
SETTINGS = [(4.0, 0.01, 2000), (1.0, 0.1, 50), (0.7, 0.02, 100), (6.0, 0.5, 40)]
multipliers, rates, few_steps = st.floats(0.8, 10.0), st.floats(0.01, 1.0), st.integers(1, 60)


def mirrored(mixture: Mixture) -> Mixture:
    return [(-centre, chance) for centre, chance in mixture]


def of_a_group(noise: float, rate: float, steps: int, k: int) -> tuple[float, float]:
    moved = subsampled(rate, k)
    removing, adding = (
        normal_cells(moved, NOTHING, noise, steps),
        normal_cells(NOTHING, mirrored(moved), noise, steps),
    )
    return bracket([[(removing, steps)], [(adding, steps)]], DELTA)


@pytest.mark.parametrize(("noise", "rate", "steps"), SETTINGS)
@pytest.mark.parametrize("k", [2, 4])
def test_a_group_costs_what_the_binomial_mixture_of_its_sizes_gives(noise, rate, steps, k) -> None:
    low, high = of_a_group(noise, rate, steps, k)
    assert low <= group_epsilon([Release(noise, rate, steps)], DELTA, k) <= low * (1 + TIGHT)
    assert high <= low * (1 + TIGHT)


@pytest.mark.parametrize(("noise", "rate", "steps"), SETTINGS)
def test_a_substitution_costs_what_its_two_mixtures_give(noise, rate, steps) -> None:
    here, there = subsampled(rate), mirrored(subsampled(rate))
    low, high = bracket([[(normal_cells(here, there, noise, steps), steps)]], DELTA)
    assert low <= substitution_epsilon([Release(noise, rate, steps)], DELTA) <= low * (1 + TIGHT)
    assert high <= low * (1 + TIGHT)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("kind", ["gaussian", "discrete gaussian"])
def test_without_sampling_a_group_is_a_gaussian_of_k_times_the_sensitivity(k, kind) -> None:
    exact = epsilon_of_one_normal(k * sqrt(50) / 20, DELTA)
    assert exact <= group_epsilon([Release(20, 1.0, 50, kind)], DELTA, k) <= exact * 1.002


def test_without_sampling_a_substitution_is_a_gaussian_of_twice_the_sensitivity() -> None:
    exact = epsilon_of_one_normal(2 * sqrt(50) / 20, DELTA)
    assert exact <= substitution_epsilon([Release(20, 1.0, 50)], DELTA) <= exact * (1 + 1e-5)


def test_releases_with_and_without_sampling_are_composed() -> None:
    width = 1e-3
    moved = subsampled(0.1, 3)
    sampled = (normal_cells(moved, NOTHING, 2.0, 30, width), normal_cells(NOTHING, mirrored(moved), 2.0, 30, width))
    whole = normal_cells([(3.0, 1.0)], NOTHING, 10.0, 5, width)
    low, _ = bracket([[(one, 30), (whole, 5)] for one in sampled], DELTA)
    found = group_epsilon([Release(2.0, 0.1, 30), Release(10.0, 1.0, 5)], DELTA, 3)
    assert low <= found <= low * (1 + TIGHT)


def test_a_group_of_one_costs_the_plain_epsilon() -> None:
    releases = [Release(1.0, 0.1, 50), Release(3.0, 1.0, 2)]
    assert group_epsilon(releases, DELTA, 1) == epsilon_of(releases, DELTA).epsilon


@given(multipliers, rates, few_steps)
@settings(max_examples=4, deadline=None)
def test_more_persons_cost_more_and_a_substitution_costs_between_one_and_two(noise, rate, steps) -> None:
    releases = [Release(noise, rate, steps)]
    costs = [group_epsilon(releases, DELTA, k) for k in (1, 2, 3)]
    assert costs[0] < costs[1] < costs[2]
    assert costs[0] < substitution_epsilon(releases, DELTA) <= costs[1] * (1 + TIGHT)


@given(multipliers, rates, few_steps, st.integers(2, 4))
@settings(max_examples=4, deadline=None)
def test_the_classic_rule_of_groups_never_promises_less(noise, rate, steps, k) -> None:
    """k epsilon, at delta times the sum of exp(i epsilon): by the triangle inequality of k neighbours in a row."""
    releases = [Release(noise, rate, steps)]
    epsilon = epsilon_of(releases, 1e-9).epsilon
    delta = 1e-9 * sum(exp(min(i * epsilon, 100)) for i in range(k))
    if delta < 1:
        assert group_epsilon(releases, delta, k) <= k * epsilon * (1 + TIGHT)


def divergence(p: np.ndarray, q: np.ndarray, epsilon: float) -> float:
    return float(np.maximum(p - exp(epsilon) * q, 0).sum())


def plane(places: list[tuple[complex, float]], deviation: float) -> np.ndarray:
    """Chances on a fine grid of the plane of a mixture of round normal distributions."""
    axis = np.arange(-8, 8, 0.06)
    points = axis[:, None] + 1j * axis[None, :]
    density = sum(chance * np.exp(-(np.abs(points - place) ** 2) / (2 * deviation**2)) for place, chance in places)
    return np.asarray(density / (2 * np.pi * deviation**2) * 0.06**2)


@pytest.mark.parametrize("epsilon", [-1.0, -0.1, 0.0, 0.1, 0.5, 1.5])
@pytest.mark.parametrize("rate", [0.1, 0.6])
def test_no_two_contributions_in_the_plane_are_told_apart_better_than_opposite_ones(epsilon, rate) -> None:
    """The proof in the module's docstring, by integration: any v and w of length 1 at most."""
    rng = np.random.default_rng(0)
    worst = divergence(plane([(0, 1 - rate), (1, rate)], 0.9), plane([(0, 1 - rate), (-1, rate)], 0.9), epsilon)
    for _ in range(12):
        v, w = (sqrt(rng.random()) * np.exp(2j * np.pi * rng.random()) for _ in range(2))
        here, there = plane([(0, 1 - rate), (v, rate)], 0.9), plane([(0, 1 - rate), (w, rate)], 0.9)
        assert divergence(here, there, epsilon) <= worst + 1e-9


@pytest.mark.parametrize("epsilon", [-0.5, 0.0, 0.3, 1.5])
def test_no_group_in_the_plane_is_told_apart_better_than_one_that_pulls_one_way(epsilon) -> None:
    rng = np.random.default_rng(1)
    rate, nothing = 0.3, plane([(0, 1.0)], 0.9)
    sums = [(float(i), comb(3, i) * rate**i * (1 - rate) ** (3 - i)) for i in range(4)]
    together = plane([(complex(place), chance) for place, chance in sums], 0.9)
    for _ in range(8):
        units = np.exp(2j * np.pi * rng.random(3))
        chosen = [(np.array([s >> i & 1 for i in range(3)]), s) for s in range(8)]
        mixture = [(complex(s @ units), rate ** s.sum() * (1 - rate) ** (3 - s.sum())) for s, _ in chosen]
        seen = plane(mixture, 0.9)
        assert divergence(seen, nothing, epsilon) <= divergence(together, nothing, epsilon) + 1e-9
        assert divergence(nothing, seen, epsilon) <= divergence(nothing, together, epsilon) + 1e-9


def test_one_person_in_several_hospitals_costs_their_releases_together() -> None:
    one, other = [Release(1.0, 0.1, 20)], [Release(5.0, 1.0, 4)]
    cost = several_hospitals_epsilon([one, other], DELTA)
    assert cost == epsilon_of([*one, *other], DELTA).epsilon
    assert max(epsilon_of(each, DELTA).epsilon for each in (one, other)) < cost
    assert several_hospitals_epsilon([[Release(10.0, 1.0, 1)]] * 4, DELTA) == pytest.approx(
        epsilon_of_one_normal(2 / 10, DELTA), rel=1e-5
    )


def test_a_person_in_several_hospitals_under_one_shared_noise_is_a_group_and_costs_more() -> None:
    shared = [Release(10.0, 1.0, 1, "discrete gaussian")]
    assert group_epsilon(shared, DELTA, 4) > 1.5 * several_hospitals_epsilon([shared] * 4, DELTA)


def test_no_release_costs_no_group_anything() -> None:
    assert group_epsilon([], DELTA, 3) == substitution_epsilon([], DELTA) == 0.0


@pytest.mark.parametrize("k", [2, 4])
def test_noise_that_is_cut_now_and_then_is_paid_for_by_a_group_too(k) -> None:
    """Whatever happens with a chance of t counts once in one's own favour, and exp(epsilon) times in the other's."""
    variation, steps = 1e-9, 10
    releases = [Release(20, 1.0, steps, variation=variation)]

    def excess(epsilon: float) -> float:
        return one_normal(k * sqrt(steps) / 20, epsilon) + steps * variation * (1 + exp(epsilon)) - DELTA

    exact = float(brentq(excess, 0.0, 6.0))
    found = [group_epsilon(releases, DELTA, k)] + ([substitution_epsilon(releases, DELTA)] if k == 2 else [])
    assert all(exact <= one <= exact * 1.02 for one in found)
    assert group_epsilon([Release(1, 1.0, 10, variation=1e-9)], DELTA, k) == inf


@pytest.mark.parametrize("k", [0, -1])
def test_a_group_of_nobody_is_refused(k) -> None:
    with pytest.raises(StudyError, match=r"group\.k must be above zero"):
        group_epsilon([Release(1.0, 0.1, 1)], DELTA, k)


def test_an_impossible_delta_is_refused() -> None:
    for cost in (substitution_epsilon, lambda releases, delta: group_epsilon(releases, delta, 2)):
        with pytest.raises(StudyError, match="delta"):
            cost([Release(1.0, 0.1, 1)], 0.0)


def test_a_loss_of_a_likely_component_is_its_own_logarithm() -> None:
    """Of a group of two at rate .5 and s = 1, by hand: delta of epsilon ln 2 in one step, removing."""
    step = np.linspace(-9, 12, 400_001)
    normal = np.exp(-0.5 * step**2) / sqrt(2 * np.pi)
    moved = [np.exp(-0.5 * (step - i) ** 2) / sqrt(2 * np.pi) for i in range(3)]
    mixture = 0.25 * moved[0] + 0.5 * moved[1] + 0.25 * moved[2]
    delta = float(np.maximum(mixture - 2 * normal, 0).sum() * (step[1] - step[0]))
    assert group_epsilon([Release(1.0, 0.5, 1)], delta, 2) == pytest.approx(log(2), abs=1e-3)
