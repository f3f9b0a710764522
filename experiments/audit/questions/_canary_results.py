"""What canaries' scores come to: whether the claim can be true, and how large epsilon is at least.

Three lower bounds, the more assumed the higher. Whatever the mechanism, if it keeps some (epsilon, delta): Steinke,
Nasr and Jagielski 2023, theorem 5.2. If it adds Gaussian noise at the claimed rate and steps, of whatever size, and
canaries' fates may hang together: `_f_dp_bound`. If moreover each canary's noise and samples are its own:
`_canary_test`, turned into a bound by asking it of more and more noise. All at once hold with the confidence asked
for, each by its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.privacy.release import Release
from experiments.audit.questions import _canary_test as canary_test
from experiments.audit.questions import _f_dp_bound as f_dp_bound
from experiments.audit.questions._epsilon_bounds import Measured, measured_epsilon
from experiments.audit.questions._f_dp_bound import refuted
from experiments.audit.questions._guesses import Floats, Guessed, Guessing
from experiments.audit.questions._trade_off import TradeOff, trade_off

TESTED = ((0.54, True), (0.98, True), (0.05, False))
"""Shares of all canaries that the canary test guesses, and whether both ways: for much noise, little, and hardly any.
"""
PLANNED, OTHER = 0.7, 0.3
"""Of the allowed error: for the guesses that promise most if the claim is true, and for many, if it is not.

The best of three to six plans that share it was certified too, and is no higher: what each part of the error costs is
more than what the luckiest plan gains.
"""
COUNTS = (2560, 1280, 640, 320, 160, 80, 40, 20, 10)
FINENESS = 1.01
"""Ratio of one size of noise to the next that is asked about."""
MOST_NOISE, LEAST_NOISE = 512, -256
"""Sizes from the claimed one, in such ratios: from a thirteenth to 160 times. Powers of two: searches meet."""
COARSE = 8
"""Ratios to which a size is searched for where only a plan depends on it."""


@dataclass(frozen=True)
class Bounds:
    """Epsilon at delta is at least this. any_mechanism: by Steinke, with its figures. same_trade_off, own_noise: of a
    mechanism of the claimed kind; own_noise None where canaries are not apart."""

    any_mechanism: Measured
    same_trade_off: float
    own_noise: float | None


def chance_of(promised: Release, scores: Floats, included: NDArray[np.bool_], apart: bool) -> float:
    """At most this is the chance of so many right guesses, or more, if the claim is true."""
    claimed = trade_off(promised)
    if apart:
        return canary_test.smallest_chance(claimed, _made(guesses_tested(len(scores)), scores, included))
    ways = (Guessing(max(1, len(scores) // 20), False), Guessing(max(1, 2 * len(scores) // 5), True))
    return min(1.0, len(ways) * min(f_dp_bound.chance(claimed, one) for one in _made(ways, scores, included)))


def bounds_of(
    promised: Release, scores: Floats, included: NDArray[np.bool_], delta: float, confidence: float, apart: bool
) -> Bounds:
    """Each holds with this confidence, if what it assumes is so."""
    error, count = 1 - confidence, len(scores)
    planned, other = _made(
        (planned_guessing(promised, count, error), Guessing(max(1, 2 * count // 5), True)), scores, included
    )

    def by_recursion(found: TradeOff) -> bool:
        return refuted(found, planned, PLANNED * error) or refuted(found, other, OTHER * error)

    made = _made(guesses_tested(count), scores, included)

    def by_test(found: TradeOff) -> bool:
        return canary_test.smallest_chance(found, made) < error

    return Bounds(
        measured_epsilon(scores, included, delta, confidence),
        least_epsilon(promised, by_recursion, delta),
        least_epsilon(promised, by_test, delta) if apart else None,
    )


def guesses_tested(count: int) -> tuple[Guessing, ...]:
    """The guesses of the canary test on so many canaries."""
    return tuple(
        Guessing(max(1, min(int(share * count) // (2 if both else 1), (count - 2) // 2)), both)
        for share, both in TESTED
    )


@lru_cache(maxsize=256)
def planned_guessing(promised: Release, count: int, error: float) -> Guessing:
    """Those that give the highest bound on average if the claim is true: chosen by the claim alone, so that the
    choice does not look at what is measured."""
    claimed = trade_off(promised)
    ways = [Guessing(each, both) for each in COUNTS if 2 * each < count for both in (True, False)]
    return max(
        ways or [Guessing(1, False)],
        key=lambda way: _refuted_sizes(promised, _expected(claimed, way, count), PLANNED * error),
    )


def _refuted_sizes(promised: Release, expected: Guessed, error: float) -> int:
    return -_smallest_refuted(promised, lambda found: refuted(found, expected, error), COARSE)


def _expected(claimed: TradeOff, way: Guessing, count: int) -> Guessed:
    share = np.array([way.each_way / count])
    right = float(claimed.presence.right_in(share)[0])
    if way.both_ways:
        right += float(claimed.presence.right_out(share)[0])
    return Guessed(count, way.each_way * (2 if way.both_ways else 1), int(way.each_way * right), way.both_ways)


def least_epsilon(promised: Release, is_refuted: Callable[[TradeOff], bool], delta: float) -> float:
    """The epsilon of the smallest noise that is refuted: with as much or more, so many right guesses do not happen.

    0 where no size of noise is refuted.
    """
    smallest = _smallest_refuted(promised, is_refuted)
    return _of_size(promised, smallest).epsilon(delta) if smallest <= MOST_NOISE else 0.0


def _smallest_refuted(promised: Release, is_refuted: Callable[[TradeOff], bool], fineness: int = 1) -> int:
    """In ratios from the claimed size; beyond MOST_NOISE for none. More noise gives less away."""
    if not is_refuted(_of_size(promised, MOST_NOISE)):
        return MOST_NOISE + 1
    low, high = (LEAST_NOISE, 0) if is_refuted(_of_size(promised, 0)) else (0, MOST_NOISE)
    while high - low > fineness:
        middle = (low + high) // 2
        low, high = (low, middle) if is_refuted(_of_size(promised, middle)) else (middle, high)
    return high


def _of_size(promised: Release, ratios: int) -> TradeOff:
    return trade_off(replace(promised, noise_multiplier=promised.noise_multiplier * FINENESS**ratios))


def _made(ways: Sequence[Guessing], scores: Floats, included: NDArray[np.bool_]) -> tuple[Guessed, ...]:
    return tuple(way.made(scores, included) for way in ways)
