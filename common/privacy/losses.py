"""What a set of releases costs, twice: as a privacy loss distribution (tight) and as Rényi divergences (beside it).

Everything is brought to Poisson-sampled Gaussians first, in a form that is short: equal releases become one with more
steps, and releases without sampling become one step, since Gaussians of multipliers s_i on all units reveal together
exactly what one of 1 / sqrt(sum 1 / s_i^2) does (the likelihood ratio is the same).

Discrete Gaussian noise. dp_accounting's distribution for it is for one number whose sensitivity is a whole number of
lattice steps; a vector's is not of that form, and a coarse lattice is not worse than a fine one for every delta. So a
bound is used that holds in any dimension and under sampling. Let s = 2. Drawing Y ~ N(v, sigma^2 - s^2) and rounding
it by the discrete Gaussian of parameter s around Y gives each whole number x a chance within a factor 1 +- 3 eta of
the discrete Gaussian of parameter sigma around v, eta = 2 exp(-2 pi^2 s^2) = 1e-34 (Peikert 2010, theorem 3.1, by
Poisson summation). The rounding does not know v. So the discrete mechanism is, up to that factor for every coordinate
and step (1e-19 in all for a billion values and a million steps), a post-processing of the continuous one of variance
sigma^2 - s^2, and it is accounted for as that. The same holds for a sum of discrete Gaussians, each of parameter 4 or
more, which is as near to one of the summed variance (Kairouz, Liu, Steinke 2021, section 3). `check_lattice` holds
mechanisms to both; at the least sigma it allows, 64, the price is 0.05 % of the noise.

Geometric noise. What keeps epsilon with delta 0 tells no more than one bit that is right with chance p = e^epsilon /
(1 + e^epsilon), and that bit no more than a Gaussian whose centres lie 2 Phi^-1(p) deviations apart: both trade-off
curves go through (1 - p, 1 - p), and the bit's, two straight lines, lies above a convex one there (Dong, Roth and Su
2022, "Gaussian differential privacy"). So many geometric releases compose as Gaussians; of few, the plain sum of
their epsilons is less, and `common.privacy.accounting` takes whichever is.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.privacy.release import Release

Floats = NDArray[np.float64]
ROUNDING_SIGMA = 2.0
LEAST_SUM_SIGMA = 64.0
LEAST_SHARE_SIGMA = 4.0
ORDERS = (1.1, 1.25, 1.5, 1.75, *(half / 2 for half in range(4, 22)), *range(11, 24), *range(24, 64, 4))
ORDERS += (64, 80, 96, 128, 192, 256, 512, 1024)
INTERVALS_A_SPREAD = 5e4
MOST_EPSILON, MOST_STEPS = 1e5, 10**8
"""Beyond either, distributions of losses take for ever or overflow, and a bound that is computed at once will do."""
FEW_STEPS = 8
"""Up to so many a distribution is kept whole: it is convolved sooner than its tails are bounded."""
ROUNDED = 1e-12
"""More than adding up probabilities in float64 loses."""

logging.getLogger("absl").addFilter(lambda record: "_compute_log_a_frac failed" not in str(record.msg))


def check_lattice(sigma_sum: float, sigma_share: float) -> None:
    """Raise StudyError where discrete noise is too coarse for its bound; both are in whole numbers (lattice steps).

    sigma_sum: parameter of the whole noise in a sum. sigma_share: of what one hospital adds to it.
    """
    if sigma_sum < LEAST_SUM_SIGMA or sigma_share < LEAST_SHARE_SIGMA:
        raise StudyError(
            f"discrete noise of sigma {sigma_sum:.3g} in a sum and {sigma_share:.3g} a hospital is too coarse: "
            f"at least {LEAST_SUM_SIGMA:g} and {LEAST_SHARE_SIGMA:g} whole numbers are needed. Use more bits a value."
        )


def gaussians(releases: Iterable[Release]) -> tuple[Release, ...]:
    """As few sampled Gaussians as reveal at least as much, sorted, so that equal sets give equal bounds."""
    steps: Counter[tuple[float, float]] = Counter()
    precision = 0.0
    for release in releases:
        noise = _continuous(release)
        if release.sampling_rate == 1:
            precision += release.steps / noise**2
        else:
            steps[noise, release.sampling_rate] += release.steps
    whole = [Release(1 / math.sqrt(precision), 1.0, 1)] if precision else []
    return (*whole, *(Release(noise, rate, count) for (noise, rate), count in sorted(steps.items())))


def _continuous(release: Release) -> float:
    if release.noise == "gaussian":
        return release.noise_multiplier
    if release.noise == "geometric":
        return _gaussian_of_pure(1 / release.noise_multiplier)
    return release.noise_multiplier * math.sqrt(1 - (ROUNDING_SIGMA / LEAST_SUM_SIGMA) ** 2)


def _gaussian_of_pure(epsilon: float) -> float:
    """The multiplier of the Gaussian that tells as much as (epsilon, 0) can, or more."""
    from scipy.special import log_expit, ndtri_exp

    return float(-0.5 / ndtri_exp(log_expit(-epsilon)))


def renyi_epsilon(merged: Iterable[Release], delta: float) -> float:
    """Epsilon by Rényi divergences (Mironov 2017; Mironov, Talwar, Zhang 2019), converted as dp_accounting does."""
    from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon

    total = sum(
        (release.steps * renyi(release.noise_multiplier, release.sampling_rate) for release in merged),
        start=np.zeros(len(ORDERS)),
    )
    return float(compute_epsilon(np.array(ORDERS), total, delta)[0]) if total.any() else 0.0


@lru_cache(maxsize=1024)
def renyi(noise_multiplier: float, sampling_rate: float) -> Floats:
    """(orders,) Rényi divergences of one step; where the series does not converge, those without sampling."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(ORDERS)
    accountant.compose(PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier)))
    unsampled = np.array(ORDERS) / (2 * noise_multiplier**2)
    found: Floats = np.minimum(accountant.rdp, unsampled)
    found.setflags(write=False)
    return found


