"""What the same releases cost where neighbours differ by more than one unit added or removed.

A promise of epsilon is about one unit that is there or is not. Three questions follow, and none has that answer:

*Substitution*: one unit's data are exchanged for others (a diagnosis corrected, one patient in another's place).
*Groups*: k units that belong together (a family; one person who counts as k units) are all there or all absent.
*Several hospitals*: one person's data lie in k hospitals, each of which lets out noisy sums of its own.

Each is answered at the very delta of the promise, and by the pair of distributions that is worst in every step, so
that the bounds hold under any composition (Zhu, Dong and Wang 2022, "Optimal accounting of differential privacy via
characteristic function", theorem 10) and cannot be lowered. In units of the sensitivity, with chance q in a step:

*Groups.* The number of the k in a step is binomial, and i of them move the sum by at most i: a mixture of N(i, s^2)
against N(0, s^2), in both directions (Choquette-Choo, Ganesh, Steinke and Thakurta 2024, "Privacy amplification for
matrix mechanisms", corollary 4.7; Ganesh 2024, "Tight group-level DP guarantees for DP-SGD with sampling via mixture
of Gaussians mechanisms"). At q = 1 this is one Gaussian of k times the sensitivity. It is what the classic rule
(k epsilon, at a delta that grows with exp(k epsilon)) only bounds, so that rule is not needed.

*Substitution.* (1 - q) N(0, s^2) + q N(1, s^2) against (1 - q) N(0, s^2) + q N(-1, s^2). Let the unit's data move
the sum by v, the other's by w, with |v|, |w| <= 1. Of the difference of the two mixtures, the second times
e^epsilon >= 1, what the samples without the unit share cancels but for one sign ("advanced joint convexity": Balle,
Barthe and Gaboardi 2018, theorem 2). What is left is q times a divergence, of an order in which v and w have no part,
of N(v, s^2) from a mixture of N(0, s^2) and N(w, s^2): seen from v, of normals at distance |v| <= 1 and |w - v| <= 2.
By the corollary above it is largest at 1 and 2, which v = 1 and w = -1 in one dimension attain. Orders below 1 are
those of the exchanged pair above 1. At q = 1 this is one Gaussian of twice the sensitivity.

The rest of a step's sample, random cases and augmentation are averaged over on both sides alike, which divergences,
being jointly convex, do not exceed. For discrete noise on a grid the sensitivity includes the rounding of one sum; k
units, or two, move the rounded sum by no more than so many sensitivities, and `common.privacy.losses` says why a
continuous Gaussian may then be taken. Geometric noise of epsilon keeps k epsilon of k units, and twice epsilon of an
exchange, with no delta: that is added to the rest where it is less than what the Gaussian of it costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.privacy.accounting import check_delta, epsilon_of
from common.privacy.losses import composed, epsilon_at, gaussians, interval, is_beyond, renyi_epsilon, repeated
from common.privacy.release import Release
from common.privacy.variation import charged, variation_of
from common.study.checks import positive

Component = tuple[float, float]
"""A normal distribution's centre, in units of the sensitivity, and its chance in a mixture."""

TAIL_DEVIATIONS = 10.0
"""What lies farther out, a chance of 1e-23, counts as lost to delta."""
TABLE, HALVINGS = 4097, 20


def substitution_epsilon(releases: Sequence[Release], delta: float) -> float:
    """Epsilon where one unit's data are exchanged for another's. Never below the truth.

    Args:
        releases: all that is let out.
        delta: of the promise, the same.

    Returns:
        Epsilon; infinite where the releases' variation, weighed by exp(epsilon), takes all of delta.
    """
    check_delta(delta)
    return _charged(releases, delta, 2, _substituted)


def group_epsilon(releases: Sequence[Release], delta: float, k: int) -> float:
    """Epsilon where k units are all there or all absent. Never below the truth.

    All k units may be in the same noisy sum, each sampled on its own. So this is also the figure for a person who
    counts as k units of one sum over hospitals (`distributed`); sums apart are `several_hospitals_epsilon`.

    Args:
        releases: all that is let out.
        delta: of the promise, the same.
        k: units of the group, 1 or more.

    Returns:
        Epsilon; infinite where the releases' variation, weighed by exp(epsilon), takes all of delta.

    Raises:
        StudyError: for a k below 1 or an impossible delta.
    """
    check_delta(delta)
    positive("group", k=k)
    if k == 1:
        return epsilon_of(releases, delta).epsilon
    return _charged(releases, delta, k, _grouped(k))


def several_hospitals_epsilon(hospitals: Iterable[Sequence[Release]], delta: float) -> float:
    """Epsilon of one unit whose data lie in each of these hospitals.

    Where hospitals share one noise, as in `distributed`, they do not make releases apart, and `group_epsilon` is the
    figure.

    Args:
        hospitals: what each lets out with noise of its own.
        delta: of the promise, the same.
    """
    return epsilon_of([release for releases in hospitals for release in releases], delta).epsilon


