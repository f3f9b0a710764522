"""Cox's partial likelihood from sums over risk sets, with Breslow's or Efron's way with ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses._group_sums import sums_by
from common.analyses._preparation import upper_of_rows

LARGEST = 40.0
"""Of a linear predictor: its exponential can still be added up."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class RiskSums:
    """Of one stratum's T times of events, for p covariates z and weights w = exp(z b).

    at_risk, tied: (T, 1 + p + p (p + 1) / 2) sums of w, w z and the upper triangle of w z z', over whoever is at risk
    and whoever has the event then. events: (T,) how many. event_sums: (T, p) their covariates.
    """

    at_risk: Values
    tied: Values
    events: Values
    event_sums: Values


@dataclass(frozen=True)
class Partial:
    """means: (T, p) what is expected of the covariates of those who have the event, summed; variances: (T, p, p)."""

    log_likelihood: float
    score: Values
    information: Values
    means: Values
    variances: Values
    hazards: Values


def weighted_rows(rows: Values, predictor: Values) -> Values:
    """(N, 1 + p + p (p + 1) / 2) of each row: what `RiskSums` are sums of."""
    weights = np.exp(np.clip(predictor, -LARGEST, LARGEST))[:, None]
    return np.concatenate([weights, weights * rows, weights * upper_of_rows(rows)], axis=1)


def sums_from_times_on(sums: Values) -> Values:
    """(T, ...) of who left from each time on but before the next one, to those still there at each time."""
    return np.asarray(np.cumsum(sums[::-1], axis=0)[::-1])


def partial_likelihood(sums: RiskSums, coefficients: Values, efron: bool) -> Partial:
    """Breslow 1974, equation (6); Efron 1977, section 5. Of one stratum."""
    size = len(coefficients)
    times = len(sums.events)
    means, variances, hazards = np.zeros((times, size)), np.zeros((times, size, size)), np.zeros(times)
    log_likelihood = float(np.sum(sums.event_sums * coefficients))
    i, j = np.triu_indices(size)
    # With Efron's ties, the k-th of d events sees the risk set without k / d of those tied.
    for k in range(int(sums.events.max(initial=0)) if efron else 1):
        there = sums.events > k
        count = np.ones(np.count_nonzero(there)) if efron else sums.events[there]
        share = (k / sums.events[there])[:, None] if efron else 0.0
        total = sums.at_risk[there] - share * sums.tied[there]
        mean = total[:, 1 : 1 + size] / total[:, :1]
        square = np.zeros((len(total), size, size))
        square[:, i, j] = square[:, j, i] = total[:, 1 + size :] / total[:, :1]
        means[there] += count[:, None] * mean
        variances[there] += count[:, None, None] * (square - mean[:, :, None] * mean[:, None, :])
        hazards[there] += count / total[:, 0]
        log_likelihood -= float(np.sum(count * np.log(total[:, 0])))
    score = (sums.event_sums - means).sum(axis=0)
    return Partial(log_likelihood, score, variances.sum(axis=0), means, variances, hazards)


def local_sums(rows: Values, predictor: Values, times: Values, events: NDArray[np.bool_]) -> RiskSums:
    """Of one hospital's rows by themselves. times, events: (N,)."""
    at = np.unique(times[events])
    shares, places = weighted_rows(rows, predictor), np.searchsorted(at, times, side="right") - 1
    leaving = sums_by(places, shares, len(at))
    tied, event_sums = (sums_by(places[events], one[events], len(at)) for one in (shares, rows))
    counted = np.bincount(places[events], minlength=len(at)).astype(np.float64)
    return RiskSums(sums_from_times_on(leaving), tied, counted, event_sums)


def proportionality(partials: list[tuple[Partial, Values, Values]], information: Values) -> tuple[Values, float]:
    """Chi-squared of each covariate (1 degree of freedom), and of all, that its effect changes with g(time).

    The score test of Grambsch and Therneau 1994, with the exact variances of each time. partials: of each stratum,
    with g (T,) and its (T, p) sums of the events' covariates.
    """
    size = len(information)
    score, own, shared = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    for partial, transform, event_sums in partials:
        score += transform @ (event_sums - partial.means)
        own += np.einsum("t,tij->ij", transform**2, partial.variances)
        shared += np.einsum("t,tij->ij", transform, partial.variances)
    bread = np.linalg.inv(information)
    spread = own - shared @ bread @ shared
    diagonal = np.diag(spread)
    each = np.where(diagonal > 0, score**2 / np.where(diagonal > 0, diagonal, 1), 0)
    return each, float(score @ np.linalg.pinv(spread, hermitian=True) @ score)