def is_beyond(merged: Iterable[Release], by_renyi: float) -> bool:
    """Whether a distribution of losses is not worth making. by_renyi: what all releases cost by Rényi divergences."""
    return not by_renyi <= MOST_EPSILON or sum(release.steps for release in merged) > MOST_STEPS


def interval(merged: Iterable[Release], epsilon: float) -> float:
    """Width of the cells of losses: far below the scale q / sigma of one step's, with a bound on how many there are.

    Rounding is upwards, so a wide cell costs tightness (about 1e-4 of epsilon here) and never truth.
    """
    merged = tuple(merged)
    finest = min(0.05 * release.sampling_rate / release.noise_multiplier for release in merged)
    spread = max(0.5 / release.noise_multiplier**2 + 10 / release.noise_multiplier for release in merged)
    return max(min(finest, 1e-4 * epsilon), (spread + epsilon) / INTERVALS_A_SPREAD)


def composed(merged: Iterable[Release], width: float) -> Any:
    """dp_accounting's pessimistic privacy loss distribution of all releases, for adding and for removing one unit.

    "Connect the dots" (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022).
    """
    first, *others = (
        repeated(_loss(release.noise_multiplier, release.sampling_rate, width), release.steps) for release in merged
    )
    for other in others:
        first = first.compose(other)
    return first


def repeated(losses: Any, steps: int) -> Any:
    """dp_accounting's distribution of `steps` times the same. Of few, where it lies is not worth looking for."""
    if steps == 1:
        return losses
    return losses.self_compose(steps, *((0.0,) if steps <= FEW_STEPS else ()))


@lru_cache(maxsize=16)
def _loss(noise_multiplier: float, sampling_rate: float, width: float) -> Any:
    """Of one step, as dp_accounting's `from_gaussian_mechanism` has it; kept: the points of a curve share it."""
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    directions = (1,) if sampling_rate == 1 else (1, -1)
    return PrivacyLossDistribution(*(_side(noise_multiplier, sampling_rate, width, one) for one in directions))