@dataclass(frozen=True)
class _Pair:
    """Mixtures of normal distributions of one deviation, no centre of `lower` above one of `upper`.

    The loss ln(upper / lower) then grows with the place x, so that the worst event of each epsilon is a half line.
    """

    upper: tuple[Component, ...]
    lower: tuple[Component, ...]

    @property
    def exchanged(self) -> _Pair:
        """The other way round, mirrored."""
        return _Pair(_mirrored(self.lower), _mirrored(self.upper))

    def deltas(self, deviation: float, width: float) -> tuple[int, NDArray[np.float64]]:
        """The hockey-stick divergence at whole multiples of `width`, and the first of them."""
        low = min(centre for centre, _ in self.lower) - TAIL_DEVIATIONS * deviation
        high = max(centre for centre, _ in self.upper) + TAIL_DEVIATIONS * deviation
        table = np.linspace(low, high, TABLE)
        losses = self._losses(table, deviation)
        first, last = math.floor(losses[0] / width), math.ceil(losses[-1] / width)
        epsilons = np.arange(first, last + 1) * width
        places = self._places(epsilons, table, losses, deviation)
        above = np.exp(_log_above(self.upper, places, deviation))
        found = above - np.exp(epsilons + _log_above(self.lower, places, deviation))
        return first, np.maximum.accumulate(np.clip(found, 0, 1)[::-1])[::-1]

    def _losses(self, places: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
        return _log_ratio(self.upper, places, deviation) - _log_ratio(self.lower, places, deviation)

    def _places(
        self,
        epsilons: NDArray[np.float64],
        table: NDArray[np.float64],
        losses: NDArray[np.float64],
        deviation: float,
    ) -> NDArray[np.float64]:
        """Where the loss is epsilon, within 1e-8 deviations: an error changes a divergence by its square."""
        cell = np.clip(np.searchsorted(losses, epsilons), 1, TABLE - 1)
        low, high = table[cell - 1], table[cell]
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = self._losses(middle, deviation) < epsilons
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)


def _substituted(rate: float) -> _Pair:
    return _Pair(_likely((0.0, 1 - rate), (1.0, rate)), _likely((0.0, 1 - rate), (-1.0, rate)))


@cache
def _grouped(k: int) -> Callable[[float], _Pair]:
    def pair_of(rate: float) -> _Pair:
        chances = ((float(i), math.comb(k, i) * rate**i * (1 - rate) ** (k - i)) for i in range(k + 1))
        return _Pair(_likely(*chances), ((0.0, 1.0),))

    return pair_of


def _likely(*components: Component) -> tuple[Component, ...]:
    return tuple((centre, chance) for centre, chance in components if chance > 0)


def _mirrored(components: tuple[Component, ...]) -> tuple[Component, ...]:
    return tuple((-centre, chance) for centre, chance in components)


def _log_ratio(
    components: tuple[Component, ...], places: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """ln of a mixture's density over that of the normal distribution at nought."""
    terms = (math.log(chance) + centre * (places - 0.5 * centre) / deviation**2 for centre, chance in components)
    return reduce(np.logaddexp, terms)


def _log_above(
    components: tuple[Component, ...], places: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """ln of a mixture's chance beyond each place."""
    from scipy.special import log_ndtr

    terms = (math.log(chance) + log_ndtr((centre - places) / deviation) for centre, chance in components)
    return reduce(np.logaddexp, terms)


def _charged(releases: Sequence[Release], delta: float, most: int, pair_of: Callable[[float], _Pair]) -> float:
    """Epsilon at what is left of delta beside the releases' distance from what they say they are."""
    pure = [release for release in releases if release.noise == "geometric"]
    others = [release for release in releases if release.noise != "geometric"]
    plain = most * sum(release.steps / release.noise_multiplier for release in pure)
    counted = (_of_gaussians(others, delta, most, pair_of) + plain, _of_gaussians(releases, delta, most, pair_of))
    return min(counted) if pure else counted[-1]


def _of_gaussians(releases: Sequence[Release], delta: float, most: int, pair_of: Callable[[float], _Pair]) -> float:
    merged = gaussians(releases)
    return charged(lambda left: _epsilon(merged, left, most, pair_of), delta, variation_of(releases))


@lru_cache(maxsize=1024)
def _epsilon(merged: tuple[Release, ...], delta: float, most: int, pair_of: Callable[[float], _Pair]) -> float:
    """most: by how many sensitivities the sum moves at most; if all units are in every sum, it alone counts."""
    if not merged:
        return 0.0
    nearby = tuple(replace(release, noise_multiplier=release.noise_multiplier / most) for release in merged)
    by_renyi = renyi_epsilon(nearby, delta)
    if is_beyond(nearby, by_renyi):
        return math.inf
    width = interval(nearby, by_renyi)
    if all(release.sampling_rate == 1 for release in merged):
        return epsilon_at(composed(nearby, width), delta)
    first, *others = (_composed(release, pair_of(release.sampling_rate), width) for release in merged)
    for other in others:
        first = first.compose(other)
    return epsilon_at(first, delta)


@lru_cache(maxsize=64)
def _composed(release: Release, pair: _Pair, width: float) -> Any:
    """dp_accounting's pessimistic distribution of all the release's steps, in both directions."""
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots_fixed_gap
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    directions = []
    for one in (pair, pair.exchanged):
        first, deltas = one.deltas(release.noise_multiplier, width)
        last = first + len(deltas) - 1
        directions.append(create_pmf_pessimistic_connect_dots_fixed_gap(width, first, last, deltas))
    return repeated(PrivacyLossDistribution(*directions), release.steps)
