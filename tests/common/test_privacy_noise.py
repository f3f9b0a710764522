"""Noise: its law against the exact chances, its grid, where its bits come from."""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.errors import HospitalError, StudyError
from common.privacy import discrete_gaussian as sampler
from common.privacy import lazy_chances
from common.privacy.noise import LARGEST_VALUE, SeededNoise, SystemNoise, add_gaussian, step
from common.seeding import generator

SIGMAS = [0.3, 1.0, 4.0, 50.0, 64.0, 333.3]
HARDLY_EVER = 1e-9
BAD = [0.0, -1.0, math.nan, math.inf]


def seeded(*words: object) -> SeededNoise:
    return SeededNoise(generator(7, "noise", *words))


def exact_chances(sigma: float, reach: int) -> np.ndarray:
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


def chi_square_chance(draws: np.ndarray, sigma: float) -> float:
    """The chance of a worse fit; numbers expected fewer than 10 times are counted together."""
    reach = math.ceil(10 * sigma) + 1
    expected = exact_chances(sigma, reach) * draws.size
    seen = np.bincount(draws + reach, minlength=expected.size)
    common = expected >= 10
    seen, expected = (np.append(x[common], x[~common].sum()) for x in (seen, expected))
    large = expected > 1e-3
    return float(stats.chisquare(seen[large], expected[large] * seen[large].sum() / expected[large].sum()).pvalue)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_seeded_whole_numbers_come_as_often_as_they_should(sigma):
    assert chi_square_chance(seeded(sigma).discrete_gaussian(1_000_000, sigma), sigma) > 1e-3


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_systems_whole_numbers_come_as_often_as_they_should(sigma):
    assert chi_square_chance(SystemNoise().discrete_gaussian(400_000, sigma), sigma) > HARDLY_EVER


def test_the_chi_square_notices_a_sigma_off_by_a_hundredth():
    assert chi_square_chance(seeded().discrete_gaussian(1_000_000, 4.04), 4.0) < HARDLY_EVER


@pytest.mark.parametrize("sigma", [*SIGMAS, 1e5, 2.0**32 * 1.7, sampler.LARGEST_SIGMA])
def test_mean_variance_and_kurtosis_are_the_discrete_gaussians(sigma):
    draws = seeded("moments", sigma).discrete_gaussian(1_000_000, sigma) / sigma
    numbers = np.arange(-4000, 4001) / sigma
    chances = exact_chances(sigma, 4000) if sigma < 400 else None
    second = 1.0 if chances is None else float(chances @ numbers**2)
    fourth = 3.0 if chances is None else float(chances @ numbers**4)
    eighth = 105.0 if chances is None else float(chances @ numbers**8)
    assert abs(draws.mean()) < 4 * math.sqrt(second / draws.size)
    assert abs((draws**2).mean() - second) < 4 * math.sqrt((fourth - second**2) / draws.size)
    assert abs((draws**4).mean() - fourth) < 4 * math.sqrt((eighth - fourth**2) / draws.size)


@pytest.mark.parametrize("bit", range(0, 32, 3))
def test_low_bits_of_large_noise_are_even(bit):
    bits = (seeded("bits").discrete_gaussian(200_000, 2.0**32) >> bit) & 1
    assert abs(bits.mean() - 0.5) < 4 * 0.5 / math.sqrt(bits.size)


@pytest.mark.parametrize("standard_deviation", [1e-9, 1.0, 3.7e5])
@pytest.mark.parametrize("source", [seeded("ks"), SystemNoise()])
def test_gaussian_is_normal(standard_deviation, source):
    draws = source.gaussian(200_000, standard_deviation)
    assert draws.dtype == np.float64
    assert stats.kstest(draws, stats.norm(scale=standard_deviation).cdf).pvalue > HARDLY_EVER


@given(sigma=st.floats(1e-3, 1e12))
def test_the_sixteen_bits_that_decide_decide_as_all_of_them_would(sigma):
    table = sampler._blocks(sigma).table
    firsts = table.first.tolist()
    for first in range(0, 1 << 16, 97):
        low, high = first << 112, ((first + 1) << 112) - 1
        inside = bisect_right(table.thresholds, low), bisect_right(table.thresholds, high)
        assert firsts[first] == lazy_chances._UNDECIDED or inside == (firsts[first], firsts[first])


def test_the_table_holds_the_exact_chances():
    ends = np.array([float(Fraction(end, 1 << 128)) for end in sampler._blocks(4.0).table.thresholds])
    half = exact_chances(4.0, 60)[60:]
    np.testing.assert_allclose(ends, np.cumsum(half / half.sum())[: ends.size], atol=1e-15)