def _side(noise_multiplier: float, sampling_rate: float, width: float, direction: int) -> Any:
    """direction: 1 where a unit is removed, -1 where one is added."""
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots_fixed_gap
    from dp_accounting.pld.privacy_loss_mechanism import AdjacencyType, GaussianPrivacyLoss

    adjacency = AdjacencyType.REMOVE if direction == 1 else AdjacencyType.ADD
    one = GaussianPrivacyLoss(noise_multiplier, sampling_prob=sampling_rate, adjacency_type=adjacency)
    ends = one.connect_dots_bounds()
    first, last = math.floor(ends.epsilon_lower / width), math.ceil(ends.epsilon_upper / width)
    epsilons = np.arange(first, last + 1) * width
    inside = direction * epsilons > (math.log1p(-sampling_rate) if sampling_rate < 1 else -math.inf)
    deltas = np.zeros(len(epsilons))
    if direction == 1:
        deltas[~inside] = -np.expm1(epsilons[~inside])
    places = _places(direction * epsilons[inside], noise_multiplier, sampling_rate, direction)
    deltas[inside] = one.mu_upper_cdf(places) - np.exp(epsilons[inside] + one.mu_lower_log_cdf(places))
    return create_pmf_pessimistic_connect_dots_fixed_gap(width, first, last, np.clip(deltas, 0, 1))


def _places(losses: Floats, noise_multiplier: float, sampling_rate: float, direction: int) -> Floats:
    """Where the loss is as large, which dp_accounting works out one by one (its `inverse_privacy_loss`)."""
    whole = losses
    if sampling_rate < 1:
        with np.errstate(divide="ignore"):
            whole = losses - math.log(sampling_rate) + np.log1p(-np.exp(math.log1p(-sampling_rate) - losses))
    return np.asarray(-direction * (0.5 + whole * noise_multiplier**2), np.float64)


def epsilon_at(losses: Any, delta: float) -> float:
    """dp_accounting's `get_epsilon_for_delta`, many times as fast."""
    sides = {id(side): side for side in (losses._pmf_remove, losses._pmf_add)}
    return max(_epsilon_of_side(side.to_dense_pmf(), delta) for side in sides.values())


def _epsilon_of_side(dense: Any, delta: float) -> float:
    """From the largest loss down to the first that epsilon is not below; losses below nought leave it at nought."""
    if dense._infinity_mass > delta:
        return math.inf
    first = max(0, -dense._lower_loss)
    values = ((np.arange(first, dense.size) + dense._lower_loss) * dense._discretization)[::-1]
    masses = dense._probs[first:][::-1]
    above = np.cumsum(np.concatenate([[dense._infinity_mass], masses]))
    less = np.cumsum(np.concatenate([[0.0], masses * np.exp(-values)]))
    guesses = np.full(len(above), -math.inf)
    known = (above > delta) & (less > 0)
    guesses[known] = np.log(above[known] - delta) - np.log(less[known])
    end = _first(guesses[:-1] >= values)
    overflown = _first((above[1:] >= delta) & (less[1:] == 0))
    return max(0.0, float(values[overflown] if overflown < end else guesses[end]))


def _first(found: NDArray[np.bool_]) -> int:
    return int(found.argmax()) if found.any() else len(found)


def deltas_at(losses: Any, epsilons: Floats) -> Floats:
    """dp_accounting's `get_delta_for_epsilon`, many times as fast, and larger by ROUNDED.

    losses: of adding or of removing a unit. epsilons: (n,) rising. Returns (n,). What adds up from the largest loss
    down is added up once for all of them.
    """
    dense = losses.to_dense_pmf()
    values = (np.arange(dense.size) + dense._lower_loss) * dense._discretization
    first = np.searchsorted(values, epsilons, side="right")
    weights = np.where(values > epsilons[0], dense._probs, 0.0)
    above, less = (_from_above(part) for part in (weights, weights * np.exp(-np.maximum(values, epsilons[0]))))
    deltas = dense._infinity_mass + above[first] - np.exp(epsilons) * less[first]
    return np.asarray(np.clip(deltas + ROUNDED, dense._infinity_mass, 1.0), np.float64)


def _from_above(values: Floats) -> Floats:
    """(n + 1,) sums of each value and all after it, the last of none."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
