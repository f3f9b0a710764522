"""Accounting: what releases cost in all, and how much noise keeps a promise.

The bound is dp_accounting's privacy loss distribution, rounded so that it can only be too high; the Rényi one, which
is simpler and looser, stands beside it. Neighbours differ by adding or removing one unit, whatever the unit is. No
figure of a central limit (GDP) is made anywhere: below sampling rate 1 it can be lower than the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, exp, isfinite, log

from common.errors import StudyError
from common.privacy.losses import composed, epsilon_at, gaussians, interval, is_beyond, renyi_epsilon
from common.privacy.release import Noise, Release
from common.privacy.variation import charged, price, variation_of

LEAST_DELTA = 1e-10
TINY = 1e-300
GRID = 10_000
LEAST_NOISE = GRID // 20
MOST_NOISE = 1_000_000 * GRID


@dataclass(frozen=True)
class Bound:
    """(epsilon, delta) that the releases keep together: tight, and by Rényi divergences."""

    epsilon: float
    epsilon_rdp: float
    delta: float


def check_delta(delta: float, units: int | None = None) -> None:
    """Refuse a delta that promises nothing, or that no numerical accountant can certify.

    A mechanism that publishes one unit in `units` whole keeps delta = 1 / units, so delta must be below that.

    Args:
        delta: of the promise.
        units: of the hospital, if known.

    Raises:
        StudyError: where it does not hold.
    """
    if not LEAST_DELTA <= delta < 1:
        raise StudyError(f"delta must be at least {LEAST_DELTA:g} and below 1; it is {delta!r}.")
    if units is not None and delta * units >= 1:
        raise StudyError(
            f"delta must be below 1 / {units}, one over the number of units to protect; it is {delta!r}."
        )


def epsilon_of(releases: Iterable[Release], delta: float) -> Bound:
    """What all `releases` together cost. Raises StudyError for an impossible delta."""
    check_delta(delta)
    releases = tuple(releases)
    pure = [release for release in releases if release.noise == "geometric"]
    together = _epsilon_of(releases, delta)
    if not pure:
        return together
    plain = sum(release.steps / release.noise_multiplier for release in pure)
    others = _epsilon_of(tuple(release for release in releases if release.noise != "geometric"), delta)
    tight, by_renyi = (
        min(together.epsilon, others.epsilon + plain),
        min(together.epsilon_rdp, others.epsilon_rdp + plain),
    )
    return Bound(tight, by_renyi, delta)


def _epsilon_of(releases: tuple[Release, ...], delta: float) -> Bound:
    merged, variation = gaussians(releases), variation_of(releases)
    if not variation:
        return _bound(merged, delta)
    tight = charged(lambda left: _bound(merged, left).epsilon, delta, variation)
    return Bound(tight, charged(lambda left: _bound(merged, left).epsilon_rdp, delta, variation), delta)


@lru_cache(maxsize=4096)
def _bound(merged: tuple[Release, ...], delta: float) -> Bound:
    by_renyi = renyi_epsilon(merged, delta)
    if not merged:
        return Bound(0.0, 0.0, delta)
    if is_beyond(merged, by_renyi):
        return Bound(by_renyi, by_renyi, delta)
    found = composed(merged, interval(merged, by_renyi))
    return Bound(epsilon_at(found, delta), by_renyi, delta)


def delta_of(releases: Iterable[Release], epsilon: float) -> float:
    """The smallest delta, from above, for which `releases` keep epsilon. Values below 1e-10 are noise of the sums."""
    _check_epsilon(epsilon)
    releases = tuple(releases)
    merged = gaussians(releases)
    if not merged:
        return 0.0
    width = interval(merged, max(epsilon, renyi_epsilon(merged, LEAST_DELTA)))
    found = max(0.0, float(composed(merged, width).get_delta_for_epsilon(epsilon)))
    return min(1.0, found + price(epsilon, variation_of(releases)))


def epsilon_curve(
    releases: Iterable[Release], rounds: int, delta: float, after: Iterable[int] | None = None
) -> list[float]:
    """Epsilon over the rounds of a run. A point takes some 0.02 s; equal hospitals are worked out once.

    Args:
        releases: what every round lets out.
        rounds: of the run.
        delta: of the promise.
        after: rounds after which it is asked for; by default 1, 2, ... rounds.

    Returns:
        One epsilon each.
    """
    check_delta(delta)
    return list(_curve(tuple(releases), rounds, delta, tuple(range(1, rounds + 1) if after is None else after)))


@lru_cache(maxsize=64)
def _curve(releases: tuple[Release, ...], rounds: int, delta: float, after: tuple[int, ...]) -> tuple[float, ...]:
    whole = _times(releases, rounds)
    if not whole:
        return (0.0,) * len(after)
    by_renyi = renyi_epsilon(whole, delta)
    if is_beyond(whole, by_renyi):
        return tuple(epsilon_of(_times(releases, count), delta).epsilon for count in after)
    width, variation = interval(whole, by_renyi), variation_of(releases)

    def epsilon_after(count: int) -> float:
        found = composed(_times(releases, count), width)
        return charged(lambda left: epsilon_at(found, left), delta, count * variation)

    return tuple(map(epsilon_after, after))


def _times(releases: Iterable[Release], rounds: int) -> tuple[Release, ...]:
    return gaussians(replace(release, steps=release.steps * rounds) for release in releases)


@lru_cache(maxsize=1024)
def noise_for(epsilon: float, delta: float, sampling_rate: float, steps: int, noise: Noise = "gaussian") -> float:
    """The smallest noise_multiplier that keeps (epsilon, delta), on a grid of 0.0001; at least 0.05.

    The grid makes it the same number wherever it is worked out.

    Args:
        epsilon: of the promise.
        delta: of the promise.
        sampling_rate: chance of one unit to be in a step.
        steps: of the run.
        noise: its distribution.

    Returns:
        Standard deviation of the noise over the clipping norm.

    Raises:
        StudyError: where no noise can keep them.
    """
    _check_epsilon(epsilon)
    check_delta(delta)

    def merged(multiplier: int) -> tuple[Release, ...]:
        return gaussians([Release(multiplier / GRID, sampling_rate, steps, noise)])

    def excess(multiplier: int) -> float:
        return log(_bound(merged(multiplier), delta).epsilon or TINY) - log(epsilon)

    def excess_by_renyi(multiplier: int) -> float:
        return log(renyi_epsilon(merged(multiplier), delta) or TINY) - log(epsilon)

    enough = _enough(excess_by_renyi, epsilon)
    return _least(excess, max(LEAST_NOISE, enough * 3 // 4), enough) / GRID


def _enough(excess: Callable[[int], float], epsilon: float) -> int:
    """By doubling, then by `_least`. The Rényi bound is above the tight one, so what it allows is allowed."""
    high = GRID
    while excess(high) > 0:
        high *= 2
        if high > MOST_NOISE:
            raise StudyError(f"no noise_multiplier up to {MOST_NOISE // GRID} keeps epsilon {epsilon!r} here.")
    return _least(excess, high // 2, high, high // 50)


def _least(excess: Callable[[int], float], low: int, high: int, tolerance: int = 1) -> int:
    """From where on the falling `excess` is not above 0, at most `high`; `low` is only a guess.

    tolerance: how far above that the answer may lie.
    """
    at_low, at_high = excess(low), excess(high)
    while at_low <= 0 and low > LEAST_NOISE:
        high, at_high = low, at_low
        low = max(LEAST_NOISE, low // 2)
        at_low = excess(low)
    if at_low <= 0:
        return low
    turn = 0
    (before, at_before), (last, at_last) = (low, at_low), (high, at_high)
    while high - low > tolerance:
        turn += 1
        halved = turn % 6 == 0 or at_last == at_before  # now and then, which bounds the number of turns
        slope = log(last / before) / (at_last - at_before or 1)  # an excess is nearly a line in the noise's logarithm
        root = (low + high) / 2 if halved else last * exp(min(-at_last * slope, 50.0))
        middle = min(max(ceil(root), low + 1), high - 1)
        (before, at_before), (last, at_last) = (last, at_last), (middle, excess(middle))
        low, high = (low, last) if at_last <= 0 else (last, high)
    return high


def _check_epsilon(epsilon: float) -> None:
    if not (isfinite(epsilon) and epsilon > 0):
        raise StudyError(f"epsilon must be above 0 and finite; it is {epsilon!r}. At 0 nothing could be learnt.")