@given(sigma=st.floats(64, 1e6), start=st.integers(0, 100), rest=st.integers(0, 100))
def test_the_long_chance_is_the_ratio_of_two_chances(sigma, start, rest):
    ratio = math.exp(-((start + rest) ** 2) / (2 * sigma**2)) / math.exp(-(start**2) / (2 * sigma**2))
    assert math.isclose(sampler.exact_chance(sigma, start, rest) / 2**128, ratio, rel_tol=1e-12)


@pytest.mark.parametrize("sigma", [0.1, 4.0, 2.0**32 * 1.7])
@pytest.mark.parametrize("below", [0, 1, 1 << 70])
def test_the_last_of_all_bits_decides_between_neighbours_in_the_table(sigma, below):
    table = sampler._blocks(sigma).table
    for number in {min(max(0, end - below), lazy_chances.ONE - 1) for end in table.thresholds}:
        octets = [(number >> 112).to_bytes(2, "little"), (number % (1 << 112)).to_bytes(14, "little")]
        if table.first[number >> 112] == lazy_chances._UNDECIDED:
            drawn = table.draw(1, lambda count, octets=octets: octets[count == 14])
            assert drawn.tolist() == [bisect_right(table.thresholds, number)]


@given(
    sigma=st.floats(64, 1e12),
    block=st.integers(1, 400),
    share=st.floats(0.01, 0.99),
    below=st.booleans(),
    bit=st.integers(0, 90),
)
def test_where_sixteen_bits_leave_it_open_the_last_of_all_bits_decides(sigma, block, share, below, bit):
    blocks = sampler._blocks(sigma)
    rest = max(1, int(share * 2**blocks.bits))
    number = sampler.exact_chance(sigma, block << blocks.bits, rest) + (-1 if below else 1) * 2**bit - (not below)
    octets = iter([(number >> 112).to_bytes(2, "little"), (number % (1 << 112)).to_bytes(14, "little")])
    accepted = sampler._accepted(blocks, np.array([block]), np.array([rest]), lambda _: next(octets))
    assert accepted.tolist() == [below]
    assert not list(octets)


@given(sigma=st.floats(64, 1e15), seed=st.integers(0, 1 << 32))
def test_a_lower_bound_decides_as_the_chance_itself_would(sigma, seed):
    blocks, rng = sampler._blocks(sigma), np.random.default_rng(seed)
    block = rng.integers(0, sampler._last_block(sigma, blocks.bits) + 1, 2000).astype(np.int16)
    rest = rng.integers(0, 1 << blocks.bits, 2000)
    share = rest * 2.0**-blocks.bits
    chances = np.exp(-share * (share + 2.0 * block) * blocks.exponent)

    def exact(at):
        return sampler.exact_chance(sigma, int(block[at]) << blocks.bits, int(rest[at]))

    accepted = sampler._accepted(blocks, block, rest, np.random.default_rng(seed).bytes)
    by_chance = lazy_chances.happens(chances, exact, np.random.default_rng(seed).bytes)
    assert np.array_equal(accepted, by_chance)
    assert 0.5 < accepted.mean() < 1


@given(
    standard_deviation=st.floats(1e-12, 1e12),
    shares=st.lists(st.floats(-LARGEST_VALUE, LARGEST_VALUE), min_size=1, max_size=8),
)
def test_what_leaves_is_a_whole_multiple_of_the_step(standard_deviation, shares):
    values = np.clip(np.array(shares) * standard_deviation, *(np.array([-1, 1]) * LARGEST_VALUE * standard_deviation))
    steps = add_gaussian(values, standard_deviation, seeded()) / step(standard_deviation)
    assert np.array_equal(steps, np.rint(steps))
    assert np.all(np.abs(steps) < 2**53)


def test_the_least_bits_do_not_tell_the_value():
    bits = [
        (add_gaussian(np.full(100_000, value), 1.0, seeded(value)) / step(1.0)).astype(np.int64) & 15
        for value in (0.0, 1 / 3)
    ]
    table = np.array([np.bincount(part, minlength=16) for part in bits])
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_a_nought_that_is_left_has_no_sign():
    class NoNoise:
        def gaussian(self, size: int, standard_deviation: float) -> np.ndarray:
            return np.zeros(size)

        def discrete_gaussian(self, size: int, sigma: float) -> np.ndarray:
            return np.zeros(size, np.int64)

    noised = add_gaussian(np.array([-0.0, -1e-20, 1e-20]), 1.0, NoNoise())
    assert not np.signbit(noised).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_added_to_every_value_of_any_shape(dtype):
    values = np.arange(60_000, dtype=dtype).reshape(200, 3, 100)
    noised = add_gaussian(values, 2.0, SystemNoise())
    assert noised.shape == values.shape and noised.dtype == np.float64
    assert stats.kstest((noised - values).ravel(), stats.norm(scale=2.0).cdf).pvalue > HARDLY_EVER


