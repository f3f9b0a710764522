"""The room of a share of noise: exact tails, charged to delta, and settings that have too little refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, getcontext
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StudyError
from common.learning.client_work import Training
from common.privacy.accounting import delta_of, epsilon_curve, epsilon_of
from common.privacy.discrete_gaussian import discrete_gaussian, largest_draw
from common.privacy.mechanism import Facts
from common.privacy.mechanisms.distributed import Distributed
from common.privacy.noise_range import noise_room, share_of, tail_bound
from common.privacy.release import Release
from common.privacy.variation import affordable, charged, price
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.abilities import room_for_whole_steps

DELTA = 1e-5
FACTS = Facts(100, 100, 10, 100, "gradient", Training(), 10, "sum")
SIXTEEN_BITS = room_for_whole_steps(AGGREGATIONS.build(Entry("secagg", {"value_bits": 16})), "secagg", 10)
PARAMETERS = 1_000_000


def exact_tail(sigma: float, room: int) -> float:
    """P[|Z| > room], from all weights, to 50 digits."""
    getcontext().prec = 50
    weights = [(-(Decimal(k) ** 2) / (2 * Decimal(sigma) ** 2)).exp() for k in range(ceil_of(40 * sigma))]
    whole = weights[0] + 2 * sum(weights[1:])
    return float(2 * sum(weights[room + 1 :]) / whole)


def ceil_of(value: float) -> int:
    return int(value) + 1


@pytest.mark.parametrize("sigma", [0.7, 3.0, 20.0])
@pytest.mark.parametrize("deviations", [0.0, 1.0, 4.0, 8.0])
def test_the_tail_bound_is_never_below_the_tail_and_not_far_above(sigma: float, deviations: float) -> None:
    room = int(deviations * sigma)
    exact = exact_tail(sigma, room)
    assert exact <= tail_bound(sigma, room) <= 1
    assert tail_bound(sigma, room + 1) <= max(exact, 1e-300) * 1.0001


@given(st.floats(4, 1e6), st.integers(1, 10**12), st.floats(1e-30, 1e-3))
def test_the_room_is_the_least_whose_union_bound_is_allowed(sigma: float, draws: int, allowed: float) -> None:
    room = noise_room(sigma, draws, allowed)
    if room < largest_draw(sigma):
        assert draws * tail_bound(sigma, room) <= allowed < draws * tail_bound(sigma, room - 1)
    else:
        assert draws * tail_bound(sigma, room - 1) > allowed


def test_no_draw_goes_beyond_the_largest() -> None:
    for sigma in (0.5, 3.0, 1000.0):
        drawn = discrete_gaussian(50_000, sigma, np.random.default_rng(0).bytes)
        assert np.abs(drawn).max() <= largest_draw(sigma) <= 13.1 * sigma + 2


def test_six_deviations_are_cut_with_a_chance_far_above_delta() -> None:
    """What was: a million values of ten hospitals over a hundred rounds, each cut with a chance of 2e-9."""
    sigma = Distributed(epsilon=1.0, grid_bits=9).share_sigma(FACTS, PARAMETERS)
    assert PARAMETERS * 10 * 100 * tail_bound(sigma, int(6 * sigma)) > 1 > DELTA


@pytest.mark.parametrize("option", [{"epsilon": 1.0}, {"epsilon": 8.0}, {"noise_multiplier": 1.0}])
def test_the_chance_of_any_cut_costs_a_hundredth_of_delta_at_most(option: dict[str, float]) -> None:
    mechanism = Distributed(**option, delta=DELTA, grid_bits=9)
    (release,) = mechanism.round_releases(FACTS)
    room = mechanism.noise_room(FACTS, PARAMETERS)
    sigma = mechanism.share_sigma(FACTS, PARAMETERS)
    chance = PARAMETERS * FACTS.hospitals * FACTS.rounds * tail_bound(sigma, room)
    spent = epsilon_of([replace(release, steps=FACTS.rounds)], DELTA).epsilon
    assert chance <= release.variation * FACTS.rounds
    assert (1 + exp(spent)) * chance <= DELTA / 100
    assert spent <= option.get("epsilon", np.inf)


def test_epsilon_is_that_of_the_noise_described_at_what_is_left_of_delta() -> None:
    described = Release(1.0, 0.1, 20, "discrete gaussian")
    left = epsilon_of([described], 0.99 * DELTA).epsilon
    nearly = replace(described, variation=affordable(left, DELTA) / 20)
    assert epsilon_of([nearly], DELTA).epsilon == left > epsilon_of([described], DELTA).epsilon
    assert epsilon_curve([replace(nearly, steps=1)], 20, DELTA)[-1] == pytest.approx(left, rel=1e-3)
    assert delta_of([nearly], left) == pytest.approx(DELTA, rel=1e-3)


def test_a_variation_beyond_delta_leaves_no_promise() -> None:
    assert epsilon_of([Release(1.0, 0.1, 20, variation=1e-6)], DELTA).epsilon == float("inf")


def test_the_charge_by_hand() -> None:
    """(1 + e^2) 1e-7 = 8.39e-7: more than 1 per cent of 1e-5, less than 10."""
    assert price(2.0, 1e-7) == pytest.approx(8.389e-7, rel=1e-3)
    asked: list[float] = []
    assert charged(lambda delta: asked.append(delta) or 2.0, 1e-5, 1e-7) == 2.0  # type: ignore[func-returns-value]
    assert asked == pytest.approx([0.99e-5, 0.9e-5])


def test_settings_with_too_little_room_are_refused_with_what_fits() -> None:
    mechanism = Distributed(epsilon=1.0, grid_bits=14)
    with pytest.raises(StudyError, match=r"privacy\.grid_bits = \d+ fits, or value_bits = \d+\.") as refusal:
        mechanism.value_room(FACTS, PARAMETERS, SIXTEEN_BITS)
    grid_bits = int(str(refusal.value).split("privacy.grid_bits = ")[2].split()[0])
    value_bits = int(str(refusal.value).split("value_bits = ")[1].rstrip("."))
    fitting = replace(mechanism, grid_bits=grid_bits)
    assert fitting.value_room(FACTS, PARAMETERS, SIXTEEN_BITS) >= fitting.clip_norm / fitting.grid
    wider = room_for_whole_steps(AGGREGATIONS.build(Entry("secagg", {"value_bits": value_bits})), "secagg", 10)
    assert mechanism.value_room(FACTS, PARAMETERS, wider) >= mechanism.clip_norm / mechanism.grid


def test_the_sum_is_cut_before_the_noise_and_the_noise_never() -> None:
    """Grid 1/4: 100, -3 and 0.3 are 400, -12 and 1 steps; cut to 8, then noise of 5, -40 and 2."""
    share = share_of(np.float32([100, -3, 0.3]), 0.25, 8, np.array([5, -40, 2]))
    np.testing.assert_array_equal(share, np.float32([13, -48, 3]) / 4)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=20), st.integers(1, 1000))
def test_cutting_the_sum_brings_no_two_sums_farther_apart(values: list[float], largest: int) -> None:
    one = np.float32(values)
    other = one[::-1].copy()
    nothing = np.zeros(len(one), np.int64)
    apart, cut = (
        np.linalg.norm(share_of(one, 0.5, most, nothing) - share_of(other, 0.5, most, nothing))
        for most in (1 << 20, largest)
    )
    assert cut <= apart * (1 + 1e-6)


def test_shares_stay_within_what_float32_holds_exactly() -> None:
    """Of 32-bit words only 2**24 whole numbers: beyond, a hospital's own rounding would decide what leaves."""
    assert room_for_whole_steps(AGGREGATIONS.build(Entry("bfv", {"value_bits": 24})), "bfv", 10) <= 1 << 24
    for aggregation in ("plain", "secagg"):
        assert room_for_whole_steps(AGGREGATIONS.build(Entry(aggregation)), aggregation, 10) <= 1 << 24
    assert sqrt(1 << 24) ** 2 == 1 << 24