def test_a_width_beyond_what_float32_holds_is_no_trouble():
    for width in (2.0**300, 2.0**-300):
        noised = add_gaussian(np.zeros(1000, np.float32), width, SystemNoise())
        assert 0.8 < noised.std() / width < 1.2


def test_noise_is_raised_for_what_rounding_adds():
    asked = []

    class Noted(SeededNoise):
        def discrete_gaussian(self, size: int, sigma: float) -> np.ndarray:
            asked.append(sigma)
            return super().discrete_gaussian(size, sigma)

    count, multiplier = 1_000_000, 1000.0
    add_gaussian(np.zeros(count), multiplier, Noted(generator(1)))
    sensitivity = 1 + step(multiplier) * math.sqrt(count)
    assert asked[0] * step(multiplier) / sensitivity >= multiplier
    assert asked[0] * step(multiplier) < 1.0003 * multiplier


def test_the_step_is_a_power_of_two_known_by_the_standard_deviation():
    assert step(1.0) == step(1.99) == 2.0**-32
    assert step(2.0) == 2.0**-31
    assert step(0.75) == 2.0**-33


def test_the_system_never_repeats_itself():
    noise = SystemNoise()
    assert not np.array_equal(noise.gaussian(100, 1.0), noise.gaussian(100, 1.0))
    assert not np.array_equal(noise.discrete_gaussian(100, 1e9), noise.discrete_gaussian(100, 1e9))


def test_the_system_draws_from_the_operating_system_and_nothing_else(monkeypatch):
    monkeypatch.setattr(os, "urandom", bytes)
    noise = SystemNoise()
    assert np.array_equal(noise.gaussian(100_000, 1.0), noise.gaussian(100_000, 1.0))


def test_a_seed_repeats_itself_and_goes_on():
    first, again = seeded("same"), seeded("same")
    drawn = first.gaussian(100_000, 1.0)
    assert np.array_equal(drawn, again.gaussian(100_000, 1.0))
    assert not np.array_equal(drawn, first.gaussian(100_000, 1.0))


def test_draws_have_no_memory():
    draws = seeded("memory").gaussian(200_000, 1.0)
    for lag in (1, 2, 7):
        assert abs((draws[lag:] * draws[:-lag]).mean()) < 4 / math.sqrt(draws.size)


@pytest.mark.parametrize("size", [0, 1, 2, 65])
@pytest.mark.parametrize("sigma", [1e-300, 0.5, 1e6])
def test_as_many_come_as_were_asked_for(size, sigma):
    draws = seeded().discrete_gaussian(size, sigma)
    assert draws.shape == (size,) and draws.dtype == np.int64


@pytest.mark.parametrize("source", [seeded(), SystemNoise()])
@pytest.mark.parametrize("width", BAD)
def test_a_width_that_is_not_above_nought_is_refused(source, width):
    with pytest.raises(StudyError, match=r"noise\.sigma must be above zero"):
        source.discrete_gaussian(3, width)
    with pytest.raises(StudyError, match=r"noise\.standard_deviation must be above zero"):
        source.gaussian(3, width)
    with pytest.raises(StudyError, match=r"noise\.standard_deviation must be above zero"):
        add_gaussian(np.zeros(3), width, source)


def test_noise_that_would_not_fit_its_type_is_refused():
    with pytest.raises(StudyError, match=r"noise\.sigma must be at most 2\*\*55"):
        SystemNoise().discrete_gaussian(1, 2.0**55 * 1.01)
    with pytest.raises(StudyError, match="must lie between"):
        SystemNoise().gaussian(1, 1e-300)


@pytest.mark.parametrize("value", [math.nan, math.inf, -2.0 * LARGEST_VALUE])
def test_a_value_too_large_to_add_exactly_is_refused(value):
    with pytest.raises(HospitalError, match="must be finite and within"):
        add_gaussian(np.array([0.0, value]), 1.0, SystemNoise())
